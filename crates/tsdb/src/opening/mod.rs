//! A store whose log is still being read.
//!
//! Blocks are served at once. What is appended meanwhile goes to a log of its
//! own, and into the store once all that was there before is there: it comes
//! after it in every respect. `batch` collects samples, `early` keeps them,
//! `storage` answers for a store in either state.

mod batch;
pub(crate) mod early;
mod storage;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use headwater_storage::{Error, ErrorKind, Result};
use parking_lot::{Condvar, Mutex};

use crate::block::set::BlockSet;
use crate::db::{Begun, Db};
use crate::head::Head;
use crate::options::Builder;
use crate::replay::Progress;
use early::Early;

/// A store that may still be reading its log.
///
/// It can be used like a [`Db`]. Until the log is read, queries are answered
/// from blocks, with a warning, and batches are accepted: they are logged as
/// [`Options::durability`](crate::Options::durability) says, and are seen by
/// readers, in the order in which they were committed, when the log is read.
/// Samples that turn out to be out of order then are dropped and counted.
/// References of series that were given before are forgotten at that moment.
/// Deleting has to wait.
///
/// ```
/// use headwater_env::Env;
/// use headwater_model::Labels;
/// use headwater_storage::Append;
/// use headwater_tsdb::Db;
///
/// let store = Db::builder("data").env(Env::in_memory(1)).open_early().unwrap();
/// let mut batch = store.appender(Default::default()).unwrap();
/// let series = batch.series(&Labels::from_pairs([("room", "attic")])).unwrap();
/// batch.append_float(series, 1_000, 21.5).unwrap();
/// batch.commit().unwrap().wait().unwrap();
///
/// let db = store.wait().unwrap();
/// assert_eq!(db.stats().unwrap().series, 1);
/// ```
#[derive(Clone)]
pub struct Opening {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

/// Ends the replay with the last handle: nobody will ask for its outcome.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.progress.stop();
    }
}

/// How far the log is read: numbers of segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayProgress {
    /// The first segment of the log.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// The one that is being read, or the last.
    pub current: u64,
}

struct Shared {
    dir: PathBuf,
    /// The store, once its log is read, or why it could not be.
    outcome: OnceLock<std::result::Result<Db, Failed>>,
    /// Nothing, to answer queries from in place of a head.
    blank: Arc<Head>,
    blocks: BlockSet,
    early: Option<Early>,
    progress: Progress,
    finished: Mutex<bool>,
    finishing: Condvar,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// An error that is told to many.
#[derive(Debug)]
struct Failed {
    kind: ErrorKind,
    message: String,
}

impl Failed {
    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

impl From<Db> for Opening {
    /// A store that is ready.
    fn from(db: Db) -> Opening {
        let begun = Arc::clone(&db.inner);
        let shared = Shared {
            dir: db.dir().to_path_buf(),
            outcome: OnceLock::from(Ok(db)),
            blank: Arc::clone(&begun.head),
            blocks: BlockSet::default(),
            early: None,
            progress: Progress::default(),
            finished: Mutex::new(true),
            finishing: Condvar::new(),
            thread: Mutex::default(),
        };
        Opening::of(Arc::new(shared))
    }
}

impl Opening {
    pub(crate) fn begin(builder: Builder) -> Result<Opening> {
        let begun = Begun::new(builder)?;
        let shared = Arc::new(Shared {
            dir: begun.dir.clone(),
            outcome: OnceLock::new(),
            blank: Arc::new(begun.blank_head()),
            blocks: begun.blocks(),
            early: Some(Early::open(&begun.env, &begun.dir, &begun.options)?),
            progress: Progress::default(),
            finished: Mutex::new(false),
            finishing: Condvar::new(),
            thread: Mutex::default(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("tsdb-replay".into());
        let thread = thread.spawn(move || of_thread.finish(begun));
        let thread = thread
            .map_err(|e| Error::new(ErrorKind::Io, "cannot start the replay thread").because(e))?;
        *shared.thread.lock() = Some(thread);
        Ok(Opening::of(shared))
    }

    fn of(shared: Arc<Shared>) -> Opening {
        Opening {
            _last: Arc::new(Last(Arc::clone(&shared))),
            shared,
        }
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    /// The store, if its log is read.
    pub fn db(&self) -> Option<&Db> {
        self.shared.outcome.get()?.as_ref().ok()
    }

    /// Waits until the log is read.
    ///
    /// # Errors
    /// It could not be read, or [`Opening::close`] was called.
    pub fn wait(&self) -> Result<Db> {
        let mut finished = self.shared.finished.lock();
        self.shared
            .finishing
            .wait_while(&mut finished, |finished| !*finished);
        drop(finished);
        match self.shared.outcome.get() {
            Some(Ok(db)) => Ok(db.clone()),
            Some(Err(failed)) => Err(failed.error()),
            None => Err(Error::new(ErrorKind::Internal, "the replay has vanished")),
        }
    }

    /// How far the log is read.
    pub fn progress(&self) -> ReplayProgress {
        let (first, last, current) = self.shared.progress.segments();
        ReplayProgress {
            first,
            last,
            current: if self.db().is_some() { last } else { current },
        }
    }

    /// Whether [`Opening::close`] has been called before the log was read.
    pub fn is_closing(&self) -> bool {
        self.shared.progress.is_stopping()
    }

    /// Closes the store as [`Db::close`] does. If the log is not read yet,
    /// reading ends; what was appended is kept for the next start.
    ///
    /// # Errors
    /// A log could not be synced.
    pub fn close(&self) -> Result<()> {
        self.shared.progress.stop();
        let thread = self.shared.thread.lock().take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        match (self.db(), &self.shared.early) {
            (Some(db), _) => db.close(),
            (None, Some(early)) => early.close(),
            (None, None) => Ok(()),
        }
    }
}

impl Shared {
    /// Reads the log and takes over what came meanwhile.
    fn finish(&self, begun: Begun) {
        let outcome = begun.finish(&self.progress).and_then(|db| {
            if let Some(early) = &self.early {
                early.hand_over(&db, |db| {
                    let _ = self.outcome.set(Ok(db));
                })?;
            }
            db.start_worker()
        });
        if let Err(error) = outcome {
            tracing::error!(%error, "the log could not be read");
            let _ = self.outcome.set(Err(Failed {
                kind: error.kind(),
                message: error.to_string(),
            }));
        }
        *self.finished.lock() = true;
        self.finishing.notify_all();
    }
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening")
            .field("dir", &self.shared.dir)
            .field("db", &self.db())
            .finish_non_exhaustive()
    }
}
