//! What each module is doing: `/services` lists it, and `/ready` counts it while the server starts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use headwater_api_loki::ServiceState;

/// The states of modules in the order in which they were begun; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct States(Arc<Mutex<Vec<(&'static str, &'static str)>>>);

pub(crate) const NEW: &str = "New";
pub(crate) const STARTING: &str = "Starting";
pub(crate) const RUNNING: &str = "Running";
pub(crate) const STOPPING: &str = "Stopping";

impl States {
    /// Modules that are not begun yet.
    pub(crate) fn of(modules: &[&'static str]) -> Self {
        let all = modules.iter().map(|name| (*name, NEW)).collect();
        Self(Arc::new(Mutex::new(all)))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<(&'static str, &'static str)>)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Notes what a module is doing.
    pub(crate) fn set(&self, module: &str, state: &'static str) {
        self.change(|all| {
            let found = all.iter_mut().find(|(name, _)| *name == module);
            found.into_iter().for_each(|entry| entry.1 = state);
        });
    }

    /// All modules do the same.
    pub(crate) fn set_all(&self, state: &'static str) {
        self.change(|all| all.iter_mut().for_each(|entry| entry.1 = state));
    }

    /// The modules with their states.
    pub(crate) fn list(&self) -> Vec<ServiceState> {
        let mut list = Vec::new();
        self.change(|all| {
            list.extend(all.iter().map(|(name, state)| ServiceState {
                name: (*name).to_owned(),
                state: (*state).to_owned(),
            }));
        });
        list
    }

    /// What `/ready` says while not all modules run: how many are in each state.
    pub(crate) fn not_running(&self) -> Option<String> {
        let mut counts = BTreeMap::<&str, usize>::new();
        self.change(|all| {
            for (_, state) in all.iter() {
                *counts.entry(state).or_default() += 1;
            }
        });
        if counts.keys().all(|state| *state == RUNNING) {
            return None;
        }
        let mut text = String::from("Some services are not Running:\n");
        for (state, count) in counts.iter().rev() {
            let _ = writeln!(text, "{state}: {count}");
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_run_is_counted() {
        let states = States::of(&["server", "ring", "store"]);
        states.set("server", RUNNING);
        states.set("ring", STARTING);
        assert_eq!(
            states.not_running().unwrap(),
            "Some services are not Running:\nStarting: 1\nRunning: 1\nNew: 1\n"
        );
        states.set_all(RUNNING);
        assert_eq!(states.not_running(), None);
        assert_eq!(states.list()[1].state, "Running");
    }
}
