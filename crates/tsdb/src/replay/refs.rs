//! From the numbers of the log to slots, and what the slots have already.

use hashbrown::HashMap;
use headwater_model::Timestamp;

/// Numbers are dense in a young log and sparse in one that has seen many
/// series come and go: small ones are kept in an array, the rest in a map.
#[derive(Debug, Default)]
pub(crate) struct Refs {
    dense: Vec<u32>,
    sparse: HashMap<u64, u32>,
    known: u64,
}

const NONE: u32 = u32::MAX;
/// The array may have this many places per known number, and this many
/// anyway.
const PLACES_PER_NUMBER: u64 = 8;
const PLACES: u64 = 1 << 16;

impl Refs {
    #[inline]
    pub(crate) fn get(&self, reference: u64) -> Option<u32> {
        match self.dense.get(reference as usize) {
            Some(&slot) if slot != NONE => Some(slot),
            _ => self.get_sparse(reference),
        }
    }

    fn get_sparse(&self, reference: u64) -> Option<u32> {
        self.sparse.get(&reference).copied()
    }

    pub(crate) fn insert(&mut self, reference: u64, slot: u32) {
        self.known += 1;
        if reference >= PLACES + self.known * PLACES_PER_NUMBER {
            self.sparse.insert(reference, slot);
            return;
        }
        let at = reference as usize;
        if self.dense.len() <= at {
            self.dense.resize(at + 1, NONE);
        }
        self.dense[at] = slot;
        // A number may have been too far away when it was first seen.
        self.sparse.remove(&reference);
    }
}

/// Up to which time the chunks in files have the samples of series: the log
/// has them, too, and most of them need not be looked at twice.
#[derive(Debug, Default)]
pub(crate) struct MappedUntil {
    /// By slot.
    times: Vec<Timestamp>,
}

impl MappedUntil {
    /// The series in `slot` has all its samples up to `time`.
    pub(crate) fn note(&mut self, slot: u32, time: Timestamp) {
        let at = slot as usize;
        if self.times.len() <= at {
            self.times.resize(at + 1, Timestamp::MIN);
        }
        self.times[at] = self.times[at].max(time);
    }

    /// The series in `slot` has none of its samples any more.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(until) = self.times.get_mut(slot as usize) {
            *until = Timestamp::MIN;
        }
    }

    /// Whether the series in `slot` has its sample of this time.
    #[inline]
    pub(crate) fn has(&self, slot: u32, time: Timestamp) -> bool {
        let until = self.times.get(slot as usize);
        until.is_some_and(|until| time <= *until && *until != Timestamp::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_numbers_are_found() {
        let mut refs = Refs::default();
        let numbers = [1, 2, 70_000, u64::MAX, 1 << 40, PLACES + 20];
        for (slot, number) in numbers.iter().enumerate() {
            refs.insert(*number, slot as u32);
        }
        for (slot, number) in numbers.iter().enumerate() {
            assert_eq!(refs.get(*number), Some(slot as u32));
        }
        assert_eq!(refs.get(3), None);
        assert_eq!(refs.get(1 << 41), None);
        assert!(refs.dense.len() < 200_000);
        refs.insert(1, 9);
        assert_eq!(refs.get(1), Some(9));
    }

    #[test]
    fn mapped_samples_are_known_by_series() {
        let mut mapped = MappedUntil::default();
        assert!(!mapped.has(0, Timestamp::MIN));
        mapped.note(2, 10);
        mapped.note(2, 5);
        assert!(mapped.has(2, 10) && mapped.has(2, -3) && !mapped.has(2, 11));
        assert!(!mapped.has(1, Timestamp::MIN) && !mapped.has(3, 0));
        mapped.forget(2);
        mapped.forget(7);
        assert!(!mapped.has(2, 10));
    }
}
