//! Samples between log and head.
//!
//! They are not appended one by one: they are collected, sorted by series and
//! appended series by series, so that a series is fetched from memory once for
//! all its samples of a batch.

use headwater_model::{FloatHistogram, Histogram, Timestamp};

use super::batch::Batch;
use super::workers::Workers;
use crate::head::Head;

/// Samples of all batches for each series of the head. A series that is not in a
/// cache takes longer to fetch than several samples to append: twice as many save
/// a tenth of the time, and take twice the memory.
const PER_SERIES: usize = 2;
/// Samples of all batches at least, and at most of each.
const LEAST: usize = 16 << 10;
const MOST: usize = 1 << 20;
/// What a waiting sample takes: its places in the batch that fills, in the one
/// that is appended, and in the sorted one.
const SAMPLE_BYTES: u64 = 48;
/// Bytes of the log that must be left for each sample that may wait. They become
/// a quarter of their size in the head: so a replay never takes more than the
/// head will.
const BYTES_LEFT_PER_SAMPLE: u64 = 4 * SAMPLE_BYTES;
/// The part of a memory budget that samples may wait in.
const PART_OF_BUDGET: u64 = 32;
/// Slots that follow one another and belong to the same worker.
const NEIGHBOURS: u32 = 64;

/// Collects samples in the order of the log.
pub(super) struct PendingSamples<'h> {
    head: &'h Head,
    /// One for each worker.
    filling: Vec<Batch>,
    pub(super) workers: Workers<'h>,
    limit: usize,
    /// Bytes of the log that are still to be read.
    pub(super) bytes_left: u64,
}

impl<'h> PendingSamples<'h> {
    pub(super) fn new(head: &'h Head, workers: Workers<'h>) -> PendingSamples<'h> {
        PendingSamples {
            head,
            filling: (0..workers.count()).map(|_| Batch::default()).collect(),
            workers,
            limit: LEAST,
            bytes_left: 0,
        }
    }

    #[inline]
    fn batch_of(&self, slot: u32) -> usize {
        match self.filling.len() {
            1 => 0,
            batches => (slot / NEIGHBOURS) as usize % batches,
        }
    }

    #[inline]
    pub(super) fn push_float(&mut self, slot: u32, time: Timestamp, value: f64) {
        let to = self.batch_of(slot);
        if !self.filling[to].takes(time, self.limit) {
            self.turn_over(to, time);
        }
        self.filling[to].push_float(slot, time, value);
    }

    pub(super) fn push_integer(&mut self, slot: u32, time: Timestamp, value: Histogram) {
        let to = self.batch_of(slot);
        if !self.filling[to].takes(time, self.limit) {
            self.turn_over(to, time);
        }
        self.filling[to].push_integer(slot, time, value);
    }

    pub(super) fn push_float_histogram(
        &mut self,
        slot: u32,
        time: Timestamp,
        value: FloatHistogram,
    ) {
        let to = self.batch_of(slot);
        if !self.filling[to].takes(time, self.limit) {
            self.turn_over(to, time);
        }
        self.filling[to].push_float_histogram(slot, time, value);
    }

    /// Hands a batch over and begins the next, which takes a sample of `time`.
    #[cold]
    fn turn_over(&mut self, at: usize, time: Timestamp) {
        self.hand_over(at);
        let wanted = self.head.series_count() as usize * PER_SERIES;
        let in_budget = match self.head.bounds.memory_budget {
            0 => u64::MAX,
            budget => budget / PART_OF_BUDGET / SAMPLE_BYTES,
        };
        let most = in_budget.min(self.bytes_left / BYTES_LEFT_PER_SAMPLE);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let each = wanted.min(most).max(LEAST) / self.filling.len();
        self.limit = each.min(MOST);
        self.filling[at].begin(time, self.limit);
    }

    fn hand_over(&mut self, at: usize) {
        if !self.filling[at].is_empty() {
            let batch = std::mem::take(&mut self.filling[at]);
            self.filling[at] = self.workers.samples(at, batch);
        }
    }

    /// Hands over what was collected.
    pub(super) fn hand_over_all(&mut self) {
        (0..self.filling.len()).for_each(|at| self.hand_over(at));
    }
}
