//! Drives the life of one member: takes the steps that are due and publishes
//! what comes out.

use std::sync::Arc;
use std::time::Duration;

use headwater_env::{Clock, Rng};
use headwater_ring::{Desc, Lifecycle, LifecycleConfig, State, Step};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::error::KvError;
use crate::store::RingStore;

/// How often it looks whether a step is due.
const PERIOD: Duration = Duration::from_secs(1);

/// The driver of one member. [`Lifecycler::run`] does the work; handles look
/// at the member and make it leave.
pub struct Lifecycler {
    store: Arc<dyn RingStore>,
    ring: String,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    stored: Vec<u32>,
    shared: Arc<Shared>,
}

struct Shared {
    member: Mutex<Lifecycle>,
    wish: watch::Sender<Wish>,
    desc: watch::Receiver<Arc<Desc>>,
}

/// What the owner of a member wants of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish {
    #[default]
    Stay,
    Leave,
    Go,
}

impl std::fmt::Debug for Lifecycler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lifecycler")
            .field("ring", &self.ring)
            .finish_non_exhaustive()
    }
}

impl Lifecycler {
    /// A driver for a member of the ring of this name. `stored` are the
    /// tokens of an earlier life, if any were kept.
    pub fn new(
        store: Arc<dyn RingStore>,
        ring: impl Into<String>,
        config: LifecycleConfig,
        stored: Vec<u32>,
        clock: Arc<dyn Clock>,
        rng: Arc<dyn Rng>,
    ) -> Self {
        let ring = ring.into();
        let shared = Shared {
            member: Mutex::new(Lifecycle::new(config)),
            wish: watch::Sender::default(),
            desc: store.watch(&ring),
        };
        Self {
            store,
            ring,
            clock,
            rng,
            stored,
            shared: Arc::new(shared),
        }
    }

    /// A handle, valid before, while and after the driver runs.
    pub fn handle(&self) -> LifecyclerHandle {
        LifecyclerHandle {
            shared: self.shared.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Drives the member until its owner says [`LifecyclerHandle::go`]. Steps
    /// that fail because the store does not answer are tried again.
    ///
    /// # Errors
    /// A step does not follow from the member's state.
    pub async fn run(self) -> Result<(), KvError> {
        let mut wishes = self.shared.wish.subscribe();
        loop {
            self.take_due_steps().await?;
            let wish = *wishes.borrow_and_update();
            let state = self.shared.member.lock().state();
            match (wish, state) {
                (Wish::Leave | Wish::Go, Some(State::Active)) => self.retried(Step::Leave).await?,
                (Wish::Go, Some(_)) => {
                    return self.retried(Step::Unregister).await;
                }
                (Wish::Go, None) => return Ok(()),
                _ => {
                    tokio::select! {
                        _ = wishes.changed() => {}
                        () = tokio::time::sleep(PERIOD) => {}
                    }
                }
            }
        }
    }

    fn now(&self) -> i64 {
        self.clock.unix_millis().div_euclid(1000)
    }

    async fn take_due_steps(&self) -> Result<(), KvError> {
        loop {
            let due = self.shared.member.lock().due(self.now());
            let Some(step) = due else {
                return Ok(());
            };
            match self.take(step).await {
                Ok(()) => {}
                Err(e @ KvError::Lifecycle(_)) => return Err(e),
                // It is due again next time.
                Err(_) => return Ok(()),
            }
        }
    }

    /// Takes a step that must succeed, however long the store is silent.
    async fn retried(&self, step: Step) -> Result<(), KvError> {
        loop {
            match self.take(step).await {
                Err(KvError::Unavailable(_) | KvError::Contended { .. }) => {
                    tokio::time::sleep(PERIOD).await;
                }
                other => return other,
            }
        }
    }

    async fn take(&self, step: Step) -> Result<(), KvError> {
        let now = self.now();
        let before = self.shared.member.lock().clone();
        let mut after = before.clone();
        let mut change = |desc: &Desc| {
            // Every try begins with the member as it was.
            after = before.clone();
            let random = || (self.rng.next_u64() >> 32) as u32;
            Ok(Some(after.step(step, desc, now, &self.stored, random)?))
        };
        self.store.publish(&self.ring, &mut change).await?;
        *self.shared.member.lock() = after;
        Ok(())
    }
}

/// Looks at a member and tells it what to do.
#[derive(Clone)]
pub struct LifecyclerHandle {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for LifecyclerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LifecyclerHandle")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl LifecyclerHandle {
    /// The member's state; `None` before it started and after it went.
    pub fn state(&self) -> Option<State> {
        self.shared.member.lock().state()
    }

    /// The member's tokens, to be kept for its next life.
    pub fn tokens(&self) -> Vec<u32> {
        self.shared.member.lock().tokens().to_vec()
    }

    /// Why the member is not ready for work yet; `None` if it is.
    pub fn not_ready(&self, heartbeat_timeout: i64) -> Option<String> {
        let now = self.clock.unix_millis().div_euclid(1000);
        let desc = self.shared.desc.borrow().clone();
        self.shared
            .member
            .lock()
            .not_ready(&desc, now, heartbeat_timeout)
    }

    /// Makes the member leave: it takes no more writes and goes on showing
    /// life, so that it can be read from while its owner hands over.
    pub fn leave(&self) {
        self.shared.wish.send_replace(Wish::Leave);
    }

    /// Makes the member leave, if it has not yet, and go.
    pub fn go(&self) {
        self.shared.wish.send_replace(Wish::Go);
    }
}
