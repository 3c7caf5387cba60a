//! Readers see batches whole or not at all.
//!
//! Commits are numbered and follow one another. A reader remembers the last
//! number that was complete when it began, and each series remembers at which
//! time the samples of its latest commits begin: what a reader must not see
//! is a tail of the series, cut off by time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_model::Timestamp;
use parking_lot::Mutex;

/// The number of a commit; 0 is what was there at the start.
pub(crate) type CommitId = u64;

/// Which commits are complete and which readers are about.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    completed: AtomicU64,
    readers: Mutex<Readers>,
}

/// The readers that are about.
#[derive(Debug, Default)]
struct Readers {
    /// How many there are by the last commit that they see.
    by_commit: BTreeMap<CommitId, usize>,
    /// How many there are by the epoch in which they began.
    by_epoch: BTreeMap<u64, usize>,
    epoch: u64,
}

fn add<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    *counts.entry(key).or_insert(0) += 1;
}

fn remove<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// A reader's view. While it lives, series keep what they need for it.
#[derive(Debug)]
pub(crate) struct Snapshot {
    isolation: Arc<Isolation>,
    pub(crate) sees: CommitId,
    epoch: u64,
}

impl Isolation {
    /// Begins to read.
    pub(crate) fn snapshot(self: &Arc<Isolation>) -> Snapshot {
        let mut readers = self.readers.lock();
        let sees = self.completed.load(Ordering::Acquire);
        let epoch = readers.epoch;
        add(&mut readers.by_commit, sees);
        add(&mut readers.by_epoch, epoch);
        Snapshot {
            isolation: Arc::clone(self),
            sees,
            epoch,
        }
    }

    /// Begins an epoch. What was replaced before it, as by a block, may go
    /// once no reader of an earlier one is left.
    pub(crate) fn new_epoch(&self) -> u64 {
        let mut readers = self.readers.lock();
        readers.epoch += 1;
        readers.epoch
    }

    /// Whether there are readers that began before an epoch.
    pub(crate) fn has_readers_before(&self, epoch: u64) -> bool {
        let readers = self.readers.lock();
        readers
            .by_epoch
            .keys()
            .next()
            .is_some_and(|first| *first < epoch)
    }

    /// Begins a commit: its number, and the first number whose traces series
    /// must keep. Commits are begun and completed one at a time.
    pub(crate) fn begin(&self) -> (CommitId, CommitId) {
        let id = self.completed.load(Ordering::Acquire) + 1;
        (id, self.oldest_reader() + 1)
    }

    /// Completes the commit: readers that begin from now on see it.
    pub(crate) fn complete(&self, id: CommitId) {
        self.completed.store(id, Ordering::Release);
    }

    /// The last commit that the oldest reader sees, or the last complete one.
    pub(crate) fn oldest_reader(&self) -> CommitId {
        let readers = self.readers.lock();
        let completed = self.completed.load(Ordering::Acquire);
        let first = readers.by_commit.keys().next();
        first.copied().unwrap_or(completed)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        let mut readers = self.isolation.readers.lock();
        remove(&mut readers.by_commit, &self.sees);
        remove(&mut readers.by_epoch, &self.epoch);
    }
}

/// The latest commit of one series: number and time of the first sample.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trace {
    last: CommitId,
    time: Timestamp,
}

/// Earlier ones that some reader must not see, oldest first.
pub(crate) type PastCommits = Vec<(CommitId, Timestamp)>;

/// What became of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    /// It is the commit that was there.
    Same,
    /// The one that was there, some reader must not see.
    Keep(CommitId, Timestamp),
    /// Nobody needs those that were there.
    Forget,
}

impl Trace {
    /// Notes that commit `id` has appended a sample at `time`.
    #[inline]
    pub(crate) fn note(&mut self, id: CommitId, keep_from: CommitId, time: Timestamp) -> Noted {
        let before = *self;
        if before.last == id {
            return Noted::Same;
        }
        *self = Trace { last: id, time };
        match before.last >= keep_from && before.last != 0 {
            true => Noted::Keep(before.last, before.time),
            false => Noted::Forget,
        }
    }

    /// The last time that a reader may see: before the first commit that was
    /// not complete when it began.
    pub(crate) fn visible_until(
        &self,
        past: &[(CommitId, Timestamp)],
        sees: CommitId,
    ) -> Timestamp {
        past.iter()
            .copied()
            .chain([(self.last, self.time)])
            .find(|(id, _)| *id > sees)
            .map_or(Timestamp::MAX, |(_, time)| time.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_wait_for_their_readers() {
        let isolation = Arc::new(Isolation::default());
        let early = isolation.snapshot();
        let epoch = isolation.new_epoch();
        let late = isolation.snapshot();
        assert!(isolation.has_readers_before(epoch));
        drop(early);
        assert!(!isolation.has_readers_before(epoch));
        assert!(isolation.has_readers_before(isolation.new_epoch()));
        drop(late);
    }
}
