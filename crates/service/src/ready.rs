//! Whether a server may be asked.

use std::sync::Arc;

use tokio::sync::watch;

/// How far a server has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Still replaying or loading: health checks may be asked, data may not.
    #[default]
    NotReady,
    /// Everything may be asked.
    Ready,
    /// On its way out; it does not come back.
    Stopping,
}

/// The state of one server, shared by all who set it or ask for it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::NotReady)))
    }
}

impl Readiness {
    /// A server that is not ready yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The state now.
    #[must_use]
    pub fn get(&self) -> State {
        *self.0.borrow()
    }

    /// Sets the state. Nothing follows [`State::Stopping`].
    pub fn set(&self, state: State) {
        self.0.send_if_modified(|now| {
            let changes = *now != state && *now != State::Stopping;
            if changes {
                *now = state;
            }
            changes
        });
    }

    /// Resolves once the state is `wanted` or the server is stopping; answers which.
    pub async fn wait_for(&self, wanted: State) -> State {
        let mut states = self.0.subscribe();
        let reached = states
            .wait_for(|now| *now == wanted || *now == State::Stopping)
            .await;
        // The sender is ours, so there is always somebody to tell.
        reached.map_or(State::Stopping, |state| *state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_wait_are_told() {
        let readiness = Readiness::new();
        let other = readiness.clone();
        let waiting = tokio::spawn(async move { other.wait_for(State::Ready).await });
        readiness.set(State::Ready);
        assert_eq!(waiting.await.unwrap(), State::Ready);
    }

    #[tokio::test]
    async fn stopping_is_final_and_ends_all_waiting() {
        let readiness = Readiness::new();
        readiness.set(State::Stopping);
        readiness.set(State::Ready);
        assert_eq!(readiness.get(), State::Stopping);
        assert_eq!(readiness.wait_for(State::Ready).await, State::Stopping);
    }
}
