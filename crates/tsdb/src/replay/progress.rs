//! How far a replay has come, and how it is told to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headwater_storage::{Error, ErrorKind, Result};

/// Shared by a replay and those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    first: AtomicU64,
    last: AtomicU64,
    current: AtomicU64,
    stop: AtomicBool,
}

impl Progress {
    /// The log has these segments.
    pub(super) fn begin(&self, first: u64, last: u64) {
        self.first.store(first, Ordering::Relaxed);
        self.last.store(last, Ordering::Relaxed);
        self.current.store(first, Ordering::Relaxed);
    }

    /// Records of a segment have been read.
    ///
    /// # Errors
    /// The replay has to end.
    pub(super) fn reached(&self, segment: u64) -> Result<()> {
        self.current.store(segment, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Error::new(ErrorKind::Canceled, "the store was closed")),
            false => Ok(()),
        }
    }

    /// First, last and current segment.
    pub(crate) fn segments(&self) -> (u64, u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.first), read(&self.last), read(&self.current))
    }

    /// Whether the replay has been told to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells the replay to stop.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
