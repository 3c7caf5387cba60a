//! The head: the newest samples of all series, in memory.
//!
//! `slots` holds the series, `series` is the state of one, `finished` a chunk of it, `open_chunk` its
//! growing chunk, which keeps to `rules`, and which `resume` brings back. `lookup` leads from labels to slots, `index` and `postings`
//! from matchers, `ranks` are their order. `batch` collects samples, of which `float_run` and `admit` take
//! some, into `contents`, and `commit` applies them; `isolation` decides what readers see
//! of it, `cursor` reads. `late` holds what came late, `ended` finds series that are over, `chunk_files` takes
//! finished chunks out of memory, and `memory` counts what is in it; `growth`
//! says when that cannot wait.

pub(crate) mod admit;
pub(crate) mod batch;
pub(crate) mod chunk_files;
pub(crate) mod columns;
pub(crate) mod commit;
pub(crate) mod contents;
pub(crate) mod cursor;
pub(crate) mod ended;
pub(crate) mod exemplars;
pub(crate) mod finished;
mod float_run;
pub(crate) mod growth;
pub(crate) mod index;
pub(crate) mod isolation;
pub(crate) mod late;
pub(crate) mod lookup;
pub(crate) mod memory;
pub(crate) mod open_chunk;
pub(crate) mod postings;
pub(crate) mod prefetch;
mod ranks;
mod resume;
pub(crate) mod rules;
pub(crate) mod series;
pub(crate) mod slots;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use hashbrown::HashMap;
use headwater_model::{Labels, Matcher, Metadata, TimeRange, Timestamp};
use headwater_storage::AppendError;
use parking_lot::{Mutex, RwLock};

use exemplars::ExemplarRing;
use growth::Growth;
use index::Index;
use isolation::{Isolation, Snapshot};
use lookup::Lookup;
use memory::Memory;
use rules::{Choice, Rules};
use series::Series;
use slots::{MAX_SERIES, Slots};

use crate::stats::Counters;

/// Bounds of a head.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    /// Chunks do not cross multiples of this many milliseconds.
    pub(crate) chunk_range: i64,
    /// New series beyond this number are refused.
    pub(crate) max_series: u32,
    /// New series are refused while the head takes so many bytes; 0 for no
    /// such limit.
    pub(crate) memory_budget: u64,
    /// Exemplars that are kept.
    pub(crate) max_exemplars: usize,
    /// Milliseconds by which samples may be late.
    pub(crate) late_window: i64,
}

/// The newest samples of all series.
pub(crate) struct Head {
    pub(crate) slots: Slots,
    lookup: Lookup,
    pub(crate) index: RwLock<Index>,
    pub(crate) isolation: Arc<Isolation>,
    pub(crate) exemplars: Mutex<ExemplarRing>,
    /// Metadata is the same for many series: each is kept once.
    metadata: Mutex<HashSet<Arc<Metadata>>>,
    /// The times of samples in order.
    pub(crate) times: Times,
    /// The times of late samples.
    pub(crate) late_times: Times,
    /// The number that the log will know the next new series by.
    next_log_ref: AtomicU64,
    next_batch: AtomicU32,
    views: AtomicU64,
    series: AtomicU32,
    /// How often a series was forgotten.
    forgotten: AtomicU64,
    pub(crate) bounds: Bounds,
    pub(crate) choice: Choice,
    pub(crate) memory: Memory,
    pub(crate) growth: Growth,
    /// Commits follow one another: the log, and what readers see, are in
    /// the same order.
    pub(crate) order: Mutex<()>,
    /// Numbers by which no series of the head is known (any more), but which
    /// the log may still name.
    pub(crate) departed: Mutex<HashMap<u64, Departed>>,
    pub(crate) counters: Counters,
}

/// A number that only the log knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Departed {
    /// The last segment that may name it.
    pub(crate) until: u64,
    /// The number that its series has now, if the series has come back.
    pub(crate) now: Option<u64>,
}

/// The span of time that the head covers.
#[derive(Debug)]
pub(crate) struct Times {
    min: AtomicI64,
    max: AtomicI64,
    /// Samples before this are not accepted any more: they are in blocks, or
    /// a block is being made of their range.
    min_valid: AtomicI64,
    /// Samples before this are in blocks.
    in_blocks: AtomicI64,
}

/// What truncation has left of a series.
enum Truncated {
    /// Samples, the first of them at this time.
    Has(Timestamp),
    /// Nothing.
    Empty,
    /// Nothing, but a batch is at it; or there was no series.
    Busy,
}

impl Times {
    fn new() -> Times {
        Times {
            min: AtomicI64::new(Timestamp::MAX),
            max: AtomicI64::new(Timestamp::MIN),
            min_valid: AtomicI64::new(Timestamp::MIN),
            in_blocks: AtomicI64::new(Timestamp::MIN),
        }
    }

    /// First and last time, or `None` while there are no samples.
    pub(crate) fn range(&self) -> Option<TimeRange> {
        let range = TimeRange::new(
            self.min.load(Ordering::Acquire),
            self.max.load(Ordering::Acquire),
        );
        (!range.is_empty()).then_some(range)
    }

    pub(crate) fn cover(&self, range: TimeRange) {
        if !range.is_empty() {
            self.min.fetch_min(range.start, Ordering::AcqRel);
            self.max.fetch_max(range.end, Ordering::AcqRel);
        }
    }

    /// Samples before `time` are not accepted any more.
    pub(crate) fn raise_min_valid(&self, time: Timestamp) {
        self.min_valid.fetch_max(time, Ordering::AcqRel);
    }

    /// All samples before `time` are in blocks.
    pub(crate) fn has_blocks_before(&self, time: Timestamp) {
        self.raise_min_valid(time);
        self.in_blocks.fetch_max(time, Ordering::AcqRel);
    }

    /// Where blocks end. Only what lies before may leave head and log: to make
    /// a block of a range may fail, and is tried again.
    pub(crate) fn end_of_blocks(&self) -> Timestamp {
        self.in_blocks.load(Ordering::Acquire)
    }

    /// There are only samples from `first` on any more; none if that is the
    /// maximum.
    pub(crate) fn begin_with(&self, first: Timestamp) {
        self.min.store(first, Ordering::Release);
    }

    pub(crate) fn min_valid(&self) -> Timestamp {
        self.min_valid.load(Ordering::Acquire)
    }

    /// The oldest time that may be appended: half a block range behind the
    /// newest, so that a block is complete some time after it is full.
    fn oldest_accepted(&self, chunk_range: i64) -> Timestamp {
        let newest = self.max.load(Ordering::Acquire);
        self.min_valid().max(newest.saturating_sub(chunk_range / 2))
    }
}

impl Head {
    pub(crate) fn new(bounds: Bounds, choice: Choice) -> Head {
        Head {
            choice,
            memory: Memory::new(bounds.memory_budget),
            growth: Growth::default(),
            slots: Slots::new(),
            lookup: Lookup::new(),
            index: RwLock::default(),
            isolation: Arc::default(),
            exemplars: Mutex::new(ExemplarRing::new(bounds.max_exemplars)),
            metadata: Mutex::default(),
            times: Times::new(),
            late_times: Times::new(),
            next_log_ref: AtomicU64::new(1),
            next_batch: AtomicU32::new(1),
            views: AtomicU64::new(0),
            series: AtomicU32::new(0),
            forgotten: AtomicU64::new(0),
            bounds: Bounds {
                max_series: bounds.max_series.min(MAX_SERIES),
                ..bounds
            },
            order: Mutex::new(()),
            departed: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// The slot of the series with these labels, made if it is new.
    pub(crate) fn get_or_create(&self, labels: &Labels) -> Result<u32, AppendError> {
        if let Some(slot) = self.lookup.find(&self.slots, labels) {
            return Ok(slot);
        }
        self.admit(labels)?;
        let (slot, is_new) = self.find_or_make(labels, None)?;
        if is_new {
            self.index.write().insert(slot, labels);
        }
        Ok(slot)
    }

    /// The same for a series that the log calls `log_ref`; says whether it is
    /// new. Then the caller has to put it into the index. It is not refused for
    /// want of memory: it was there before.
    pub(crate) fn restore(
        &self,
        labels: &Labels,
        log_ref: u64,
    ) -> Result<(u32, bool), AppendError> {
        self.find_or_make(labels, Some(log_ref))
    }

    fn find_or_make(
        &self,
        labels: &Labels,
        log_ref: Option<u64>,
    ) -> Result<(u32, bool), AppendError> {
        let mut stripe = self.lookup.lock(&self.slots, labels);
        if let Some(slot) = stripe.find(labels) {
            return Ok((slot, false));
        }
        let slot = self.vacant_slot()?;
        if let Some(cell) = self.slots.get(slot) {
            let number =
                log_ref.unwrap_or_else(|| self.next_log_ref.fetch_add(1, Ordering::Relaxed));
            cell.lock().begin(labels.clone(), number, log_ref.is_some());
        }
        stripe.insert(labels, slot);
        drop(stripe);
        self.series.fetch_add(1, Ordering::Relaxed);
        self.counters.series_created.add(1);
        Ok((slot, true))
    }

    /// The slot of the series with these labels.
    pub(crate) fn find(&self, labels: &Labels) -> Option<u32> {
        self.lookup.find(&self.slots, labels)
    }

    /// Refuses a new series if there is no memory for it.
    fn admit(&self, labels: &Labels) -> Result<(), AppendError> {
        self.memory.admit(self, labels).map_err(|why| {
            self.counters.series_refused.add(1);
            self.counters.series_refused_for_memory.add(1);
            AppendError::SeriesLimit(why)
        })
    }

    fn vacant_slot(&self) -> Result<u32, AppendError> {
        let limit = self.bounds.max_series;
        let full = || AppendError::SeriesLimit(format!("the head holds {limit} series already"));
        if self.series_count() >= limit {
            self.counters.series_refused.add(1);
            return Err(full());
        }
        let oldest = self.isolation.oldest_reader();
        self.slots.allocate(oldest).ok_or_else(full)
    }

    pub(crate) fn series_count(&self) -> u32 {
        self.series.load(Ordering::Relaxed)
    }

    /// Chunks of all series, growing ones included, and the bytes that the
    /// series take, index not counted.
    pub(crate) fn chunks_and_bytes(&self) -> (u64, u64) {
        let (mut chunks, mut bytes) = (0, 0);
        for cell in (0..self.slots.len()).filter_map(|slot| self.slots.get(slot)) {
            let series = cell.lock();
            chunks += series.closed.len() + usize::from(series.open.growing.count() > 0);
            bytes += series.bytes();
        }
        (chunks as u64, bytes as u64)
    }

    /// A number that changes when a series is forgotten.
    pub(crate) fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Acquire)
    }

    /// The log knows numbers up to `log_ref`: new ones lie above.
    pub(crate) fn reserve_log_refs(&self, log_ref: u64) {
        self.next_log_ref
            .fetch_max(log_ref.saturating_add(1), Ordering::Relaxed);
    }

    /// What new chunks look like.
    pub(crate) fn rules(&self) -> Rules {
        self.choice.rules(self.bounds.chunk_range)
    }

    /// A number for a batch, never 0.
    pub(crate) fn batch_number(&self) -> u32 {
        loop {
            match self.next_batch.fetch_add(1, Ordering::Relaxed) {
                0 => {}
                number => return number,
            }
        }
    }

    pub(crate) fn oldest_accepted(&self) -> Timestamp {
        self.times.oldest_accepted(self.bounds.chunk_range)
    }

    /// The oldest time of a late sample that is accepted; `None` if none is.
    pub(crate) fn oldest_late(&self) -> Option<Timestamp> {
        let window = self.bounds.late_window;
        let newest = self.times.max.load(Ordering::Acquire);
        (window > 0).then(|| newest.saturating_sub(window))
    }

    /// Whether the head may have samples in a range.
    pub(crate) fn may_have(&self, range: TimeRange) -> bool {
        [&self.times, &self.late_times]
            .into_iter()
            .filter_map(Times::range)
            .any(|times| times.overlaps(&range))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.views.fetch_add(1, Ordering::Relaxed);
        self.isolation.snapshot()
    }

    /// How often somebody has begun to read.
    pub(crate) fn views(&self) -> u64 {
        self.views.load(Ordering::Relaxed)
    }

    /// The slots of the series that fulfil all matchers.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Vec<u32> {
        self.index.read().matching(matchers).iter().collect()
    }

    /// The one copy of this metadata.
    pub(crate) fn intern_metadata(&self, metadata: &Metadata) -> Arc<Metadata> {
        let mut known = self.metadata.lock();
        if let Some(found) = known.get(metadata) {
            return Arc::clone(found);
        }
        let new = Arc::new(metadata.clone());
        known.insert(Arc::clone(&new));
        new
    }

    /// Forgets samples before `time`, and series that have none left.
    /// `segment` is the last log segment that may name those series. Says how
    /// many series are gone.
    pub(crate) fn truncate_before(&self, time: Timestamp, segment: u64) -> usize {
        // Commits would move the times that are found here.
        let _order = self.order.lock();
        self.times.raise_min_valid(time);
        let (mut first, mut gone) = (Timestamp::MAX, 0);
        for slot in 0..self.slots.len() {
            match self.truncate_series(slot, time) {
                Truncated::Has(start) => first = first.min(start),
                Truncated::Empty => {
                    let is_empty = |series: &Series| series.times().is_none();
                    gone += usize::from(self.forget(slot, segment, is_empty));
                }
                Truncated::Busy => {}
            }
        }
        self.times.begin_with(first.max(time));
        self.memory.has_shrunk();
        let mut metadata = self.metadata.lock();
        metadata.retain(|shared| Arc::strong_count(shared) > 1);
        gone
    }

    fn truncate_series(&self, slot: u32, time: Timestamp) -> Truncated {
        let Some(cell) = self.slots.get(slot) else {
            return Truncated::Busy;
        };
        let mut series = cell.lock();
        if !series.alive {
            return Truncated::Busy;
        }
        series.truncate_before(time);
        match series.times() {
            Some(times) => Truncated::Has(times.start),
            None if series.late().is_some() => Truncated::Busy,
            None if series.pending.batch != 0 => Truncated::Busy,
            None => Truncated::Empty,
        }
    }

    fn forget(&self, slot: u32, segment: u64, is_over: impl Fn(&Series) -> bool) -> bool {
        let Some(cell) = self.slots.get(slot) else {
            return false;
        };
        let labels = cell.lock().labels.clone();
        let mut stripe = self.lookup.lock(&self.slots, &labels);
        let mut series = cell.lock();
        // A batch may have come back to the series in the meantime.
        if series.pending.batch != 0 || !is_over(&series) || series.late().is_some() {
            return false;
        }
        self.forgotten.fetch_add(1, Ordering::Release);
        let log_ref = series.log_ref;
        series.end();
        drop(series);
        stripe.remove(&labels, slot);
        drop(stripe);
        self.index.write().remove(slot, &labels);
        let departed = Departed {
            until: segment,
            now: None,
        };
        self.departed.lock().insert(log_ref, departed);
        let (next_commit, _) = self.isolation.begin();
        self.slots.release(slot, next_commit);
        self.series.fetch_sub(1, Ordering::Relaxed);
        self.counters.series_removed.add(1);
        true
    }
}

impl std::fmt::Debug for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("series", &self.series_count())
            .field("times", &self.times)
            .finish_non_exhaustive()
    }
}
