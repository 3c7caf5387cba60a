//! The run group: parts that live and end together.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What a part of a program ends with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

type Run = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type Interrupt = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long parts may take to end, unless told otherwise.
const STOP_TIMEOUT: Duration = Duration::from_secs(120);

/// One part: what it does, and how it is told to end.
pub struct Actor {
    name: String,
    run: Run,
    interrupt: Interrupt,
}

impl Actor {
    /// A part that ends when its own means tell it to.
    ///
    /// `interrupt` runs once, when any part has ended. It may wait for what has to be over before the
    /// next part is interrupted, such as a last write.
    pub fn new(
        name: impl Into<String>,
        run: impl Future<Output = Result<(), BoxError>> + Send + 'static,
        interrupt: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            run: Box::pin(run),
            interrupt: Box::pin(interrupt),
        }
    }

    /// A part that ends soon after its [`Stop`] resolves.
    pub fn stoppable<F>(name: impl Into<String>, run: impl FnOnce(Stop) -> F) -> Self
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let (stopper, stop) = Stop::new();
        Self::new(name, run(stop), async move { stopper.stop() })
    }

    /// What the part is called in logs and errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl std::fmt::Debug for Actor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Actor")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Tells a part that it is to end.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// The other end of a [`Stop`]; dropping it stops too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stop {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Stopper, Self) {
        let (sender, receiver) = watch::channel(false);
        (Stopper(sender), Self(receiver))
    }

    /// Resolves once the part is to end.
    pub async fn wait(mut self) {
        // An error means that nobody can tell us any more, which tells us.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// True once the part is to end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

impl Stopper {
    /// Resolves every [`Stop`] of this pair.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// Why a group ended other than by wish.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {source}")]
pub struct GroupError {
    /// The part that ended first.
    pub name: String,
    /// What it ended with.
    pub source: BoxError,
}

/// Parts that start together and end together.
///
/// The order of registration is the order in which parts are interrupted. It is the only order there
/// is: parts that need others to be there first wait for them by their own means.
#[derive(Debug)]
pub struct RunGroup {
    actors: Vec<Actor>,
    stop_timeout: Duration,
}

impl Default for RunGroup {
    fn default() -> Self {
        Self {
            actors: Vec::new(),
            stop_timeout: STOP_TIMEOUT,
        }
    }
}

impl RunGroup {
    /// A group without parts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long all parts together may take to end before they are dropped.
    #[must_use]
    pub fn stop_timeout(mut self, timeout: Duration) -> Self {
        self.stop_timeout = timeout;
        self
    }

    /// Registers a part.
    pub fn add(&mut self, actor: Actor) {
        self.actors.push(actor);
    }

    /// Runs all parts until the first ends, interrupts all in order, and waits for all.
    ///
    /// # Errors
    /// What the first part to end ended with. What others end with afterwards is logged. A part that
    /// panics ends with an error.
    pub async fn run(self) -> Result<(), GroupError> {
        let mut running = JoinSet::new();
        let mut interrupts = Vec::with_capacity(self.actors.len());
        for Actor {
            name,
            run,
            interrupt,
        } in self.actors
        {
            running.spawn(run_named(name.clone(), run));
            interrupts.push((name, interrupt));
        }
        let Some(first) = next(&mut running).await else {
            return Ok(());
        };
        tracing::debug!(first = first.0, "A part ended, stopping all");
        let stop = stop_all(interrupts, &mut running);
        if tokio::time::timeout(self.stop_timeout, stop).await.is_err() {
            tracing::error!(
                timeout = ?self.stop_timeout,
                left = running.len(),
                "Some parts did not end in time and are dropped"
            );
            running.shutdown().await;
        }
        let (name, outcome) = first;
        outcome.map_err(|source| GroupError { name, source })
    }
}

type Ended = (String, Result<(), BoxError>);

async fn run_named(name: String, run: Run) -> Ended {
    let outcome = AssertUnwindSafe(run).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let words = words
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(format!("panicked: {words}").into())
    });
    (name, outcome)
}

async fn next(running: &mut JoinSet<Ended>) -> Option<Ended> {
    loop {
        // Parts catch their own panics, so only a dropped runtime ends one otherwise.
        if let Ok(ended) = running.join_next().await? {
            return Some(ended);
        }
    }
}

async fn stop_all(interrupts: Vec<(String, Interrupt)>, running: &mut JoinSet<Ended>) {
    for (name, interrupt) in interrupts {
        tracing::debug!(name, "Stopping");
        interrupt.await;
    }
    while let Some((name, outcome)) = next(running).await {
        if let Err(error) = outcome {
            tracing::error!(name, %error, "Ended with an error while stopping");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::sync::Arc;

    type Journal = Arc<Mutex<Vec<String>>>;

    fn recorded(name: &'static str, journal: &Journal) -> Actor {
        let (stopper, stop) = Stop::new();
        let (ran, told) = (journal.clone(), journal.clone());
        let run = async move {
            stop.wait().await;
            ran.lock().push(format!("{name} ended"));
            Ok(())
        };
        let interrupt = async move {
            told.lock().push(format!("{name} told"));
            stopper.stop();
        };
        Actor::new(name, run, interrupt)
    }

    #[tokio::test]
    async fn the_first_to_end_stops_all_in_order() {
        let journal = Journal::default();
        let mut group = RunGroup::new();
        for name in ["a", "b"] {
            group.add(recorded(name, &journal));
        }
        group.add(Actor::new("c", async { Err("no luck".into()) }, async {}));
        let error = group.run().await.unwrap_err();
        assert_eq!(error.to_string(), "c: no luck");
        let journal = journal.lock();
        let told: Vec<_> = journal
            .iter()
            .filter(|line| line.ends_with("told"))
            .collect();
        assert_eq!(told, ["a told", "b told"]);
        assert_eq!(journal.len(), 4);
    }

    #[tokio::test]
    async fn the_next_is_told_only_when_the_one_before_is_done() {
        let journal = Journal::default();
        let mut group = RunGroup::new();
        let slow = journal.clone();
        group.add(Actor::new("slow", async { Ok(()) }, async move {
            tokio::task::yield_now().await;
            slow.lock().push("slow is done".into());
        }));
        group.add(recorded("b", &journal));
        group.run().await.unwrap();
        assert_eq!(*journal.lock(), ["slow is done", "b told", "b ended"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_stops_all() {
        let mut group = RunGroup::new();
        group.add(Actor::new("bad", async { panic!("at {}", 1) }, async {}));
        group.add(Actor::stoppable("good", |stop| async {
            stop.wait().await;
            Ok(())
        }));
        assert_eq!(
            group.run().await.unwrap_err().to_string(),
            "bad: panicked: at 1"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_does_not_end_is_dropped() {
        let mut group = RunGroup::new().stop_timeout(Duration::from_secs(1));
        group.add(Actor::new("quick", async { Ok(()) }, async {}));
        group.add(Actor::new("stuck", std::future::pending(), async {}));
        group.run().await.unwrap();
    }

    #[tokio::test]
    async fn no_parts_no_wait() {
        RunGroup::new().run().await.unwrap();
    }
}
