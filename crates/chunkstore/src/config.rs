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
    /// Pushes are refused while all heads together hold this many bytes: flushing does not keep up.
    pub max_head_bytes: usize,
    /// Whether a push waits until the log is on the device.
    pub sync: bool,
}

impl Config {
    /// The defaults, in `dir`.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            part: PartOptions::default(),
            flush_bytes: 64 << 20,
            max_age: Duration::from_secs(2 * 3600),
            idle: Duration::from_secs(30 * 60),
            max_head_bytes: 512 << 20,
            sync: true,
        }
    }
}
