//! The order of series by their labels, kept from query to query.
//!
//! To sort ten thousand series by text takes longer than to sum them up. So the places of those
//! that were sorted once are remembered, and series that come new are put between them. What
//! nobody asks for in order takes no room.

use std::sync::Arc;

use headwater_model::Labels;
use parking_lot::Mutex;

use super::Head;

/// Places of series in the order of their labels. Eight bytes a series that was sorted once, and
/// four a slot before the last such one.
#[derive(Debug, Default)]
pub(crate) struct Ranks {
    /// Slots in order. Those that were forgotten since are still in it.
    order: Vec<u32>,
    /// By slot: one more than its place in `order`; 0 if it has none.
    places: Vec<u32>,
}

/// Ranks that an index shares with those who sort.
pub(crate) type SharedRanks = Arc<Mutex<Ranks>>;

impl Ranks {
    /// The series of a slot is gone: another one may come.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(place) = self.places.get_mut(slot as usize) {
            *place = 0;
        }
    }

    /// Bytes that this takes.
    pub(crate) fn heap_bytes(&self) -> usize {
        (self.order.capacity() + self.places.capacity()) * size_of::<u32>()
    }

    /// Sorts slots by their labels; leaves out those that have none any more.
    fn sort(&mut self, slots: &[u32], labels: impl Fn(u32) -> Option<Labels>) -> Vec<u32> {
        let unknown = slots.iter().copied().filter(|slot| self.place(*slot) == 0);
        let mut new: Vec<(Labels, u32)> = unknown
            .filter_map(|slot| labels(slot).map(|labels| (labels, slot)))
            .collect();
        if !new.is_empty() {
            new.sort_unstable();
            self.add(&new, labels);
        }
        // Place and slot in one number sort faster than anything else.
        let keyed = slots
            .iter()
            .map(|slot| u64::from(self.place(*slot)) << 32 | u64::from(*slot));
        let mut keyed: Vec<u64> = keyed.filter(|key| key >> 32 != 0).collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|key| key as u32).collect()
    }

    fn place(&self, slot: u32) -> u32 {
        self.places.get(slot as usize).copied().unwrap_or(0)
    }

    /// Whether the slot at a place of the order still has the series that was put there.
    fn is_current(&self, at: usize) -> bool {
        self.place(self.order[at]) as usize == at + 1
    }

    /// Puts series, in order, between those that are here.
    fn add(&mut self, new: &[(Labels, u32)], labels: impl Fn(u32) -> Option<Labels>) {
        let mut order = Vec::with_capacity(self.order.len() + new.len());
        let mut from = 0;
        let keep = |order: &mut Vec<u32>, from: usize, to: usize| {
            let current = (from..to).filter(|at| self.is_current(*at));
            order.extend(current.map(|at| self.order[at]));
        };
        for (wanted, slot) in new {
            let to = self.end_of_smaller(from, wanted, &labels);
            keep(&mut order, from, to);
            order.push(*slot);
            from = to;
        }
        keep(&mut order, from, self.order.len());
        let slots = order.iter().max().map_or(0, |slot| *slot as usize + 1);
        self.places.resize(self.places.len().max(slots), 0);
        for (at, slot) in order.iter().enumerate() {
            self.places[*slot as usize] = at as u32 + 1;
        }
        self.order = order;
    }

    /// The first place from `from` on whose labels are not below `wanted`: steps grow twofold, as
    /// the next one is mostly near.
    fn end_of_smaller(
        &self,
        from: usize,
        wanted: &Labels,
        labels: &impl Fn(u32) -> Option<Labels>,
    ) -> usize {
        // What is forgotten has no labels to compare: the next that has some stands for it.
        let smaller = |at: usize| {
            let current = (at..self.order.len()).filter(|at| self.is_current(*at));
            let mut found = current.filter_map(|at| labels(self.order[at]));
            found.next().is_some_and(|labels| labels < *wanted)
        };
        let (mut low, mut step) = (from, 1);
        while low + step <= self.order.len() && smaller(low + step - 1) {
            low += step;
            step *= 2;
        }
        let mut high = (low + step - 1).min(self.order.len());
        while low < high {
            let middle = low.midpoint(high);
            match smaller(middle) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }
}

impl Head {
    /// The labels of the series that has the same, so that memory is shared.
    pub(crate) fn labels_like(&self, labels: &Labels) -> Option<Labels> {
        let series = self.slots.get(self.find(labels)?)?.lock();
        (series.labels == *labels).then(|| series.labels.clone())
    }

    /// Sorts the slots of series by labels; those whose series is gone are left out.
    pub(crate) fn in_order(&self, slots: &[u32]) -> Vec<u32> {
        let ranks = Arc::clone(self.index.read().ranks());
        let labels = |slot: u32| {
            let series = self.slots.get(slot)?.lock();
            series.alive.then(|| series.labels.clone())
        };
        ranks.lock().sort(slots, labels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Series come, go, and come into slots of others; some go while they are sorted.
        #[test]
        fn slots_come_in_the_order_of_their_labels(
            rounds in proptest::collection::vec(
                (proptest::collection::btree_map(0u32..60, 0u32..1000, 0..40), proptest::collection::btree_set(0u32..60, 0..30)),
                1..12,
            ),
        ) {
            let mut ranks = Ranks::default();
            let mut alive: std::collections::BTreeMap<u32, Labels> = Default::default();
            for (change, asked) in rounds {
                for (slot, name) in change {
                    // Labels of two series are never the same.
                    let labels = Labels::from_pairs([("a", name.to_string()), ("slot", slot.to_string())]);
                    match name % 3 {
                        0 => drop(alive.remove(&slot)),
                        _ => drop(alive.insert(slot, labels)),
                    }
                    if name % 7 != 0 || alive.contains_key(&slot) {
                        ranks.forget(slot);
                    }
                }
                let asked: Vec<u32> = asked.into_iter().collect();
                let found = ranks.sort(&asked, |slot| alive.get(&slot).cloned());
                let found: Vec<u32> = found.into_iter().filter(|slot| alive.contains_key(slot)).collect();
                let mut expected: Vec<u32> = asked.iter().copied().filter(|slot| alive.contains_key(slot)).collect();
                expected.sort_by_key(|slot| alive[slot].clone());
                prop_assert_eq!(found, expected);
            }
            prop_assert!(ranks.order.len() <= 60);
        }
    }
}
