use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_env::Env;
use headwater_storage::Result;
use headwater_wal::Compression;

use crate::{Db, Opening};

/// Settings of a store: plain data with Prometheus's defaults.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// What a commit promises; see the README.
    pub durability: Durability,
    /// Milliseconds that a block made from the head spans.
    pub block_range: i64,
    /// Bytes of a segment of the write-ahead log.
    pub segment_bytes: u64,
    /// Compression of the log's records.
    pub log_compression: Compression,
    /// New series are refused while the head holds this many.
    pub max_series: u32,
    /// New series are refused while the head takes this many bytes, existing
    /// ones go on; 0 for no such limit. It is an estimate from above, and of the
    /// head alone: queries and the rest of the process need memory beside it.
    pub memory_budget: u64,
    /// Exemplars kept in memory, newest first; 0 keeps none.
    pub max_exemplars: usize,
    /// Samples may be this much older than the newest sample of the store;
    /// late ones are logged and compacted apart. Zero accepts none that is
    /// older than the newest of its series.
    pub out_of_order_window: Duration,
    /// Blocks whose newest sample is older than this, counted from the newest
    /// block, are removed; none if zero.
    pub retention: Duration,
    /// Blocks are removed, oldest first, while all data takes more bytes;
    /// 0 for no limit.
    pub retention_bytes: u64,
    /// Blocks are removed, oldest first, while all data takes a larger share
    /// of the file system, in percent; 0 for no limit. It counts in place of
    /// `retention_bytes` if both are set.
    pub retention_percentage: f64,
    /// The longest span of a block made from smaller ones, in milliseconds.
    pub max_block_range: i64,
    /// Whether a thread of the store writes full ranges of the head to
    /// blocks, compacts blocks and applies retention. Without it the caller
    /// calls [`Db::maintain`].
    pub background: bool,
    /// Threads that replay the log at start: one takes records apart, the
    /// others append their samples. If there is more than one, a further
    /// thread reads the log ahead.
    pub replay_threads: usize,
    /// Whether the head is written down when the store is closed, so that the
    /// next start reads that instead of most of the log.
    pub snapshot_on_close: bool,
    /// As soon as this share of the head's series, from 0 to 1, have ended with a stale marker, they
    /// are written to a block of their own and leave the head; 0 for never.
    /// [`Db::set_stale_series_threshold`] changes it later.
    pub stale_series_threshold: f64,
    /// How new chunks of floats are encoded; [`Db::set_float_encoding`]
    /// changes it later.
    pub float_encoding: FloatEncoding,
    /// Whether start timestamps of samples are kept: in the log (records that
    /// Prometheus reads since 3.11, and earlier ones skip in silence) and, for
    /// floats, in chunks; this needs [`FloatEncoding::Xor2`].
    pub start_timestamps: bool,
    /// Whether chunks of histograms keep start timestamps, too. Prometheus
    /// reads such chunks since 3.14 and may change them.
    pub histogram_starts: bool,
}

/// How chunks of floats are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum FloatEncoding {
    /// What every Prometheus reads.
    #[default]
    Xor,
    /// About a fifth smaller, with room for start timestamps. Prometheus reads
    /// it since 3.11.
    Xor2,
}

/// What a commit promises when its ticket resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// The batch survives a loss of power. Commits that wait at the same
    /// time share one sync.
    OnCommit,
    /// The batch survives the end of the process at once, and a loss of
    /// power after at most this long.
    Interval(Duration),
    /// The batch survives the end of the process; the operating system
    /// decides when it survives a loss of power. Prometheus's choice.
    System,
}

impl Default for Options {
    fn default() -> Options {
        const TWO_HOURS: i64 = 2 * 3600 * 1000;
        Options {
            durability: Durability::Interval(Duration::from_secs(1)),
            block_range: TWO_HOURS,
            segment_bytes: 128 << 20,
            log_compression: Compression::Snappy,
            max_series: u32::MAX,
            memory_budget: 0,
            max_exemplars: 100_000,
            out_of_order_window: Duration::ZERO,
            retention: Duration::from_secs(15 * 24 * 3600),
            retention_bytes: 0,
            retention_percentage: 0.0,
            max_block_range: 27 * TWO_HOURS,
            background: true,
            replay_threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            snapshot_on_close: false,
            stale_series_threshold: 0.0,
            float_encoding: FloatEncoding::Xor,
            start_timestamps: false,
            histogram_starts: false,
        }
    }
}

/// Collects settings and opens a store.
///
/// ```
/// use headwater_env::Env;
/// use headwater_tsdb::{Db, Durability};
///
/// let db = Db::builder("data")
///     .env(Env::in_memory(1))
///     .configure(|options| {
///         options.durability = Durability::OnCommit;
///         options.max_series = 10_000;
///     })
///     .open()
///     .unwrap();
/// assert_eq!(db.stats().unwrap().series, 0);
/// ```
#[derive(Debug)]
pub struct Builder {
    pub(crate) dir: PathBuf,
    pub(crate) options: Options,
    pub(crate) env: Env,
}

impl Builder {
    pub(crate) fn new(dir: &Path) -> Builder {
        Builder {
            dir: dir.to_path_buf(),
            options: Options::default(),
            env: Env::real(),
        }
    }

    /// Replaces all settings.
    #[must_use]
    pub fn options(mut self, options: Options) -> Builder {
        self.options = options;
        self
    }

    /// Changes some settings.
    #[must_use]
    pub fn configure(mut self, change: impl FnOnce(&mut Options)) -> Builder {
        change(&mut self.options);
        self
    }

    /// Takes clock, randomness and files from `env` instead of the
    /// operating system.
    #[must_use]
    pub fn env(mut self, env: Env) -> Builder {
        self.env = env;
        self
    }

    /// Opens the store: locks the directory, replays the log.
    ///
    /// # Errors
    /// Another process has the directory, or files cannot be read or made.
    /// Damage does not fail: what can be read is served, and
    /// [`Db::damage`] says what cannot.
    pub fn open(self) -> Result<Db> {
        Db::open_with(self)
    }

    /// Opens the store and does not wait for its log: it is read by a thread,
    /// and the handle serves blocks and takes samples meanwhile.
    ///
    /// # Errors
    /// As [`Builder::open`]. What goes wrong later is said by
    /// [`Opening::wait`].
    pub fn open_early(self) -> Result<Opening> {
        Opening::begin(self)
    }
}
