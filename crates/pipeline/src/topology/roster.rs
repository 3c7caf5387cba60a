//! Which plugin threads run, and how they ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// What a plugin's thread is at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    Starting,
    Running,
    /// Ended as it should, or was told to.
    Ended,
    /// Ended with an error.
    Failed(String),
}

impl Stage {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Stage::Ended | Stage::Failed(_))
    }
}

#[derive(Debug, Default)]
struct State {
    stages: BTreeMap<Arc<str>, Stage>,
    /// The first failure that ends the pipeline.
    fatal: Option<String>,
}

/// Stages of all plugin threads. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Roster {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Roster {
    pub(super) fn set(&self, name: &Arc<str>, stage: Stage) {
        self.shared.0.lock().stages.insert(name.clone(), stage);
        self.shared.1.notify_all();
    }

    pub(super) fn forget(&self, name: &str) {
        self.shared.0.lock().stages.remove(name);
    }

    pub(super) fn fatal(&self, reason: String) {
        self.shared.0.lock().fatal.get_or_insert(reason);
        self.shared.1.notify_all();
    }

    /// Waits until none of `names` is starting. The first that failed.
    pub(super) fn wait_started(&self, names: &[Arc<str>]) -> Result<(), String> {
        let mut state = self.shared.0.lock();
        let starting = |state: &mut State| {
            names
                .iter()
                .any(|name| state.stages.get(name) == Some(&Stage::Starting))
        };
        self.shared.1.wait_while(&mut state, starting);
        for name in names {
            if let Some(Stage::Failed(reason)) = state.stages.get(name) {
                return Err(format!("[{name}] {reason}"));
            }
        }
        Ok(())
    }

    /// Waits until all of `names` are over, at most until `deadline`. Those
    /// that are not.
    pub(super) fn wait_over(&self, names: &[Arc<str>], deadline: Instant) -> Vec<Arc<str>> {
        let mut state = self.shared.0.lock();
        let left = |state: &State| -> Vec<Arc<str>> {
            let over = |name: &Arc<str>| state.stages.get(name).is_none_or(Stage::is_over);
            names.iter().filter(|name| !over(name)).cloned().collect()
        };
        loop {
            let still = left(&state);
            if still.is_empty() || self.shared.1.wait_until(&mut state, deadline).timed_out() {
                return left(&state);
            }
        }
    }

    /// Waits for a failure that ends the pipeline.
    pub(super) fn wait_fatal(&self, timeout: Duration) -> Option<String> {
        let mut state = self.shared.0.lock();
        let healthy = |state: &mut State| state.fatal.is_none();
        self.shared.1.wait_while_for(&mut state, healthy, timeout);
        state.fatal.clone()
    }
}
