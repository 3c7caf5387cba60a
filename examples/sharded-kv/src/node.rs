//! One node: what it keeps, and whether it answers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// A value and the number of the write that made it; the greater wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) value: String,
}

/// The data of one node. In a real store this is another machine.
#[derive(Debug)]
pub(crate) struct Node {
    data: Mutex<HashMap<String, Version>>,
    up: AtomicBool,
}

impl Node {
    pub(crate) fn new() -> Self {
        Self {
            data: Mutex::default(),
            up: AtomicBool::new(true),
        }
    }

    /// Makes the node fall silent.
    pub(crate) fn crash(&self) {
        self.up.store(false, Ordering::Relaxed);
    }

    fn is_up(&self) -> Option<()> {
        self.up.load(Ordering::Relaxed).then_some(())
    }

    /// Keeps a version unless a newer one is there; `None` if the node is silent.
    pub(crate) fn write(&self, key: &str, version: &Version) -> Option<()> {
        self.is_up()?;
        let mut data = self.data.lock();
        let held = data
            .entry(key.to_owned())
            .or_insert_with(|| version.clone());
        if held.number < version.number {
            *held = version.clone();
        }
        Some(())
    }

    /// The version it has, if any; `None` if the node is silent.
    pub(crate) fn read(&self, key: &str) -> Option<Option<Version>> {
        self.is_up()?;
        Some(self.data.lock().get(key).cloned())
    }

    /// Everything it has.
    pub(crate) fn contents(&self) -> Vec<(String, Version)> {
        let data = self.data.lock();
        data.iter()
            .map(|(key, version)| (key.clone(), version.clone()))
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.data.lock().len()
    }
}
