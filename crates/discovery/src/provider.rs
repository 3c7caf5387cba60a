//! The contract between a mechanism and the manager.

use std::pin::Pin;

use headwater_model::TargetGroup;
use tokio::sync::mpsc;

/// Updates that wait to be taken by the manager; more make their senders wait.
pub(crate) const WAITING_UPDATES: usize = 64;

/// A running provider.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Finds targets in one way, as one section of settings describes it.
pub trait Provider: Send {
    /// Looks for targets and sends what it finds, now and whenever it changes, until the future is
    /// dropped. A provider whose targets never change may end.
    ///
    /// A group sent replaces the one of the same source. A group without targets removes it; what is
    /// not sent stays as it was, so a provider that cannot look sends nothing.
    fn run(self: Box<Self>, out: Updates) -> Running;
}

pub(crate) type Update = (u64, Vec<TargetGroup>);

/// Where a provider sends what it finds.
#[derive(Clone, Debug)]
pub struct Updates {
    provider: u64,
    manager: mpsc::Sender<Update>,
}

impl Updates {
    pub(crate) fn new(provider: u64, manager: mpsc::Sender<Update>) -> Self {
        Self { provider, manager }
    }

    /// An end to send to and one to read from, to run a provider without a manager.
    #[must_use]
    pub fn pair() -> (Self, mpsc::Receiver<(u64, Vec<TargetGroup>)>) {
        let (sender, receiver) = mpsc::channel(WAITING_UPDATES);
        (Self::new(0, sender), receiver)
    }

    /// Sends groups; waits if the manager has enough to do.
    pub async fn send(&self, groups: Vec<TargetGroup>) {
        // A manager that is gone has dropped the provider too, or will.
        let _ = self.manager.send((self.provider, groups)).await;
    }
}
