use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use headwater_env::{File, Files};
use parking_lot::{Condvar, Mutex};

use crate::segment::SegmentWriter;
use crate::{
    Config, Follower, Position, Result, SyncPolicy, WalError, list_segments, segment_path,
};

/// A log that many threads append to and many readers follow.
///
/// Clones share the log.
#[derive(Clone, Debug)]
pub struct Wal {
    shared: Arc<Shared>,
    /// Ends the syncing thread when the last clone is gone.
    _syncer: Option<Arc<Syncer>>,
}

pub(crate) struct Shared {
    files: Arc<dyn Files>,
    dir: PathBuf,
    config: Config,
    writer: Mutex<SegmentWriter>,
    progress: Mutex<Progress>,
    /// Wakes appenders that wait for durability.
    synced: Condvar,
    /// Wakes readers that wait for records.
    grown: Condvar,
}

/// How far the log has come.
struct Progress {
    /// Records end here; readers may read up to it.
    written: Position,
    /// Everything before it survives a crash, except `doubtful`.
    durable: Position,
    /// A stretch that a failed sync has left in doubt.
    doubtful: Option<Doubt>,
    /// Ended segments that are not synced yet.
    unsynced: Vec<Arc<dyn File>>,
    /// Some thread is syncing; whoever comes now waits for the one after.
    syncing: bool,
    closed: bool,
    listeners: Vec<Listener>,
}

type Listener = Arc<dyn Fn() + Send + Sync>;

struct Doubt {
    from: Position,
    upto: Position,
    cause: String,
}

/// The promise that a batch will be durable.
#[derive(Clone, Debug)]
pub struct Ticket {
    shared: Arc<Shared>,
    end: Position,
}

impl Ticket {
    /// Where the batch ends in the log.
    pub fn position(&self) -> Position {
        self.end
    }

    /// Whether the batch survives a crash by now.
    pub fn is_durable(&self) -> bool {
        let progress = self.shared.progress.lock();
        progress.durable >= self.end && progress.doubt(self.end).is_none()
    }

    /// Makes the batch durable. Threads that wait at the same time share one
    /// sync. An error means that the batch may be lost on a crash.
    pub fn wait(&self) -> Result<()> {
        self.shared.make_durable(self.end)
    }
}

impl Progress {
    fn doubt(&self, end: Position) -> Option<WalError> {
        let doubt = self.doubtful.as_ref()?;
        (doubt.from < end && end <= doubt.upto).then(|| WalError::NotDurable {
            upto: doubt.upto,
            cause: doubt.cause.clone(),
        })
    }

    fn add_doubt(&mut self, from: Position, upto: Position, cause: String) {
        let from = self.doubtful.as_ref().map_or(from, |d| d.from.min(from));
        self.doubtful = Some(Doubt { from, upto, cause });
    }
}

impl Shared {
    fn make_durable(&self, end: Position) -> Result<()> {
        let mut progress = self.progress.lock();
        loop {
            if let Some(err) = progress.doubt(end) {
                return Err(err);
            }
            if progress.durable >= end {
                return Ok(());
            }
            if progress.syncing {
                self.synced.wait(&mut progress);
                continue;
            }
            progress.syncing = true;
            drop(progress);
            self.sync_once();
            progress = self.progress.lock();
        }
    }

    /// One sync for everything written so far. Only the thread that has set
    /// `syncing` may call this.
    fn sync_once(&self) {
        // The order of the locks is writer, then progress, as in `append`.
        let (file, upto, ended, from) = {
            let writer = self.writer.lock();
            let mut progress = self.progress.lock();
            let ended = std::mem::take(&mut progress.unsynced);
            let file = Arc::clone(writer.file());
            (file, writer.position(), ended, progress.durable)
        };
        let done = ended.iter().chain([&file]).try_for_each(|file| file.sync());
        if let Err(err) = &done {
            // The kernel may have dropped the dirty pages and will not say so
            // again: leave the segment, so that later batches are not mixed
            // with bytes in doubt.
            let mut writer = self.writer.lock();
            let now = writer.position();
            let cut = writer.next_segment();
            let mut progress = self.progress.lock();
            let upto = if cut.is_ok() { now } else { upto };
            progress.add_doubt(from, upto, err.to_string());
            progress.written = progress.written.max(writer.position());
            progress.durable = progress.durable.max(upto);
        }
        let mut progress = self.progress.lock();
        progress.durable = progress.durable.max(upto);
        progress.syncing = false;
        drop(progress);
        self.synced.notify_all();
    }

    fn wake_readers(&self) {
        self.grown.notify_all();
        let listeners = self.progress.lock().listeners.clone();
        for listener in listeners {
            listener();
        }
    }

    pub(crate) fn files(&self) -> &Arc<dyn Files> {
        &self.files
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn written(&self) -> Position {
        self.progress.lock().written
    }

    /// Waits until there are records behind `seen`, the log is closed, or
    /// the time is over. Says whether there are records.
    pub(crate) fn wait_for_more(&self, seen: Position, timeout: Option<Duration>) -> bool {
        let mut progress = self.progress.lock();
        let nothing = |p: &mut Progress| p.written <= seen && !p.closed;
        match timeout {
            Some(timeout) => {
                self.grown.wait_while_for(&mut progress, nothing, timeout);
            }
            None => self.grown.wait_while(&mut progress, nothing),
        }
        progress.written > seen
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("dir", &self.dir)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl Wal {
    /// Opens the log in `dir`, which is made if missing, and begins a new
    /// segment. What is there already is left for readers; see
    /// [`repair`](crate::repair) for what a crash may have left.
    pub fn open(files: Arc<dyn Files>, dir: &Path, config: Config) -> Result<Wal> {
        let framing = config.framing;
        let writer = SegmentWriter::create(Arc::clone(&files), dir, framing, config.segment_bytes)?;
        let at = writer.position();
        let shared = Arc::new(Shared {
            files,
            dir: dir.to_path_buf(),
            progress: Mutex::new(Progress {
                written: at,
                durable: at,
                doubtful: None,
                unsynced: Vec::new(),
                syncing: false,
                closed: false,
                listeners: Vec::new(),
            }),
            writer: Mutex::new(writer),
            synced: Condvar::new(),
            grown: Condvar::new(),
            config,
        });
        let syncer = match shared.config.sync {
            SyncPolicy::Interval(every) => Some(Arc::new(Syncer::start(&shared, every))),
            SyncPolicy::EveryCommit | SyncPolicy::Never => None,
        };
        Ok(Wal {
            shared,
            _syncer: syncer,
        })
    }

    /// Appends a batch of records in one write and wakes the readers. Under
    /// [`SyncPolicy::EveryCommit`] it is durable when this returns;
    /// otherwise the ticket can be waited for.
    ///
    /// On an error the batch is not in the log, except that a batch which did
    /// not fit into one segment may be there in part.
    pub fn append<R: AsRef<[u8]>>(&self, records: &[R]) -> Result<Ticket> {
        let end = {
            let mut writer = self.shared.writer.lock();
            if self.shared.progress.lock().closed {
                return Err(WalError::Closed);
            }
            let mut ended = Vec::new();
            let done = writer.append_with(records, &mut |file| ended.push(file));
            let mut progress = self.shared.progress.lock();
            progress.unsynced.append(&mut ended);
            progress.written = writer.position();
            done?
        };
        self.shared.wake_readers();
        let ticket = Ticket {
            shared: Arc::clone(&self.shared),
            end,
        };
        if self.shared.config.sync == SyncPolicy::EveryCommit {
            ticket.wait()?;
        }
        Ok(ticket)
    }

    /// Makes everything appended so far durable.
    pub fn sync(&self) -> Result<()> {
        let end = self.shared.written();
        self.shared.make_durable(end)
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        self.shared.written()
    }

    /// Everything before this position survives a crash.
    pub fn durable(&self) -> Position {
        self.shared.progress.lock().durable
    }

    /// The directory of the log.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The numbers of the segments that exist, in order.
    pub fn segments(&self) -> Result<Vec<u64>> {
        list_segments(self.shared.files.as_ref(), &self.shared.dir)
    }

    /// The bytes of all segments.
    pub fn size(&self) -> Result<u64> {
        let files = &self.shared.files;
        self.segments()?.iter().try_fold(0, |sum, segment| {
            let len = files.file_len(&segment_path(&self.shared.dir, *segment))?;
            Ok(sum + len.unwrap_or(0))
        })
    }

    /// Ends the current segment and begins the next; says which that is.
    pub fn cut(&self) -> Result<u64> {
        let mut writer = self.shared.writer.lock();
        let ended = writer.next_segment()?;
        let mut progress = self.shared.progress.lock();
        progress.unsynced.push(ended);
        progress.written = writer.position();
        Ok(writer.position().segment)
    }

    /// Removes all segments before `segment`, except the one written to.
    pub fn truncate_before(&self, segment: u64) -> Result<()> {
        let current = self.position().segment;
        for old in self.segments()? {
            if old < segment.min(current) {
                let path = segment_path(&self.shared.dir, old);
                self.shared.files.remove_file(&path)?;
            }
        }
        Ok(self.shared.files.sync_dir(&self.shared.dir)?)
    }

    /// A reader that starts at `from` and follows the log as it grows.
    pub fn follow(&self, from: Position) -> Follower {
        Follower::new(Arc::clone(&self.shared), from)
    }

    /// A reader of everything that is there and that comes.
    pub fn follow_all(&self) -> Result<Follower> {
        let first = self.segments()?.first().copied().unwrap_or(0);
        Ok(self.follow(Position::start_of(first)))
    }

    /// Calls `listener` after each append, for readers that wait in ways of
    /// their own. It runs on the appending thread: it should only signal.
    pub fn on_append(&self, listener: impl Fn() + Send + Sync + 'static) {
        let listener: Listener = Arc::new(listener);
        self.shared.progress.lock().listeners.push(listener);
    }

    /// Syncs, refuses further appends and wakes all readers.
    pub fn close(&self) -> Result<()> {
        // The writer's lock keeps an append from slipping in behind.
        {
            let _writer = self.shared.writer.lock();
            self.shared.progress.lock().closed = true;
        }
        self.shared.wake_readers();
        self.sync()
    }
}

/// The thread that syncs on an interval.
struct Syncer {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    fn start(shared: &Arc<Shared>, every: Duration) -> Syncer {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let (weak, signal) = (Arc::downgrade(shared), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("wal-sync".into())
            .spawn(move || sync_until_stopped(&weak, &signal, every))
            // Without the thread the log still syncs when segments are asked
            // to; a system that cannot start threads has worse trouble.
            .ok();
        Syncer { stop, thread }
    }
}

fn sync_until_stopped(log: &Weak<Shared>, stop: &(Mutex<bool>, Condvar), every: Duration) {
    loop {
        let mut stopped = stop.0.lock();
        stop.1.wait_while_for(&mut stopped, |s| !*s, every);
        if *stopped {
            return;
        }
        drop(stopped);
        let Some(shared) = log.upgrade() else { return };
        let end = shared.written();
        // A failure is kept for whoever waits for these records.
        let _ = shared.make_durable(end);
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread may be the one that drops the last clone.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

impl std::fmt::Debug for Syncer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syncer").finish_non_exhaustive()
    }
}
