use std::path::PathBuf;

use headwater_env::FileError;

use crate::Position;

/// The result of a log operation.
pub type Result<T> = std::result::Result<T, WalError>;

/// What went wrong with a log, sorted by what the caller can do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalError {
    /// A file operation failed. Its kind tells whether to free space, retry
    /// or call an operator. What was appended before is kept; the batch that
    /// failed is not in the log.
    #[error(transparent)]
    File(#[from] FileError),

    /// Bytes were written but could not be made durable: they may be gone
    /// after a crash. Later batches are not affected.
    #[error("the log could not be synced, records up to {upto} may be lost on a crash: {cause}")]
    NotDurable {
        /// The end of the records in doubt.
        upto: Position,
        /// What the sync said.
        cause: String,
    },

    /// A record is larger than a segment may hold: split it.
    #[error("record of {size} bytes exceeds the limit of {limit} bytes")]
    TooLarge {
        /// The size of the record.
        size: usize,
        /// The largest size accepted.
        limit: usize,
    },

    /// A reader asked for a segment that has been truncated away: start again
    /// from the first one that is left.
    #[error("segment {segment} of {} has been removed", dir.display())]
    Gone {
        /// The directory of the log.
        dir: PathBuf,
        /// The segment that was asked for.
        segment: u64,
    },

    /// The log is closed.
    #[error("the log is closed")]
    Closed,
}

/// A stretch of a log that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment.
    pub segment: u64,
    /// The byte offset in the segment where the damaged record starts.
    pub offset: u64,
    /// Bytes given up, up to where reading resumes or the segment ends.
    pub lost_bytes: u64,
    /// What is wrong with them.
    pub reason: DamageReason,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Damage {
            segment,
            offset,
            lost_bytes,
            reason,
        } = self;
        write!(
            f,
            "segment {segment:08} at byte {offset}: {reason}; {lost_bytes} bytes skipped"
        )
    }
}

/// Why a stretch of a log could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DamageReason {
    /// The segment ends inside a record, as after a crash during a write.
    #[error("the segment ends inside a record")]
    Torn,
    /// The checksum does not match.
    #[error("wrong checksum")]
    Checksum,
    /// A header that no writer makes.
    #[error("impossible header")]
    Header,
    /// Fragments of a record in an order that no writer makes.
    #[error("fragment out of order")]
    Order,
    /// The compressed bytes do not decompress.
    #[error("record does not decompress")]
    Compression,
    /// The record is compressed with an algorithm this build does not have.
    #[error("record is compressed with an algorithm that is not built in")]
    Unsupported,
}
