//! A queue on disk between the router and a consumer.
//!
//! ```text
//! router > front queue > writer thread > log > reader thread > back queue > consumer
//! ```
//!
//! The writer appends what comes, many deliveries in one write, and says
//! "arrived" to their inputs when the log has them safely. The reader is
//! woken by the append and hands on what it reads; the cursor moves when the
//! consumer says that it arrived, and is written now and then, so after a
//! crash a little may come twice and nothing is lost.

mod record;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use headwater_env::{File, Files, FilesExt, OpenMode};
use headwater_wal::{Config, Follower, Position, SyncPolicy, Wal, WalError};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::acks::Acks;
use super::batch::{Batch, Delivery, Finalizer};
use super::queue::{Pop, Queue};
use super::signal::Signal;
use super::spares::Spares;

/// The cursor is written at most this often, and at the end.
const CURSOR_EVERY: Duration = Duration::from_millis(200);
/// Without anybody waiting, the log is synced this often.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// Bytes appended in one write at most, give or take a delivery.
const WRITE_BYTES: usize = 512 * 1024;
/// How often a full queue looks whether there is room again.
const FULL_WAIT: Duration = Duration::from_millis(50);

/// What to do with messages for which the disk queue has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpoolFull {
    /// End the pipeline.
    Shutdown,
    /// Drop them.
    Drop,
    /// Let the inputs wait.
    Block,
}

/// Settings of a disk queue.
#[derive(Debug, Clone)]
pub struct SpoolSettings {
    /// Where the files lie.
    pub directory: PathBuf,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files; 0 is no bound.
    pub max_bytes: u64,
    /// What to do when that is reached.
    pub when_full: SpoolFull,
}

/// Why a disk queue cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another process uses the directory.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// The directory or a file in it cannot be used.
    #[error(transparent)]
    Files(#[from] headwater_env::FileError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] WalError),
    /// No thread for it.
    #[error("no thread for the disk queue: {0}")]
    Thread(#[from] io::Error),
}

/// The place up to which everything arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    segment: u64,
    offset: u64,
}

impl From<Position> for Cursor {
    fn from(position: Position) -> Cursor {
        Cursor {
            segment: position.segment,
            offset: position.offset,
        }
    }
}

/// A disk queue with its threads. Dropping it stops them.
#[derive(Debug)]
pub struct Spool {
    front: Arc<Queue>,
    back: Arc<Queue>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    files: Arc<dyn Files>,
    settings: SpoolSettings,
    wal: Wal,
    acks: Acks<Position>,
    /// When the cursor was last written, if it was.
    saved: Mutex<Option<Instant>>,
    /// Raised when the reader is to end.
    stop: Signal,
    failed: Mutex<Option<String>>,
    /// Held as long as the queue is used.
    _lock: Box<dyn File>,
}

impl Spool {
    /// Opens the queue and starts moving messages from `front` to `back`.
    ///
    /// # Errors
    ///
    /// [`SpoolError`] if the directory cannot be used.
    pub fn start(
        files: Arc<dyn Files>,
        settings: SpoolSettings,
        front: Arc<Queue>,
        back: Arc<Queue>,
    ) -> Result<Spool, SpoolError> {
        files.create_dir_all(&settings.directory)?;
        let lock = files.open(&settings.directory.join("lock"), OpenMode::Write)?;
        if !lock.try_lock()? {
            return Err(SpoolError::InUse(settings.directory));
        }
        let config = Config::queue()
            .segment_bytes(settings.file_bytes)
            .sync(SyncPolicy::Interval(SYNC_EVERY));
        let wal = Wal::open(files.clone(), &settings.directory, config)?;
        let follower = match load(&*files, &settings.directory) {
            Some(cursor) if wal.segments()?.contains(&cursor.segment) => wal.follow(Position {
                segment: cursor.segment,
                offset: cursor.offset,
            }),
            _ => wal.follow_all()?,
        };
        let shared = Arc::new(Shared {
            files,
            settings,
            wal,
            acks: Acks::new(),
            saved: Mutex::default(),
            stop: Signal::new(),
            failed: Mutex::default(),
            _lock: lock,
        });
        let mut spool = Spool {
            front,
            back,
            shared,
            threads: Vec::new(),
        };
        spool.spawn_threads(follower)?;
        Ok(spool)
    }

    fn spawn_threads(&mut self, follower: Follower) -> Result<(), SpoolError> {
        let (shared, front) = (self.shared.clone(), self.front.clone());
        let write = move || shared.write(&front);
        let writer = std::thread::Builder::new()
            .name("spool-write".to_owned())
            .spawn(write)?;
        self.threads.push(writer);
        let (shared, back) = (self.shared.clone(), self.back.clone());
        let read = move || shared.read(follower, &back);
        let reader = std::thread::Builder::new()
            .name("spool-read".to_owned())
            .spawn(read)?;
        self.threads.push(reader);
        Ok(())
    }

    /// Why the queue gave up, if it did.
    pub fn failure(&self) -> Option<String> {
        self.shared.failed.lock().clone()
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.shared.wal.size().unwrap_or(0)
    }

    /// Ends: what is in the front queue goes to disk, and what the consumer
    /// was not given yet stays there.
    pub fn close(&mut self) {
        self.front.close();
        self.shared.stop.raise();
        self.back.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of a disk queue failed");
            }
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.close();
    }
}

fn cursor_path(directory: &Path) -> PathBuf {
    directory.join("cursor.json")
}

fn load(files: &dyn Files, directory: &Path) -> Option<Cursor> {
    let bytes = files.read(&cursor_path(directory)).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Deliveries to be written together, encoded one behind the other in a
/// buffer that is used again.
#[derive(Default)]
struct Pending {
    deliveries: Vec<Delivery>,
    bytes: Vec<u8>,
    /// Where each record ends in `bytes`.
    ends: Vec<usize>,
}

impl Pending {
    fn add(&mut self, delivery: Delivery) {
        record::encode(delivery.events(), &mut self.bytes);
        self.ends.push(self.bytes.len());
        self.deliveries.push(delivery);
    }

    fn records(&self) -> Vec<&[u8]> {
        let mut start = 0;
        let record = |end: &usize| &self.bytes[std::mem::replace(&mut start, *end)..*end];
        self.ends.iter().map(record).collect()
    }

    fn forget(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

impl Shared {
    /// The writer's thread: until the front queue is closed and empty.
    fn write(&self, front: &Queue) {
        let mut pending = Pending::default();
        while let Pop::Delivery(first) = front.pop(None) {
            pending.add(first);
            // Whatever else is there already goes into the same write.
            while pending.bytes.len() < WRITE_BYTES
                && let Some(delivery) = front.pop_now()
            {
                pending.add(delivery);
            }
            if !self.append(&mut pending) {
                break;
            }
        }
        front.abort();
        if let Err(error) = self.wal.close() {
            tracing::error!("{}: {error}", self.settings.directory.display());
        }
    }

    /// Appends what is pending and says that its messages arrived. False if
    /// the queue is given up.
    fn append(&self, pending: &mut Pending) -> bool {
        let deliveries = std::mem::take(&mut pending.deliveries);
        while self.is_full() {
            match self.settings.when_full {
                SpoolFull::Drop => {
                    pending.forget();
                    deliveries.into_iter().for_each(Delivery::refuse);
                    return true;
                }
                SpoolFull::Shutdown => {
                    self.fail("the disk queue is full".to_owned());
                    return false;
                }
                // What waits here is abandoned when the pipeline stops.
                SpoolFull::Block if self.stop.wait(FULL_WAIT) => return false,
                SpoolFull::Block => {}
            }
        }
        let awaited = deliveries.iter().any(Delivery::is_awaited);
        let appended = self
            .wal
            .append(&pending.records())
            .and_then(|ticket| if awaited { ticket.wait() } else { Ok(()) });
        pending.forget();
        match appended {
            Ok(()) => {
                deliveries.into_iter().for_each(Delivery::done);
                true
            }
            Err(error) => {
                self.fail(format!("{}: {error}", self.settings.directory.display()));
                false
            }
        }
    }

    fn is_full(&self) -> bool {
        let max = self.settings.max_bytes;
        max > 0 && self.wal.size().unwrap_or(0) >= max
    }

    fn fail(&self, reason: String) {
        tracing::error!("{reason}");
        self.failed.lock().get_or_insert(reason);
    }

    /// The reader's thread: until told to stop, or the back queue is gone.
    fn read(self: &Arc<Shared>, mut follower: Follower, back: &Queue) {
        let spares = Spares::default();
        while !self.stop.is_raised() {
            let record = match follower.try_next() {
                Ok(Some(record)) => (record::decode(record.bytes, &spares), record.end),
                Ok(None) => {
                    self.save_cursor(false);
                    // A closed log wakes at once.
                    if !follower.wait(Some(CURSOR_EVERY)) && self.stop.is_raised() {
                        break;
                    }
                    continue;
                }
                Err(error) => {
                    self.fail(format!("{}: {error}", self.settings.directory.display()));
                    break;
                }
            };
            for damage in follower.take_damage() {
                tracing::error!(
                    "damage in {} was skipped: {damage:?}",
                    self.settings.directory.display()
                );
            }
            let (events, end) = match record {
                (Ok(events), end) => (events, end),
                (Err(reason), end) => {
                    tracing::error!(
                        "a record of {} was skipped: {reason}",
                        self.settings.directory.display()
                    );
                    (Vec::new(), end)
                }
            };
            let batch = Batch::new(events, Some(self.expect(end)));
            if back.push(Delivery::all(Arc::new(batch))).is_err() {
                break;
            }
            self.save_cursor(false);
        }
        back.close();
    }

    /// A finalizer for a batch that ends at `end`. It keeps the queue, so the
    /// last batch to arrive writes the cursor.
    fn expect(self: &Arc<Shared>, end: Position) -> Finalizer {
        let (kept, done) = (self.clone(), self.acks.expect(end));
        Finalizer::new(move |outcome| {
            done.call(outcome);
            drop(kept);
        })
    }

    /// Writes the cursor if it moved, and removes files that it left.
    fn save_cursor(&self, now: bool) {
        let mut saved = self.saved.lock();
        if !now && saved.is_some_and(|at| at.elapsed() < CURSOR_EVERY) {
            return;
        }
        let Some(position) = self.acks.take_arrived() else {
            return;
        };
        *saved = Some(Instant::now());
        let text = serde_json::to_vec(&Cursor::from(position)).unwrap_or_default();
        let written = self
            .files
            .write_atomic(&cursor_path(&self.settings.directory), &text);
        if let Err(error) = written {
            tracing::error!("cannot write a cursor: {error}");
            return;
        }
        if let Err(error) = self.wal.truncate_before(position.segment) {
            tracing::error!("cannot remove old files of a disk queue: {error}");
        }
    }
}

/// The last to hold the queue, which may be the consumer's last batch,
/// writes the cursor.
impl Drop for Shared {
    fn drop(&mut self) {
        self.save_cursor(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::flow::{Outcome, WhenFull};
    use crate::message::Message;
    use headwater_env::MemoryFiles;

    fn settings() -> SpoolSettings {
        SpoolSettings {
            directory: PathBuf::from("queue"),
            file_bytes: 4096,
            max_bytes: 0,
            when_full: SpoolFull::Block,
        }
    }

    fn queue() -> Arc<Queue> {
        Arc::new(Queue::new(1 << 20, WhenFull::Block))
    }

    fn delivery(pid: i32, seen: &Arc<Mutex<Vec<Outcome>>>) -> Delivery {
        let seen = seen.clone();
        let message = Message {
            pid: Some(pid),
            payload: Some(vec![b'x'; 100].into()),
            ..Message::default()
        };
        let note = Finalizer::new(move |outcome| seen.lock().push(outcome));
        Delivery::all(Arc::new(Batch::new(vec![message.into()], Some(note))))
    }

    fn start(files: &Arc<MemoryFiles>) -> (Spool, Arc<Queue>, Arc<Queue>) {
        let (front, back) = (queue(), queue());
        let files: Arc<dyn Files> = files.clone();
        let spool = Spool::start(files, settings(), front.clone(), back.clone()).unwrap();
        (spool, front, back)
    }

    fn take(back: &Queue) -> Option<(i32, Delivery)> {
        match back.pop(None) {
            Pop::Delivery(delivery) => {
                let pid = delivery.first().map(Event::pid)?;
                Some((pid, delivery))
            }
            _ => None,
        }
    }

    #[test]
    fn messages_pass_and_inputs_learn_it_when_they_are_on_disk() {
        let files = Arc::new(MemoryFiles::new());
        let (mut spool, front, back) = start(&files);
        let seen = Arc::default();
        for pid in 0..100 {
            front.push(delivery(pid, &seen)).unwrap();
        }
        for wanted in 0..100 {
            let (pid, delivery) = take(&back).unwrap();
            assert_eq!(pid, wanted);
            delivery.done();
        }
        spool.close();
        assert_eq!(*seen.lock(), vec![Outcome::Delivered; 100]);
    }

    #[test]
    fn what_did_not_arrive_comes_again_after_a_restart() {
        let files = Arc::new(MemoryFiles::new());
        let (spool, front, back) = start(&files);
        let seen = Arc::default();
        for pid in 0..10 {
            front.push(delivery(pid, &seen)).unwrap();
        }
        for _ in 0..4 {
            take(&back).unwrap().1.done();
        }
        drop(take(&back));
        drop(spool);
        back.abort();
        let (spool, _front, back) = start(&files);
        let again: Vec<i32> = (4..10)
            .map(|_| take(&back).unwrap())
            .map(|(pid, delivery)| {
                delivery.done();
                pid
            })
            .collect();
        assert_eq!(again, [4, 5, 6, 7, 8, 9]);
        drop(spool);
    }

    #[test]
    fn a_directory_is_used_by_one_queue_only() {
        let files = Arc::new(MemoryFiles::new());
        let (_spool, _front, _back) = start(&files);
        let second = Spool::start(files, settings(), queue(), queue());
        assert!(matches!(second, Err(SpoolError::InUse(_))));
    }

    #[test]
    fn a_full_queue_drops_if_told_so() {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let (front, back) = (queue(), queue());
        let full = SpoolSettings {
            max_bytes: 1,
            when_full: SpoolFull::Drop,
            ..settings()
        };
        let mut spool = Spool::start(files, full, front.clone(), back).unwrap();
        let seen = Arc::default();
        front.push(delivery(1, &seen)).unwrap();
        spool.close();
        // The first may find the log still empty; a second never would.
        assert_eq!(seen.lock().len(), 1);
    }
}
