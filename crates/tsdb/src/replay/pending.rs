//! Samples between log and head.
//!
//! They are not appended one by one: they are collected, sorted by series and
//! appended series by series, so that a series is fetched from memory once for
//! all its samples of a batch. With more than one thread, others do that while
//! the log is read on; all samples of a series go to the same one.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use headwater_model::{FloatHistogram, Histogram, Timestamp};

use super::batch::{Batch, Sorter};
use crate::head::Head;

/// Samples of a batch for each series of the head, so that a replay needs
/// little memory beside the head that comes of it: a sample takes 64 bytes,
/// those of its place in the batches that are under way included.
const PER_SERIES: usize = 4;
/// Samples of a batch at least and at most.
const LEAST: usize = 16 << 10;
const MOST: usize = 256 << 10;
/// Slots that follow one another and belong to the same thread.
const NEIGHBOURS: u32 = 64;

/// Collects samples in the order of the log.
pub(super) struct PendingSamples<'h> {
    head: &'h Head,
    /// One for each worker; one if there are none.
    filling: Vec<Batch>,
    workers: Vec<Worker>,
    /// Used if there are no workers.
    sorter: Sorter,
    limit: usize,
    applied: u64,
}

/// A thread that applies batches.
struct Worker {
    queue: SyncSender<Batch>,
    done: Receiver<Batch>,
    under_way: usize,
}

impl<'h> PendingSamples<'h> {
    /// `scope` is where `threads` threads beside this one may work; without
    /// any, this one applies the samples.
    pub(super) fn new<'s, 'e>(
        head: &'h Head,
        scope: &'s Scope<'s, 'e>,
        threads: usize,
    ) -> PendingSamples<'h>
    where
        'h: 's,
    {
        PendingSamples {
            head,
            filling: (0..threads.max(1)).map(|_| Batch::default()).collect(),
            workers: (0..threads).map(|_| Worker::start(head, scope)).collect(),
            sorter: Sorter::default(),
            limit: LEAST,
            applied: 0,
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
        let per_batch = self.head.series_count() as usize * PER_SERIES / self.filling.len();
        self.limit = per_batch.clamp(LEAST, MOST);
        self.filling[at].begin(time, self.limit);
    }

    fn hand_over(&mut self, at: usize) {
        let batch = &mut self.filling[at];
        if batch.is_empty() {
            return;
        }
        match self.workers.get_mut(at) {
            Some(worker) => {
                let (empty, applied) = worker.exchange(std::mem::take(batch));
                *batch = empty;
                self.applied += applied;
            }
            None => {
                self.applied += self.sorter.apply(self.head, batch);
                batch.clear();
            }
        }
    }

    /// Applies everything and waits until it is done. Says how many samples
    /// were new since it was last called.
    pub(super) fn apply(&mut self) -> u64 {
        (0..self.filling.len()).for_each(|at| self.hand_over(at));
        for worker in &mut self.workers {
            while let Some(batch) = worker.take_back() {
                self.applied += batch.applied;
            }
        }
        std::mem::take(&mut self.applied)
    }
}

impl Worker {
    fn start<'s, 'h: 's>(head: &'h Head, scope: &'s Scope<'s, '_>) -> Worker {
        let (queue, batches) = sync_channel::<Batch>(1);
        let (give_back, done) = sync_channel(2);
        scope.spawn(move || {
            let mut sorter = Sorter::default();
            for mut batch in batches {
                batch.applied = sorter.apply(head, &batch);
                batch.clear();
                if give_back.send(batch).is_err() {
                    return;
                }
            }
        });
        Worker {
            queue,
            done,
            under_way: 0,
        }
    }

    /// Hands a batch over. Answers an empty one, and how many samples those
    /// that came back had. Waits while there are two under way.
    fn exchange(&mut self, batch: Batch) -> (Batch, u64) {
        let back = match self.under_way {
            0 | 1 => None,
            _ => self.take_back(),
        };
        if self.queue.send(batch).is_ok() {
            self.under_way += 1;
        }
        let back = back.unwrap_or_default();
        let applied = back.applied;
        (back, applied)
    }

    /// Waits for a batch that is under way; `None` if there is none.
    fn take_back(&mut self) -> Option<Batch> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        self.done.recv().ok()
    }
}
