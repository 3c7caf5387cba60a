//! What a store does from time to time: make blocks of the head, merge
//! blocks, remove what is old, shorten the log.
//!
//! `head_block` writes a range of the head in the `order` of its series,
//! `late_blocks` what came late, `early_blocks` series that have ended, `retire` takes out of the head what blocks
//! have. `checkpoint` shortens the log. `plan` decides what to merge and `merge`
//! does it, which also takes out what was deleted; `mend` makes a sound block of a
//! damaged one; `retention` decides what to remove. `snapshot` copies a store.

mod checkpoint;
mod early_blocks;
mod head_block;
mod late_blocks;
mod mend;
mod merge;
mod order;
mod plan;
mod retention;
mod retire;
mod snapshot;

use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_env::release_regions;
use headwater_model::{TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};

use crate::block::write::remove_block;
use crate::block::{Block, set};
use crate::db::{Db, Inner};
use crate::head::memory::samples;

pub(crate) use early_blocks::Early;
pub use mend::MendedBlock;
use merge::Next;
pub use retention::Retention;
pub(crate) use retire::Retiring;

/// How often the background thread looks for work.
const EVERY: Duration = Duration::from_secs(60);
/// How often it looks whether readers are gone that still need what blocks have
/// taken over from the head, and gives back pages that readers have left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Late samples that may wait for their blocks: they are not compressed.
const MOST_LATE: u64 = 1 << 20;

/// What a round of maintenance has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintenance {
    /// Blocks made from the head.
    pub head_blocks: usize,
    /// Blocks made from late samples.
    pub late_blocks: usize,
    /// Blocks made of series that have ended, before their time.
    pub early_blocks: usize,
    /// Times that blocks were merged into one.
    pub merges: usize,
    /// Blocks removed because of their age or the size of all data.
    pub removed: usize,
}

impl Db {
    /// Does what is due: full ranges of the head become blocks, small blocks
    /// become larger ones, old ones are removed. With
    /// [`Options::background`](crate::Options::background) a thread calls
    /// this every minute, and when several million samples have come.
    ///
    /// # Errors
    /// Files could not be read or written. What was done before stays done,
    /// and nothing is lost: the next call tries again.
    pub fn maintain(&self) -> Result<Maintenance> {
        self.inner.maintain()
    }

    /// Writes everything in the head up to `time` (milliseconds, excluded) to
    /// blocks of the configured range, whether the ranges are full or not.
    ///
    /// # Errors
    /// As [`Db::maintain`].
    pub fn flush_before(&self, time: Timestamp) -> Result<()> {
        let _maintenance = self.inner.maintenance.lock();
        while let Some(range) = self.inner.next_range(0.0)
            && range.end < time
        {
            if !self.inner.head_to_block(range)? {
                break;
            }
        }
        self.inner.late_to_blocks()?;
        self.inner.shorten_log()
    }
}

impl Inner {
    fn maintain(&self) -> Result<Maintenance> {
        self.writable()?;
        let _maintenance = self.maintenance.lock();
        set::remove_leftovers(self.env.files.as_ref(), &self.dir)?;
        let mut done = Maintenance::default();
        self.try_retire()?;
        self.head.growth.begin_round(samples(&self.head));
        self.chunk_files.lock().write_new(&self.head)?;
        // Half a range more than full, so that late samples have their time.
        while let Some(range) = self.next_range(1.5) {
            let retired = self.head_to_block(range)?;
            done.head_blocks += 1;
            // Where the head goes on after a gap is known once it is shorter.
            if !retired {
                break;
            }
        }
        if done.head_blocks > 0 || self.head.counters.late_waiting() > MOST_LATE {
            done.late_blocks = self.late_to_blocks()?;
        }
        if done.head_blocks > 0 {
            self.shorten_log()?;
        }
        done.early_blocks = self.ended_to_blocks()?;
        loop {
            match self.merge_next()? {
                Next::Nothing => break,
                Next::Merged => done.merges += 1,
                Next::Damaged => {}
            }
        }
        done.removed = self.apply_retention()?;
        Ok(done)
    }

    /// The oldest block range of the head, if the head spans more than
    /// `ranges` of them.
    fn next_range(&self, ranges: f64) -> Option<TimeRange> {
        let times = self.head.times.range()?;
        let block = self.options.block_range.max(1);
        // What lies before is in blocks and waits for its last readers.
        let start = times.start.max(self.head.times.end_of_blocks());
        let span = times.end.saturating_sub(start);
        if start > times.end {
            return None;
        }
        if ranges > 0.0 && span as f64 <= block as f64 * ranges {
            return None;
        }
        let end = start
            .div_euclid(block)
            .saturating_add(1)
            .saturating_mul(block);
        Some(TimeRange::new(start, end.saturating_sub(1)))
    }

    /// Says whether the head is shorter by the block already.
    fn head_to_block(&self, range: TimeRange) -> Result<bool> {
        let end = range.end.saturating_add(1);
        {
            // Batches that are open find out when they commit.
            let _order = self.head.order.lock();
            self.head.times.raise_min_valid(end);
        }
        let (meta, late) = head_block::write(self, &self.dir, range)?;
        if let Some(meta) = meta {
            self.serve(std::slice::from_ref(&meta.ulid), &[])?;
            tracing::info!(ulid = %meta.ulid, from = range.start, to = end, "block made");
        }
        self.head.times.has_blocks_before(end);
        self.retire(late, Vec::new())
    }

    fn try_retire_in_turn(&self) -> Result<()> {
        let _maintenance = self.maintenance.lock();
        self.try_retire().map(|_| ())
    }

    /// Begins to serve blocks in place of others, which are removed.
    fn serve(&self, new: &[String], old: &[Arc<Block>]) -> Result<()> {
        self.serve_in_place(new, old)?;
        let files = self.env.files.as_ref();
        old.iter()
            .try_for_each(|block| remove_block(files, &block.dir))
    }

    /// Begins to serve blocks in place of others, which stay on disk.
    fn serve_in_place(&self, new: &[String], old: &[Arc<Block>]) -> Result<()> {
        let files = self.env.files.as_ref();
        let mut blocks: Vec<Arc<Block>> = self.blocks.all().to_vec();
        for name in new {
            blocks.push(Arc::new(Block::open(files, &self.dir.join(name))?));
        }
        blocks.retain(|b| old.iter().all(|gone| gone.meta.ulid != b.meta.ulid));
        self.blocks.replace(blocks);
        Ok(())
    }
}

/// The thread that maintains a store.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told.
#[derive(Debug, Default)]
struct Shared {
    calls: Mutex<Calls>,
    come: Condvar,
}

#[derive(Debug, Default)]
struct Calls {
    stop: bool,
    /// There is so much in the head that it should not wait.
    due: bool,
}

impl Worker {
    pub(crate) fn start(inner: &Arc<Inner>) -> Result<Worker> {
        let shared = Arc::new(Shared::default());
        let (weak, of_thread) = (Arc::downgrade(inner), Arc::clone(&shared));
        let thread = std::thread::Builder::new().name("tsdb-maintain".into());
        let thread = thread.spawn(move || work(&weak, &of_thread)).map_err(|e| {
            Error::new(ErrorKind::Io, "cannot start the maintenance thread").because(e)
        })?;
        let of_head = Arc::clone(&shared);
        inner.head.growth.on_due(move || {
            of_head.calls.lock().due = true;
            of_head.come.notify_one();
        });
        Ok(Worker {
            shared,
            thread: Some(thread),
        })
    }
}

fn work(inner: &Weak<Inner>, shared: &Shared) {
    let (mut waited, mut pages) = (Duration::ZERO, ReadPages::default());
    loop {
        let mut calls = shared.calls.lock();
        let nothing = |calls: &mut Calls| !calls.stop && !calls.due;
        shared.come.wait_while_for(&mut calls, nothing, LOOK_EVERY);
        if calls.stop {
            return;
        }
        waited += match std::mem::take(&mut calls.due) {
            true => EVERY,
            false => LOOK_EVERY,
        };
        drop(calls);
        let Some(inner) = inner.upgrade() else { return };
        let done = match waited >= EVERY {
            true => inner.maintain().map(|_| ()),
            false if inner.is_retiring() => inner.try_retire_in_turn(),
            false => Ok(()),
        };
        if let Err(error) = done {
            tracing::error!(%error, "maintenance failed, it will be tried again");
        }
        if waited >= EVERY {
            waited = Duration::ZERO;
        }
        pages.release(inner.head.views());
    }
}

/// Pages of files that readers have looked at count as memory of the process,
/// and stay until something else needs the memory.
#[derive(Debug, Default)]
struct ReadPages {
    views: u64,
    again: bool,
}

impl ReadPages {
    /// Gives them back if somebody has begun to read since this was last called,
    /// and once more for those who were still at it. Answers whether it did.
    fn release(&mut self, views: u64) -> bool {
        let any = views != self.views;
        let due = any || self.again;
        (self.views, self.again) = (views, any);
        if due {
            release_regions();
        }
        due
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.calls.lock().stop = true;
        self.shared.come.notify_all();
        if let Some(thread) = self.thread.take()
            // The thread may hold the last reference to the store.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use headwater_env::Env;

    use super::*;

    #[test]
    fn pages_are_given_back_after_a_read_and_once_more() {
        let mut pages = ReadPages::default();
        let done = [0, 1, 1, 1, 5, 9, 9, 9].map(|views| pages.release(views));
        let wanted = [false, true, true, false, true, true, true, false];
        assert_eq!(done, wanted);
    }

    #[test]
    fn a_head_that_grows_fast_calls_the_thread() {
        let db = Db::builder("data").env(Env::in_memory(1)).open().unwrap();
        let growth = &db.inner.head.growth;
        growth.note(u64::MAX, 1);
        let patience = Instant::now() + EVERY / 2;
        while growth.is_called() {
            assert!(Instant::now() < patience, "nobody has come");
            std::thread::yield_now();
        }
        db.close().unwrap();
    }
}
