//! Settings of a store. Plain data; files and clock come in beside it.

use std::path::PathBuf;
use std::time::Duration;

use crate::part::PartOptions;

/// How a store keeps its entries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The folder of log and parts; made if missing.
    pub dir: PathBuf,
    /// How parts are written.
    pub part: PartOptions,
    /// A tenant's heads are flushed once their lines have this many bytes.
    pub flush_bytes: usize,
    /// A tenant's heads are flushed once their oldest entry was pushed this long ago.
    pub max_age: Duration,
    /// A tenant's heads are flushed once nothing was pushed for this long.
    pub idle: Duration,
    /// Queues of tenants whose heads are to be flushed; a queue is worked on by one thread at a time.
    pub flush_queues: usize,
    /// Pushes wait while all heads together hold this many bytes, because flushing does not keep up.
    pub max_head_bytes: usize,
    /// Pushes that have waited this long for room are refused. Without workers they are refused at once.
    pub max_push_wait: Duration,
    /// Whether a push waits until the log is on the device.
    pub sync: bool,
    /// So many neighbouring parts are merged into one; 0 or 1 for no merging.
    pub merge_parts: usize,
    /// Parts are merged into such of at most this many bytes.
    pub max_part_bytes: u64,
    /// Bytes of decoded blocks that are kept for further queries.
    pub cache_bytes: usize,
    /// Threads that read the log when the store is opened.
    pub replay_threads: usize,
}

impl Config {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        let cpus = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            dir: dir.into(),
            part: PartOptions::default(),
            flush_bytes: 64 << 20,
            max_age: Duration::from_secs(2 * 3600),
            idle: Duration::from_secs(30 * 60),
            flush_queues: 16,
            max_head_bytes: 160 << 20,
            max_push_wait: Duration::from_secs(10),
            sync: true,
            merge_parts: 8,
            max_part_bytes: 512 << 20,
            cache_bytes: 64 << 20,
            replay_threads: cpus.min(8),
        }
    }
}
