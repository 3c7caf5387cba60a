//! Threads that bring to the head what a replay has read.
//!
//! All samples of a series go to the same thread, in the order of the log. Beside
//! these there are series for the index, and growing chunks of a snapshot: what
//! the reader of records does not wait for.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::Scope;

use headwater_model::Labels;

use super::batch::{Batch, Sorter};
use super::snapshot::{Damaged, GrowingChunks};
use crate::head::Head;

/// Jobs that may wait for a thread.
const QUEUE: usize = 2;

/// What a thread can do.
pub(super) enum Job {
    /// Append samples.
    Samples(Batch),
    /// Put new series into the index.
    Index(Vec<(u32, Labels)>),
    /// Give series their growing chunks.
    Chunks(GrowingChunks),
}

/// What has become of a job.
enum Done {
    /// A batch that can be used again; it says how many samples were new.
    Samples(Batch),
    Other(Result<(), Damaged>),
}

impl Job {
    fn run(self, head: &Head, sorter: &mut Sorter) -> Done {
        match self {
            Job::Samples(mut batch) => {
                batch.applied = sorter.apply(head, &batch);
                batch.clear();
                Done::Samples(batch)
            }
            Job::Index(series) => {
                head.index.write().insert_all(&series);
                Done::Other(Ok(()))
            }
            Job::Chunks(chunks) => Done::Other(chunks.give(head)),
        }
    }
}

/// Threads beside the one that reads records; without any, that one does all.
pub(super) struct Workers<'h> {
    head: &'h Head,
    threads: Vec<Thread>,
    /// Used if there are no threads.
    sorter: Sorter,
    next: usize,
    applied: u64,
    damaged: Option<Damaged>,
}

struct Thread {
    queue: SyncSender<Job>,
    done: Receiver<Done>,
    under_way: usize,
    batches_under_way: usize,
}

impl<'h> Workers<'h> {
    /// `scope` is where `threads` threads may work.
    pub(super) fn new<'s, 'e>(
        head: &'h Head,
        scope: &'s Scope<'s, 'e>,
        threads: usize,
    ) -> Workers<'h>
    where
        'h: 's,
    {
        Workers {
            head,
            threads: (0..threads).map(|_| Thread::start(head, scope)).collect(),
            sorter: Sorter::default(),
            next: 0,
            applied: 0,
            damaged: None,
        }
    }

    /// How many there are to choose from, at least one.
    pub(super) fn count(&self) -> usize {
        self.threads.len().max(1)
    }

    /// Has samples appended by worker `at`, and answers an empty batch. Each
    /// worker is at one batch at a time, so that as few as possible take memory.
    pub(super) fn samples(&mut self, at: usize, mut batch: Batch) -> Batch {
        let Some(thread) = self.threads.get_mut(at) else {
            self.applied += self.sorter.apply(self.head, &batch);
            batch.clear();
            return batch;
        };
        let mut empty = None;
        while thread.batches_under_way > 0 {
            match thread.take_back() {
                Some(Done::Samples(batch)) => empty = Some(batch),
                Some(Done::Other(outcome)) => note(&mut self.damaged, outcome),
                None => break,
            }
        }
        thread.send(Job::Samples(batch));
        let empty = empty.unwrap_or_default();
        self.applied += empty.applied;
        empty
    }

    /// Has something else done that may be done by any worker at any time.
    pub(super) fn other(&mut self, job: Job) {
        if self.threads.is_empty() {
            if let Done::Other(outcome) = job.run(self.head, &mut self.sorter) {
                note(&mut self.damaged, outcome);
            }
            return;
        }
        self.next = (self.next + 1) % self.threads.len();
        self.threads[self.next].send(job);
    }

    /// Waits until everything is done.
    pub(super) fn finish(&mut self) {
        for thread in &mut self.threads {
            while let Some(done) = thread.take_back() {
                match done {
                    Done::Samples(batch) => self.applied += batch.applied,
                    Done::Other(outcome) => note(&mut self.damaged, outcome),
                }
            }
        }
    }

    /// What was wrong with a growing chunk since this was last called.
    pub(super) fn take_damaged(&mut self) -> Option<Damaged> {
        self.damaged.take()
    }

    /// How many samples were new since this was last called.
    pub(super) fn take_applied(&mut self) -> u64 {
        std::mem::take(&mut self.applied)
    }
}

/// The first damage is told.
fn note(damaged: &mut Option<Damaged>, outcome: Result<(), Damaged>) {
    if let Err(new) = outcome {
        damaged.get_or_insert(new);
    }
}

impl Thread {
    fn start<'s, 'h: 's>(head: &'h Head, scope: &'s Scope<'s, '_>) -> Thread {
        let (queue, jobs) = sync_channel::<Job>(QUEUE);
        let (give_back, done): (Sender<Done>, _) = channel();
        scope.spawn(move || {
            let mut sorter = Sorter::default();
            for job in jobs {
                if give_back.send(job.run(head, &mut sorter)).is_err() {
                    return;
                }
            }
        });
        Thread {
            queue,
            done,
            under_way: 0,
            batches_under_way: 0,
        }
    }

    fn send(&mut self, job: Job) {
        let is_batch = matches!(job, Job::Samples(_));
        if self.queue.send(job).is_ok() {
            self.under_way += 1;
            self.batches_under_way += usize::from(is_batch);
        }
    }

    /// Waits for a job that is under way; `None` if there is none.
    fn take_back(&mut self) -> Option<Done> {
        if self.under_way == 0 {
            return None;
        }
        self.under_way -= 1;
        let done = self.done.recv().ok();
        self.batches_under_way -= usize::from(matches!(done, Some(Done::Samples(_))));
        done
    }
}
