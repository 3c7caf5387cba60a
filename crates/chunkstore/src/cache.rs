//! Decoded blocks that were asked for lately, bounded in bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use crate::part::Rows;

/// A block of a part, and whether its lines are decoded.
pub(crate) type Key = (u64, u32, bool);

/// Blocks by part and number. A block is kept when it is asked for again soon, so that a walk over
/// everything neither fills the cache nor pushes out what is asked often. The oldest go first, but one
/// that was asked for since it came, or since it was last spared, is spared once.
#[derive(Debug)]
pub(crate) struct BlockCache {
    max_bytes: usize,
    state: Mutex<State>,
    hits: AtomicU64,
    misses: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    blocks: HashMap<Key, Kept>,
    order: VecDeque<Key>,
    bytes: usize,
    /// Blocks that were asked for lately and were not there.
    missed: HashSet<Key>,
    missed_order: VecDeque<Key>,
    /// Blocks that were asked for twice: they are kept once they are decoded.
    again: HashSet<Key>,
}

/// Misses that are remembered: a block is kept if it is asked for twice within so many.
const MISSES: usize = 4096;

#[derive(Debug)]
struct Kept {
    rows: Arc<Rows>,
    bytes: usize,
    asked: bool,
}

impl BlockCache {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<Rows>> {
        let mut state = self.state.lock();
        let found = state.blocks.get_mut(&key).map(|kept| {
            kept.asked = true;
            kept.rows.clone()
        });
        if found.is_none() {
            state.note_miss(key);
        }
        let count = if found.is_some() {
            &self.hits
        } else {
            &self.misses
        };
        count.fetch_add(1, Ordering::Relaxed);
        found
    }

    pub(crate) fn put(&self, key: Key, rows: &Arc<Rows>) {
        let bytes = rows.bytes();
        let mut state = self.state.lock();
        // One that would push out much of what is there is not kept.
        if bytes > self.max_bytes / 4 || !state.again.remove(&key) {
            return;
        }
        let kept = Kept {
            rows: rows.clone(),
            bytes,
            asked: false,
        };
        match state.blocks.insert(key, kept) {
            Some(before) => state.bytes -= before.bytes,
            None => state.order.push_back(key),
        }
        state.bytes += bytes;
        while state.bytes > self.max_bytes && state.drop_one() {}
    }

    /// Forgets the blocks of parts that are gone.
    pub(crate) fn forget(&self, part: u64) {
        let mut state = self.state.lock();
        let State {
            blocks,
            order,
            bytes,
            ..
        } = &mut *state;
        order.retain(|key| key.0 != part);
        blocks.retain(|key, kept| {
            let stays = key.0 != part;
            if !stays {
                *bytes -= kept.bytes;
            }
            stays
        });
    }

    /// Bytes held, questions answered from here, and those that were not.
    pub(crate) fn counts(&self) -> (usize, u64, u64) {
        let bytes = self.state.lock().bytes;
        (
            bytes,
            self.hits.load(Ordering::Relaxed),
            self.misses.load(Ordering::Relaxed),
        )
    }
}

impl State {
    fn note_miss(&mut self, key: Key) {
        if !self.missed.insert(key) {
            self.again.insert(key);
            return;
        }
        self.missed_order.push_back(key);
        if self.missed_order.len() > MISSES
            && let Some(oldest) = self.missed_order.pop_front()
        {
            self.missed.remove(&oldest);
            self.again.remove(&oldest);
        }
    }

    fn drop_one(&mut self) -> bool {
        while let Some(key) = self.order.pop_front() {
            let Some(kept) = self.blocks.get_mut(&key) else {
                continue;
            };
            if std::mem::take(&mut kept.asked) {
                self.order.push_back(key);
                continue;
            }
            self.bytes -= kept.bytes;
            self.blocks.remove(&key);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(bytes: usize) -> Arc<Rows> {
        Arc::new(Rows {
            text: vec![0; bytes],
            ..Rows::default()
        })
    }

    /// Asks for a block, and again, and puts it in.
    fn ask_twice(cache: &BlockCache, key: Key, bytes: usize) {
        assert!(cache.get(key).is_none());
        cache.put(key, &rows(bytes));
        assert!(cache.get(key).is_none(), "kept only if asked for again");
        cache.put(key, &rows(bytes));
    }

    #[test]
    fn stays_below_its_bound_and_spares_what_is_asked_for() {
        let bound = 1000 + 5 * size_of::<Rows>();
        let cache = BlockCache::new(bound);
        for number in 0..10 {
            ask_twice(&cache, (1, number, true), 200);
            assert!(
                cache.get((1, 0, true)).is_some(),
                "asked for again and again"
            );
        }
        assert!(cache.counts().0 <= bound);
        assert!(cache.get((1, 1, true)).is_none() && cache.get((1, 9, true)).is_some());
        ask_twice(&cache, (2, 0, true), bound);
        assert!(cache.get((2, 0, true)).is_none(), "too large to be kept");
        cache.forget(1);
        assert_eq!(cache.counts().0, 0);
        assert!(cache.get((1, 0, true)).is_none());
    }
}
