//! Where series live: numbered slots that never move.
//!
//! A slot is found by its number with three loads and no lock, so that a batch
//! can go from reference to series in the time of a cache miss. Slots are made
//! a page at a time and kept for ever; those of forgotten series are used again.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use headwater_storage::SeriesRef;
use parking_lot::{Mutex, MutexGuard};

use super::prefetch::prefetch;
use super::series::Series;

const PAGE: u32 = 1024;
const SHELF: u32 = 256;
const SHELVES: u32 = 256;

/// The most series that a head can hold at one time.
pub(crate) const MAX_SERIES: u32 = PAGE * SHELF * SHELVES;

/// A series behind its lock, and where its growing chunk lies: a batch asks
/// for the memory of the series that come next while it works on this one.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// First byte of the growing chunk and how many there are. Only hints:
    /// they are fetched, never read.
    chunk_start: AtomicUsize,
    chunk_len: AtomicU32,
    series: Mutex<Series>,
}

impl Slot {
    fn vacant() -> Slot {
        Slot {
            chunk_start: AtomicUsize::new(0),
            chunk_len: AtomicU32::new(0),
            series: Mutex::new(Series::vacant()),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Series> {
        self.series.lock()
    }

    /// Asks for what a check of a sample looks at.
    #[inline]
    pub(crate) fn prefetch_head(&self) {
        prefetch(std::ptr::from_ref(self).addr());
    }

    /// Asks for what an append changes.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let start = std::ptr::from_ref(self).addr();
        (0..3).for_each(|line| prefetch(start + 64 * line));
    }

    /// Asks for the growing chunk: its count stands at the start, the next
    /// sample goes to the end.
    #[inline]
    pub(crate) fn prefetch_chunk(&self) {
        let start = self.chunk_start.load(Ordering::Relaxed);
        prefetch(start);
        prefetch(start + self.chunk_len.load(Ordering::Relaxed) as usize);
    }

    /// Remembers where the growing chunk lies.
    #[inline]
    pub(crate) fn note_chunk(&self, series: &Series) {
        let bytes = series.open.growing.bytes();
        self.chunk_start
            .store(bytes.as_ptr().addr(), Ordering::Relaxed);
        self.chunk_len.store(bytes.len() as u32, Ordering::Relaxed);
    }
}

type Page = Box<[Slot]>;
type Shelf = Box<[OnceLock<Page>]>;

/// All slots of a head.
pub(crate) struct Slots {
    shelves: Box<[OnceLock<Shelf>]>,
    /// Slots below this number exist.
    len: AtomicU32,
    /// Slots of forgotten series with the reader epoch from which on no
    /// reader can know them any more.
    free: Mutex<VecDeque<(u64, u32)>>,
}

fn locks<T>(count: u32) -> Box<[OnceLock<T>]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl Slots {
    pub(crate) fn new() -> Slots {
        Slots {
            shelves: locks(SHELVES),
            len: AtomicU32::new(0),
            free: Mutex::new(VecDeque::new()),
        }
    }

    /// The slot of this number, if it exists.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<&Slot> {
        let (page, at) = (slot / PAGE, slot % PAGE);
        let shelf = self.shelves.get((page / SHELF) as usize)?.get()?;
        let page = shelf[(page % SHELF) as usize].get()?;
        page.get(at as usize)
    }

    /// Locks the series that a reference stands for.
    #[inline]
    pub(crate) fn lock(&self, reference: SeriesRef) -> Option<MutexGuard<'_, Series>> {
        let (slot, generation) = split(reference);
        let series = self.get(slot)?.lock();
        (series.generation == generation && series.alive).then_some(series)
    }

    /// A slot for a new series: one that no reader of `oldest_reader` or
    /// later can know, or a new one. `None` if all are taken.
    pub(crate) fn allocate(&self, oldest_reader: u64) -> Option<u32> {
        let mut free = self.free.lock();
        if let Some((epoch, slot)) = free.front().copied()
            && epoch <= oldest_reader
        {
            free.pop_front();
            return Some(slot);
        }
        let slot = self.len.load(Ordering::Relaxed);
        if slot >= MAX_SERIES {
            return None;
        }
        self.ensure_page(slot / PAGE);
        self.len.store(slot + 1, Ordering::Release);
        Some(slot)
    }

    /// Gives a slot back whose series is forgotten since `epoch`.
    pub(crate) fn release(&self, slot: u32, epoch: u64) {
        self.free.lock().push_back((epoch, slot));
    }

    fn ensure_page(&self, page: u32) {
        let shelf = self.shelves[(page / SHELF) as usize].get_or_init(|| locks(SHELF));
        shelf[(page % SHELF) as usize].get_or_init(|| (0..PAGE).map(|_| Slot::vacant()).collect());
    }

    /// Slots below this number exist.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }
}

/// The slot and the generation that a reference is made of.
#[inline]
pub(crate) fn split(reference: SeriesRef) -> (u32, u32) {
    (reference.0 as u32, (reference.0 >> 32) as u32)
}

/// The reference of the series that lives in `slot` in this generation.
pub(crate) fn join(slot: u32, generation: u32) -> SeriesRef {
    SeriesRef(u64::from(generation) << 32 | u64::from(slot))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_numbered_from_zero_and_used_again() {
        let slots = Slots::new();
        assert!(slots.get(0).is_none());
        for wanted in 0..PAGE * 2 + 5 {
            assert_eq!(slots.allocate(0), Some(wanted));
        }
        assert!(slots.get(PAGE * 2).is_some());
        assert!(slots.get(u32::MAX).is_none());
        slots.release(7, 3);
        assert_eq!(slots.allocate(2), Some(PAGE * 2 + 5), "a reader knows it");
        assert_eq!(slots.allocate(3), Some(7));
    }

    #[test]
    fn a_slot_takes_four_cache_lines() {
        assert_eq!(size_of::<Slot>(), 256);
    }

    #[test]
    fn references_of_earlier_generations_are_dead() {
        let slots = Slots::new();
        let slot = slots.allocate(0).unwrap();
        slots.get(slot).unwrap().lock().alive = true;
        assert!(slots.lock(join(slot, 0)).is_some());
        slots.get(slot).unwrap().lock().generation = 1;
        assert!(slots.lock(join(slot, 0)).is_none());
        assert_eq!(split(join(9, 4)), (9, 4));
    }
}
