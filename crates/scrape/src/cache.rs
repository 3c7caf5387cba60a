//! What a target's last scrapes have taught: series by their bytes, and which are alive.
//!
//! One series may be known under several byte strings (spaces, order of labels), and comes
//! and goes as one. So bytes lead to slots, and a slot is one series of the store.

use hashbrown::HashMap;
use headwater_model::Labels;
use headwater_storage::SeriesRef;

/// Marks byte strings whose series the rules drop.
const DROPPED: u32 = u32::MAX;
/// Entries beyond twice those of the last good scrape that are tolerated while scrapes fail.
const SLACK: usize = 1000;

/// The cache of one target.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: HashMap<Box<[u8]>, Known>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    by_reference: HashMap<SeriesRef, u32>,
    /// Number of the scrape in progress, from 1.
    scrape: u64,
    /// Entries after the last good scrape.
    settled: usize,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    slot: u32,
    seen: u64,
}

/// One series.
#[derive(Debug)]
struct Slot {
    reference: SeriesRef,
    /// The last scrape that had a sample which counts for staleness.
    alive_in: u64,
    /// Alive after the last scrape that ended well: owed a stale marker when it vanishes.
    alive: bool,
    /// Number of byte strings that lead here.
    names: u32,
    labels: Labels,
}

/// What the cache knows about a byte string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    Unknown,
    Dropped,
    Series {
        slot: u32,
        reference: SeriesRef,
        /// The same bytes stood in this scrape before.
        again: bool,
    },
}

impl Cache {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.scrape += 1;
    }

    #[inline]
    pub(crate) fn look_up(&mut self, bytes: &[u8]) -> Lookup {
        let Some(known) = self.known.get_mut(bytes) else {
            return Lookup::Unknown;
        };
        let again = known.seen == self.scrape;
        known.seen = self.scrape;
        match known.slot {
            DROPPED => Lookup::Dropped,
            slot => Lookup::Series {
                slot,
                reference: self.slots[slot as usize].reference,
                again,
            },
        }
    }

    pub(crate) fn insert_dropped(&mut self, bytes: &[u8]) {
        self.known.insert(
            bytes.into(),
            Known {
                slot: DROPPED,
                seen: self.scrape,
            },
        );
    }

    /// Remembers a series and returns its slot.
    pub(crate) fn insert(&mut self, bytes: &[u8], reference: SeriesRef, labels: Labels) -> u32 {
        let slot = match self.by_reference.get(&reference) {
            Some(slot) => *slot,
            None => self.new_slot(reference, labels),
        };
        self.slots[slot as usize].names += 1;
        self.known.insert(
            bytes.into(),
            Known {
                slot,
                seen: self.scrape,
            },
        );
        slot
    }

    fn new_slot(&mut self, reference: SeriesRef, labels: Labels) -> u32 {
        let new = Slot {
            reference,
            alive_in: 0,
            alive: false,
            names: 0,
            labels,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                (self.slots.len() - 1) as u32
            }
        };
        self.by_reference.insert(reference, slot);
        slot
    }

    pub(crate) fn labels(&self, slot: u32) -> &Labels {
        &self.slots[slot as usize].labels
    }

    /// The store has forgotten the series and given it another reference.
    pub(crate) fn set_reference(&mut self, slot: u32, reference: SeriesRef) {
        let entry = &mut self.slots[slot as usize];
        self.by_reference.remove(&entry.reference);
        entry.reference = reference;
        self.by_reference.insert(reference, slot);
    }

    /// A sample of the series was accepted that counts for staleness.
    #[inline]
    pub(crate) fn mark_alive(&mut self, slot: u32) {
        self.slots[slot as usize].alive_in = self.scrape;
    }

    /// The series that were alive before and had no sample in this scrape.
    pub(crate) fn vanished(&self) -> impl Iterator<Item = (u32, SeriesRef)> {
        self.alive_before()
            .filter(|(slot, _)| self.slots[*slot as usize].alive_in != self.scrape)
    }

    /// The series that were alive after the last scrape.
    pub(crate) fn alive_before(&self) -> impl Iterator<Item = (u32, SeriesRef)> {
        let numbered = self.slots.iter().enumerate();
        numbered
            .filter(|(_, slot)| slot.alive)
            .map(|(at, slot)| (at as u32, slot.reference))
    }

    /// Ends a scrape whose samples are in the store: forgets what it did not have.
    pub(crate) fn end_well(&mut self) {
        for slot in &mut self.slots {
            slot.alive = slot.alive_in == self.scrape;
        }
        self.flush();
        self.settled = self.known.len();
    }

    /// Ends a scrape that brought nothing: every series is stale now. Byte strings are kept,
    /// because the next scrape will likely bring them again, unless failing scrapes made them
    /// too many; then true is returned.
    pub(crate) fn end_empty(&mut self) -> bool {
        self.slots.iter_mut().for_each(|slot| slot.alive = false);
        let grown = self.known.len() > 2 * self.settled + SLACK;
        if grown {
            self.flush();
            self.settled = self.known.len();
        }
        grown
    }

    /// Forgets byte strings that this scrape did not have, and series without any.
    fn flush(&mut self) {
        let (scrape, slots) = (self.scrape, &mut self.slots);
        self.known.retain(|_, known| {
            let keep = known.seen == scrape;
            if !keep && known.slot != DROPPED {
                slots[known.slot as usize].names -= 1;
            }
            keep
        });
        self.free_unused();
    }

    /// Forgets all byte strings: settings have changed and they may mean other series now.
    /// Living series are still owed their stale markers.
    pub(crate) fn forget_bytes(&mut self) {
        self.known.clear();
        self.slots.iter_mut().for_each(|slot| slot.names = 0);
        self.free_unused();
    }

    fn free_unused(&mut self) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let used = slot.names > 0 || slot.alive;
            if !used && self.by_reference.get(&slot.reference) == Some(&(at as u32)) {
                self.by_reference.remove(&slot.reference);
                slot.labels = Labels::empty();
                self.free.push(at as u32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(value: &str) -> Labels {
        Labels::from_pairs([("a", value)])
    }

    /// One good scrape with these (bytes, reference); returns what has vanished.
    fn scrape(cache: &mut Cache, series: &[(&str, u64)]) -> Vec<u64> {
        cache.begin();
        for (bytes, reference) in series {
            let slot = match cache.look_up(bytes.as_bytes()) {
                Lookup::Series { slot, .. } => slot,
                _ => cache.insert(bytes.as_bytes(), SeriesRef(*reference), labels(bytes)),
            };
            cache.mark_alive(slot);
        }
        let vanished = cache.vanished().map(|(_, reference)| reference.0).collect();
        cache.end_well();
        vanished
    }

    #[test]
    fn what_vanishes_is_told_once() {
        let mut cache = Cache::default();
        assert_eq!(scrape(&mut cache, &[("a", 1), ("b", 2)]), [0u64; 0]);
        assert_eq!(scrape(&mut cache, &[("a", 1)]), [2]);
        assert_eq!(scrape(&mut cache, &[("a", 1)]), [0u64; 0]);
        assert_eq!(scrape(&mut cache, &[("b", 2)]), [1]);
    }

    #[test]
    fn other_bytes_of_the_same_series_keep_it_alive() {
        let mut cache = Cache::default();
        scrape(&mut cache, &[("a", 1)]);
        assert_eq!(scrape(&mut cache, &[(" a", 1)]), [0u64; 0]);
        assert_eq!(scrape(&mut cache, &[]), [1]);
    }

    #[test]
    fn slots_are_used_again() {
        let mut cache = Cache::default();
        (1..100).for_each(|i| {
            scrape(&mut cache, &[(&i.to_string(), i)]);
        });
        assert!(cache.slots.len() <= 3, "{}", cache.slots.len());
        assert_eq!(cache.known.len(), 1);
    }

    #[test]
    fn an_empty_scrape_keeps_the_bytes() {
        let mut cache = Cache::default();
        scrape(&mut cache, &[("a", 1)]);
        cache.begin();
        assert_eq!(cache.alive_before().count(), 1);
        assert!(!cache.end_empty());
        assert_eq!(cache.alive_before().count(), 0);
        cache.begin();
        assert!(matches!(
            cache.look_up(b"a"),
            Lookup::Series { again: false, .. }
        ));
        assert!(matches!(
            cache.look_up(b"a"),
            Lookup::Series { again: true, .. }
        ));
    }

    #[test]
    fn failing_scrapes_do_not_fill_it() {
        let mut cache = Cache::default();
        let mut flushed = 0;
        for scrape in 0..20u64 {
            cache.begin();
            (0..SLACK as u64).for_each(|i| {
                let number = scrape * 10_000 + i;
                cache.insert(&number.to_le_bytes(), SeriesRef(number), labels("x"));
            });
            flushed += usize::from(cache.end_empty());
        }
        assert!(flushed > 0);
        assert!(cache.known.len() <= 4 * SLACK, "{}", cache.known.len());
        assert!(cache.slots.len() <= 4 * SLACK, "{}", cache.slots.len());
    }

    #[test]
    fn forgotten_bytes_leave_living_series() {
        let mut cache = Cache::default();
        scrape(&mut cache, &[("a", 1), ("b", 2)]);
        cache.forget_bytes();
        cache.begin();
        assert_eq!(cache.look_up(b"a"), Lookup::Unknown);
        let slot = cache.insert(b"a", SeriesRef(1), labels("a"));
        cache.mark_alive(slot);
        assert_eq!(
            cache
                .vanished()
                .map(|(_, reference)| reference.0)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
