//! Where series live: numbered slots that never move.
//!
//! A slot is found by its number with three loads and no lock, so that a batch
//! can go from reference to series in the time of a cache miss. Slots are made
//! a page at a time and kept for ever; those of forgotten series are used again.
//!
//! Sixteen neighbours share a lock. A batch mostly goes through slots in order
//! and takes it once for all sixteen: an atomic operation waits for all memory
//! that was written before it, which for a lock a sample was most of the time
//! that an append took. Nobody holds two of these locks at a time.

use std::collections::VecDeque;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use headwater_storage::SeriesRef;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::prefetch::prefetch;
use super::series::Series;

/// Slots that share a lock.
const NEIGHBOURS: u32 = 16;
/// Groups of neighbours that are made together.
const PAGE: u32 = 64;
const SHELF: u32 = 256;
const SHELVES: u32 = 256;

/// The most series that a head can hold at one time.
pub(crate) const MAX_SERIES: u32 = NEIGHBOURS * PAGE * SHELF * SHELVES;

type Neighbours = [Series; NEIGHBOURS as usize];

/// Neighbours behind their lock, and where their growing chunks lie: a batch
/// asks for the memory of the series that come next while it works on this one.
#[derive(Debug)]
#[repr(C, align(64))]
struct Group {
    hints: Hints,
    series: Mutex<Neighbours>,
}

/// Where the growing chunks end. They are fetched, never read.
type Hints = [AtomicUsize; NEIGHBOURS as usize];

impl Group {
    fn vacant() -> Group {
        Group {
            hints: [const { AtomicUsize::new(0) }; NEIGHBOURS as usize],
            series: Mutex::new(std::array::from_fn(|_| Series::vacant())),
        }
    }
}

/// A slot: the place of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<'s> {
    group: &'s Group,
    at: usize,
}

/// A series whose lock is held.
pub(crate) type SeriesGuard<'s> = MappedMutexGuard<'s, Series>;

impl<'s> Slot<'s> {
    #[inline]
    pub(crate) fn lock(&self) -> SeriesGuard<'s> {
        let at = self.at;
        MutexGuard::map(self.group.series.lock(), |series| &mut series[at])
    }

    #[inline]
    fn address(&self) -> usize {
        // The array may be pointed at without being looked at.
        self.group.series.data_ptr().addr() + self.at * size_of::<Series>()
    }

    /// Asks for what a check of a sample looks at.
    #[inline]
    pub(crate) fn prefetch_head(&self) {
        prefetch(self.address());
    }

    /// Asks for what an append changes, and for the hints.
    #[inline]
    pub(crate) fn prefetch(&self) {
        let start = self.address();
        (0..2).for_each(|line| prefetch(start + 64 * line));
        prefetch(std::ptr::from_ref(&self.group.hints[self.at]).addr());
    }

    /// Asks for the end of the growing chunk, where the next sample goes.
    #[inline]
    pub(crate) fn prefetch_chunk(&self) {
        prefetch(self.group.hints[self.at].load(Ordering::Relaxed));
    }

    /// Remembers where the growing chunk lies.
    #[inline]
    pub(crate) fn note_chunk(&self, series: &Series) {
        let tail = series.open.growing.tail_address();
        self.group.hints[self.at].store(tail, Ordering::Relaxed);
    }
}

/// Goes from series to series and keeps the lock while they are neighbours.
pub(crate) struct Walk<'s> {
    slots: &'s Slots,
    held: Option<(u32, &'s Group, MutexGuard<'s, Neighbours>)>,
}

impl<'s> Walk<'s> {
    pub(crate) fn new(slots: &'s Slots) -> Walk<'s> {
        Walk { slots, held: None }
    }

    /// What is in a slot, if there is such a slot, and the slot.
    #[inline]
    pub(crate) fn series(&mut self, slot: u32) -> Option<(&mut Series, Slot<'s>)> {
        let (number, at) = (slot / NEIGHBOURS, (slot % NEIGHBOURS) as usize);
        if self.held.as_ref().is_none_or(|held| held.0 != number) {
            self.held = None;
            let group = self.slots.group(number)?;
            self.held = Some((number, group, group.series.lock()));
        }
        let (_, group, series) = self.held.as_mut()?;
        Some((&mut series[at], Slot { group, at }))
    }

    /// Lets others have the series, until the next one is asked for.
    pub(crate) fn release(&mut self) {
        self.held = None;
    }
}

/// Finds slots of which most follow one another.
pub(crate) struct Ahead<'s> {
    slots: &'s Slots,
    last: Option<(u32, &'s Group)>,
    asked: u32,
}

impl<'s> Ahead<'s> {
    pub(crate) fn new(slots: &'s Slots) -> Ahead<'s> {
        Ahead {
            slots,
            last: None,
            asked: u32::MAX,
        }
    }

    /// The same, but not for the one that was asked for last: samples of one series
    /// may follow one another.
    #[inline]
    pub(crate) fn next(&mut self, slot: u32) -> Option<Slot<'s>> {
        if slot == self.asked {
            return None;
        }
        self.asked = slot;
        self.get(slot)
    }

    /// The slot of this number, if it exists.
    #[inline]
    pub(crate) fn get(&mut self, slot: u32) -> Option<Slot<'s>> {
        let (number, at) = (slot / NEIGHBOURS, (slot % NEIGHBOURS) as usize);
        if let Some((last, group)) = self.last
            && last == number
        {
            return Some(Slot { group, at });
        }
        let group = self.slots.group(number)?;
        // The lock comes first, in a line of its own.
        prefetch(std::ptr::from_ref(&group.series).addr());
        self.last = Some((number, group));
        Some(Slot { group, at })
    }
}

type Page = Box<[Group]>;
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

    #[inline]
    fn group(&self, number: u32) -> Option<&Group> {
        let (page, at) = (number / PAGE, number % PAGE);
        let shelf = self.shelves.get((page / SHELF) as usize)?.get()?;
        let page = shelf[(page % SHELF) as usize].get()?;
        page.get(at as usize)
    }

    /// The slot of this number, if it exists.
    #[inline]
    pub(crate) fn get(&self, slot: u32) -> Option<Slot<'_>> {
        Some(Slot {
            group: self.group(slot / NEIGHBOURS)?,
            at: (slot % NEIGHBOURS) as usize,
        })
    }

    /// Locks the series that a reference stands for.
    #[inline]
    pub(crate) fn lock(&self, reference: SeriesRef) -> Option<SeriesGuard<'_>> {
        let (slot, generation) = split(reference);
        let series = self.get(slot)?.lock();
        series.is(generation).then_some(series)
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
        self.ensure_page(slot / NEIGHBOURS / PAGE);
        self.len.store(slot + 1, Ordering::Release);
        Some(slot)
    }

    /// Gives a slot back whose series is forgotten since `epoch`.
    pub(crate) fn release(&self, slot: u32, epoch: u64) {
        self.free.lock().push_back((epoch, slot));
    }

    fn ensure_page(&self, page: u32) {
        let shelf = self.shelves[(page / SHELF) as usize].get_or_init(|| locks(SHELF));
        shelf[(page % SHELF) as usize].get_or_init(|| (0..PAGE).map(|_| Group::vacant()).collect());
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
        let some = PAGE * NEIGHBOURS * 2 + 5;
        for wanted in 0..some {
            assert_eq!(slots.allocate(0), Some(wanted));
        }
        assert!(slots.get(some - 1).is_some());
        assert!(slots.get(u32::MAX).is_none());
        slots.release(7, 3);
        assert_eq!(slots.allocate(2), Some(some), "a reader knows it");
        assert_eq!(slots.allocate(3), Some(7));
    }

    #[test]
    fn neighbours_share_a_lock_and_little_else() {
        let each = size_of::<Group>() / NEIGHBOURS as usize;
        assert!(each <= size_of::<Series>() + 16, "{each}");
        let slots = Slots::new();
        (0..20).for_each(|_| assert!(slots.allocate(0).is_some()));
        let mut walk = Walk::new(&slots);
        for slot in 0..20 {
            walk.series(slot).unwrap().0.log_ref = slot.into();
        }
        assert!(walk.series(1 << 20).is_none());
        let mut ahead = Ahead::new(&slots);
        for slot in [3, 4, 18, 3] {
            assert_eq!(ahead.get(slot).unwrap().lock().log_ref, u64::from(slot));
        }
        assert!(ahead.get(1 << 20).is_none());
        // A series of the last group can be had: nothing is held.
        assert_eq!(slots.get(19).unwrap().lock().log_ref, 19);
        assert!(walk.series(3).is_some());
        assert!(slots.get(3).unwrap().group.series.try_lock().is_none());
        walk.release();
        assert_eq!(slots.get(3).unwrap().lock().log_ref, 3);
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
