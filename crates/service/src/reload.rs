//! Reading the settings again while running, on whoever's wish.

use tokio::sync::{mpsc, oneshot};

/// How many wishes wait while a reload runs; more wait to be counted.
const WAITING: usize = 16;

/// Why a reload did not happen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The new settings were refused, and the old ones are in force. Mend them.
    #[error("{0}")]
    Refused(String),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

type Reply = oneshot::Sender<Result<(), ReloadError>>;

/// Asks for reloads; clones ask the same server.
#[derive(Clone, Debug)]
pub struct Reloader(mpsc::Sender<Option<Reply>>);

/// The side that carries reloads out.
#[derive(Debug)]
pub struct Reloads(mpsc::Receiver<Option<Reply>>);

/// Both sides.
#[must_use]
pub fn reload_hook() -> (Reloader, Reloads) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Reloader(sender), Reloads(receiver))
}

impl Reloader {
    /// Asks for a reload and waits for its outcome.
    ///
    /// # Errors
    /// What the reload was refused for.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        let (reply, outcome) = oneshot::channel();
        self.0
            .send(Some(reply))
            .await
            .map_err(|_| ReloadError::Stopping)?;
        outcome.await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Asks for a reload and goes on, as for a signal. False if enough already wait: those will read
    /// settings at least as new.
    pub fn request(&self) -> bool {
        self.0.try_send(None).is_ok()
    }
}

impl Reloads {
    /// Carries out reloads, one at a time, until nobody can ask any more.
    ///
    /// All who asked before a reload begins share it: it reads what they wanted to be read. `apply`
    /// answers with words for the person who changed the settings.
    pub async fn run(mut self, mut apply: impl AsyncFnMut() -> Result<(), String>) {
        let mut waiting = Vec::with_capacity(WAITING);
        while self.0.recv_many(&mut waiting, WAITING).await > 0 {
            let outcome = apply().await.map_err(ReloadError::Refused);
            for reply in waiting.drain(..).flatten() {
                // Whoever does not wait any more need not be told.
                let _ = reply.send(outcome.clone());
            }
        }
    }

    /// The next wish, for those who have to wait for other things as well. Answer it with
    /// [`Wish::done`].
    pub async fn next(&mut self) -> Option<Wish> {
        self.0.recv().await.map(Wish)
    }
}

/// Somebody's wish for a reload.
#[derive(Debug)]
pub struct Wish(Option<Reply>);

impl Wish {
    /// Tells whoever asked how it went.
    pub fn done(self, outcome: Result<(), String>) {
        if let Some(reply) = self.0 {
            let _ = reply.send(outcome.map_err(ReloadError::Refused));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn who_asks_learns_the_outcome() {
        let (reloader, reloads) = reload_hook();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let running =
            tokio::spawn(
                reloads.run(async move || match counted.fetch_add(1, Ordering::SeqCst) {
                    0 => Ok(()),
                    _ => Err("line 3: unknown key".to_owned()),
                }),
            );
        assert_eq!(reloader.reload().await, Ok(()));
        let refused = reloader.reload().await.unwrap_err();
        assert_eq!(refused.to_string(), "line 3: unknown key");
        drop(reloader);
        running.await.unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn wishes_made_before_a_reload_share_it() {
        let (reloader, reloads) = reload_hook();
        let wishes: Vec<_> = (0..5)
            .map(|_| {
                tokio::spawn({
                    let reloader = reloader.clone();
                    async move { reloader.reload().await }
                })
            })
            .collect();
        assert!(reloader.request());
        tokio::task::yield_now().await;
        drop(reloader);
        let mut count = 0;
        reloads
            .run(async || {
                count += 1;
                Ok(())
            })
            .await;
        assert_eq!(count, 1);
        for wish in wishes {
            assert_eq!(wish.await.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_server_on_its_way_out_says_so() {
        let (reloader, reloads) = reload_hook();
        drop(reloads);
        assert_eq!(reloader.reload().await, Err(ReloadError::Stopping));
        assert!(!reloader.request());
    }
}
