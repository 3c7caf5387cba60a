//! From labels to slot, striped so that threads seldom meet.

use hashbrown::HashTable;
use headwater_model::Labels;
use parking_lot::{RwLock, RwLockWriteGuard};

use super::slots::Slots;

const STRIPES: usize = 256;

/// A slot with half of its labels' hash, so that growing needs no labels.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    slot: u32,
}

/// Slots by labels.
#[derive(Debug)]
pub(crate) struct Lookup {
    stripes: Box<[RwLock<HashTable<Entry>>]>,
}

/// A stripe that is locked for a change.
pub(crate) struct Stripe<'l> {
    table: RwLockWriteGuard<'l, HashTable<Entry>>,
    slots: &'l Slots,
}

/// The low bits of the hash choose the stripe, the high bits the place in it.
fn table_hash(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn is(slots: &Slots, entry: &Entry, hash: u32, labels: &Labels) -> bool {
    entry.hash == hash
        && slots
            .get(entry.slot)
            .is_some_and(|slot| slot.lock().labels == *labels)
}

impl Lookup {
    pub(crate) fn new() -> Lookup {
        Lookup {
            stripes: (0..STRIPES).map(|_| RwLock::default()).collect(),
        }
    }

    fn stripe_of(&self, labels: &Labels) -> &RwLock<HashTable<Entry>> {
        &self.stripes[labels.hash64() as usize % STRIPES]
    }

    pub(crate) fn find(&self, slots: &Slots, labels: &Labels) -> Option<u32> {
        let hash = (labels.hash64() >> 32) as u32;
        let table = self.stripe_of(labels).read();
        let found = table.find(table_hash(hash), |e| is(slots, e, hash, labels));
        found.map(|entry| entry.slot)
    }

    pub(crate) fn lock<'l>(&'l self, slots: &'l Slots, labels: &Labels) -> Stripe<'l> {
        Stripe {
            table: self.stripe_of(labels).write(),
            slots,
        }
    }
}

impl Stripe<'_> {
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        let hash = (labels.hash64() >> 32) as u32;
        let found = self
            .table
            .find(table_hash(hash), |e| is(self.slots, e, hash, labels));
        found.map(|entry| entry.slot)
    }

    pub(crate) fn insert(&mut self, labels: &Labels, slot: u32) {
        let hash = (labels.hash64() >> 32) as u32;
        let entry = Entry { hash, slot };
        self.table
            .insert_unique(table_hash(hash), entry, |e| table_hash(e.hash));
    }

    pub(crate) fn remove(&mut self, labels: &Labels, slot: u32) {
        let hash = (labels.hash64() >> 32) as u32;
        if let Ok(entry) = self.table.find_entry(table_hash(hash), |e| e.slot == slot) {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_find_their_slot() {
        let (slots, lookup) = (Slots::new(), Lookup::new());
        let labels: Vec<Labels> = (0..500)
            .map(|i| Labels::from_pairs([("n", i.to_string())]))
            .collect();
        for labels in &labels {
            let slot = slots.allocate(0).unwrap();
            slots
                .get(slot)
                .unwrap()
                .lock()
                .begin(labels.clone(), 1, true);
            lookup.lock(&slots, labels).insert(labels, slot);
        }
        for (slot, labels) in labels.iter().enumerate() {
            assert_eq!(lookup.find(&slots, labels), Some(slot as u32));
        }
        lookup.lock(&slots, &labels[3]).remove(&labels[3], 3);
        assert_eq!(lookup.find(&slots, &labels[3]), None);
        assert_eq!(lookup.lock(&slots, &labels[4]).find(&labels[4]), Some(4));
    }
}
