//! Sets of slots: which series have a label.

use roaring::RoaringBitmap;

/// A set larger than this is kept as a bitmap.
const FEW: usize = 64;

/// The series of one label pair. Most pairs belong to very few series
/// (instances, ids), a few to very many (jobs), so there is a form for each.
#[derive(Clone, Debug)]
pub(crate) enum Postings {
    One(u32),
    /// Sorted.
    Few(Vec<u32>),
    Many(Box<RoaringBitmap>),
}

impl Postings {
    pub(crate) fn insert(&mut self, slot: u32) {
        match self {
            Postings::One(one) if *one == slot => {}
            Postings::One(one) => {
                *self = Postings::Few(vec![slot.min(*one), slot.max(*one)]);
            }
            Postings::Few(few) => {
                if let Err(at) = few.binary_search(&slot) {
                    few.insert(at, slot);
                }
                if few.len() > FEW {
                    *self = Postings::Many(Box::new(few.iter().copied().collect()));
                }
            }
            Postings::Many(many) => {
                many.insert(slot);
            }
        }
    }

    /// Removes a slot; says whether the set is empty now.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        match self {
            Postings::One(one) => *one == slot,
            Postings::Few(few) => {
                few.retain(|s| *s != slot);
                few.is_empty()
            }
            Postings::Many(many) => {
                many.remove(slot);
                many.is_empty()
            }
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Postings::One(_) => 1,
            Postings::Few(few) => few.len() as u64,
            Postings::Many(many) => many.len(),
        }
    }

    /// The sum of something over all slots.
    pub(crate) fn sum(&self, of: impl Fn(u32) -> u64) -> u64 {
        match self {
            Postings::One(one) => of(*one),
            Postings::Few(few) => few.iter().map(|slot| of(*slot)).sum(),
            Postings::Many(many) => many.iter().map(of).sum(),
        }
    }

    /// Bytes beside the postings themselves.
    pub(crate) fn heap_bytes(&self) -> u64 {
        match self {
            Postings::One(_) => 0,
            Postings::Few(few) => 4 * few.capacity() as u64,
            Postings::Many(many) => many.serialized_size() as u64,
        }
    }

    /// Adds the set to `into`.
    pub(crate) fn add_to(&self, into: &mut RoaringBitmap) {
        match self {
            Postings::One(one) => {
                into.insert(*one);
            }
            Postings::Few(few) => into.extend(few),
            Postings::Many(many) => *into |= &**many,
        }
    }

    /// Keeps in `set` what is in these postings too.
    pub(crate) fn keep_in(&self, set: &mut RoaringBitmap) {
        match self {
            Postings::Many(many) => *set &= &**many,
            few => {
                let mut kept = RoaringBitmap::new();
                few.add_to(&mut kept);
                *set &= kept;
            }
        }
    }

    /// Whether any slot is in `set` too.
    pub(crate) fn meets(&self, set: &RoaringBitmap) -> bool {
        match self {
            Postings::One(one) => set.contains(*one),
            Postings::Few(few) => few.iter().any(|slot| set.contains(*slot)),
            Postings::Many(many) => !many.is_disjoint(set),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(slots: &BTreeSet<u32>) -> Option<Postings> {
        let mut rest = slots.iter().rev();
        let mut postings = Postings::One(*rest.next()?);
        rest.for_each(|slot| postings.insert(*slot));
        Some(postings)
    }

    fn bitmap(slots: &BTreeSet<u32>) -> RoaringBitmap {
        slots.iter().copied().collect()
    }

    proptest! {
        #[test]
        fn behave_as_sets(
            a in proptest::collection::btree_set(0u32..300, 1..150),
            b in proptest::collection::btree_set(0u32..300, 0..150),
        ) {
            let postings = of(&a).unwrap();
            prop_assert_eq!(postings.len(), a.len() as u64);
            let mut sum = bitmap(&b);
            postings.add_to(&mut sum);
            prop_assert_eq!(sum, bitmap(&a) | bitmap(&b));
            let mut both = bitmap(&b);
            postings.keep_in(&mut both);
            prop_assert_eq!(&both, &(bitmap(&a) & bitmap(&b)));
            prop_assert_eq!(postings.meets(&bitmap(&b)), !both.is_empty());
        }

        #[test]
        fn empty_when_the_last_is_removed(a in proptest::collection::btree_set(0u32..300, 1..150)) {
            let mut postings = of(&a).unwrap();
            let mut left = a.len();
            for slot in &a {
                left -= 1;
                prop_assert_eq!(postings.remove(*slot), left == 0);
            }
        }
    }
}
