//! Which series a run of label bytes was last time.
//!
//! A sender writes the labels of a series the same way every time, so their bytes are hashed as they
//! came, and the hash leads to the series. 96 bits of the hash are compared and the labels are not:
//! with ten million series the chance that any two of them are taken for each other is below 10^-14.
//! The hash is keyed with random bytes of this process, so that nobody can prepare two series that
//! collide; and who may write may write to any series anyway.

use std::hash::{BuildHasher, Hasher, RandomState};

use hashbrown::HashTable;
use headwater_storage::SeriesRef;
use parking_lot::{RwLock, RwLockReadGuard};
use xxhash_rust::xxh3::xxh3_128_with_secret;

/// The most series that are remembered: those of the younger half, and as many older ones. An
/// entry takes 24 bytes.
const MAX_REMEMBERED: usize = 1 << 21;

const SECRET_BYTES: usize = 192;

/// Stands for the labels of a series as they were sent. In words of 32 bits, so that what is
/// remembered of a series has no gaps: of a million series that is nine megabytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key([u32; 3]);

impl Key {
    fn of(hash: u128) -> Self {
        Self([hash as u32, (hash >> 32) as u32, (hash >> 64) as u32])
    }

    /// Where it is in a table.
    #[inline]
    fn place(self) -> u64 {
        u64::from(self.0[1]) << 32 | u64::from(self.0[0])
    }

    pub(super) fn bytes(self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (into, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            *into = word.to_le_bytes();
        }
        bytes
    }
}

/// What is remembered of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) key: Key,
    /// A hash of the metadata that came with it last; 0 for none.
    pub(super) metadata: u32,
    pub(super) series: SeriesRef,
}

/// The most recently written series in two halves: when the younger is full it becomes the older,
/// and what was in the older is forgotten unless it was used again.
#[derive(Default)]
struct Halves {
    young: HashTable<Known>,
    old: HashTable<Known>,
}

/// Series by the bytes of their labels.
pub(super) struct SeriesCache {
    secret: [u8; SECRET_BYTES],
    half: usize,
    halves: RwLock<Halves>,
}

impl SeriesCache {
    pub(super) fn new() -> Self {
        Self::of_size(MAX_REMEMBERED)
    }

    fn of_size(most: usize) -> Self {
        let mut secret = [0; SECRET_BYTES];
        for (at, word) in secret.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut hasher = RandomState::new().build_hasher();
            hasher.write_usize(at);
            *word = hasher.finish().to_le_bytes();
        }
        Self {
            secret,
            half: most / 2,
            halves: RwLock::default(),
        }
    }

    #[inline]
    pub(super) fn key(&self, labels: &[u8]) -> Key {
        Key::of(xxh3_128_with_secret(labels, &self.secret))
    }

    /// For many lookups under one lock.
    pub(super) fn view(&self) -> View<'_> {
        View(self.halves.read())
    }

    /// Remembers series, or what has changed about them.
    pub(super) fn remember(&self, series: impl Iterator<Item = Known>) {
        let mut halves = self.halves.write();
        for known in series {
            halves.put(known, self.half);
        }
    }
}

impl Halves {
    fn put(&mut self, known: Known, most: usize) {
        if let Some(there) = self
            .young
            .find_mut(known.key.place(), |k| k.key == known.key)
        {
            *there = known;
            return;
        }
        if self.young.len() >= most {
            self.old = std::mem::take(&mut self.young);
        }
        self.young
            .insert_unique(known.key.place(), known, |k| k.key.place());
    }
}

/// The cache while nothing is added to it.
pub(super) struct View<'c>(RwLockReadGuard<'c, Halves>);

impl View<'_> {
    /// What is known of a series, and whether that is about to be forgotten.
    #[inline]
    pub(super) fn find(&self, key: Key) -> Option<(Known, bool)> {
        if let Some(known) = self.0.young.find(key.place(), |k| k.key == key) {
            return Some((*known, false));
        }
        let known = self.0.old.find(key.place(), |k| k.key == key)?;
        Some((*known, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(cache: &SeriesCache, name: &str, series: u64) -> Known {
        Known {
            key: cache.key(name.as_bytes()),
            metadata: 0,
            series: SeriesRef(series),
        }
    }

    #[test]
    fn an_entry_has_no_gaps() {
        assert_eq!(size_of::<Known>(), 24);
    }

    #[test]
    fn keys_stand_for_bytes() {
        let cache = SeriesCache::of_size(10);
        for length in [0, 1, 16, 17, 128, 129, 240, 241, 1000] {
            let bytes = vec![7u8; length];
            assert_eq!(cache.key(&bytes), cache.key(&bytes.clone()));
            let mut other = bytes.clone();
            other.push(0);
            assert_ne!(cache.key(&bytes), cache.key(&other));
        }
        assert_ne!(cache.key(b"a"), SeriesCache::of_size(10).key(b"a"));
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let cache = SeriesCache::of_size(4);
        let names = ["a", "b", "c", "d", "e"];
        for (at, name) in names.iter().enumerate() {
            let entry = known(&cache, name, at as u64);
            cache.remember(std::iter::once(entry));
        }
        let found = |name: &str| cache.view().find(cache.key(name.as_bytes()));
        assert!(found("a").is_none() && found("b").is_none());
        assert!(matches!(
            found("c"),
            Some((
                Known {
                    series: SeriesRef(2),
                    ..
                },
                true
            ))
        ));
        assert!(matches!(found("e"), Some((_, false))));
        // Used again, it is young again.
        cache.remember(std::iter::once(known(&cache, "c", 9)));
        assert!(matches!(
            found("c"),
            Some((
                Known {
                    series: SeriesRef(9),
                    ..
                },
                false
            ))
        ));
    }
}
