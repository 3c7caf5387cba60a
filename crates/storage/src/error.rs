//! Errors, sorted by what the caller can do next.

use std::path::PathBuf;

use headwater_model::Timestamp;

/// The result of everything except appending single samples.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Fix the request: it can never succeed as it is.
    Invalid,
    /// Ask for less, or raise the named limit.
    Limit,
    /// Wait: the store is starting or stopping.
    NotReady,
    /// Retry: a source did not answer.
    Unavailable,
    /// Give up quietly: the caller went away or the deadline passed.
    Canceled,
    /// Free space on the device.
    NoSpace,
    /// Restore data: bytes on disk are damaged.
    Corrupt,
    /// Another process holds the store.
    Locked,
    /// The operating system refused: look at path and cause.
    Io,
    /// Report a bug.
    Internal,
}

/// A failure of a store, with the kind of action that helps.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    offset: Option<u64>,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; the message says where and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            path: None,
            offset: None,
            cause: None,
        }
    }

    /// Names the file or directory.
    #[must_use]
    pub fn at_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Names the byte offset in the file.
    #[must_use]
    pub fn at_offset(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What the caller can do.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The file or directory concerned.
    pub fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }

    /// The byte offset concerned.
    pub const fn offset(&self) -> Option<u64> {
        self.offset
    }
}

/// Why one sample, series, exemplar or metadata was not taken. The rest of the batch is unaffected.
///
/// The words are those of Prometheus, because users search for them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The sample is older than the newest one of its series.
    #[error("out of order sample")]
    OutOfOrder {
        /// Time of the newest sample of the series, in milliseconds.
        newest: Timestamp,
    },
    /// The sample is older than everything that the store still accepts.
    #[error("out of bounds")]
    OutOfBounds {
        /// The oldest time that is accepted, in milliseconds.
        oldest: Timestamp,
    },
    /// The sample lies before the out-of-order window.
    #[error("too old sample")]
    TooOld {
        /// The oldest time that is accepted, in milliseconds.
        oldest: Timestamp,
    },
    /// The series has another value at this time.
    #[error("duplicate sample for timestamp")]
    DuplicateTimestamp,
    /// The reference is not known (any more): ask for it again with the labels.
    #[error("unknown series reference")]
    UnknownSeries,
    /// The label set cannot be a series.
    #[error("invalid labels: {0}")]
    InvalidLabels(String),
    /// The histogram breaks an invariant.
    #[error("invalid histogram: {0}")]
    InvalidHistogram(#[from] headwater_model::histogram::HistogramError),
    /// The exemplar's labels are too long.
    #[error("exemplar labels length exceeds {limit} UTF-8 characters")]
    ExemplarTooLong {
        /// The limit in characters.
        limit: usize,
    },
    /// The exemplar is older than the newest one of its series.
    #[error("out of order exemplar")]
    ExemplarOutOfOrder,
    /// The exemplar is the newest one of its series already.
    #[error("duplicate exemplar")]
    ExemplarDuplicate,
    /// No new series are taken: a limit on their number or on memory is reached.
    #[error("new series refused: {0}")]
    SeriesLimit(String),
    /// The store itself failed; the batch should be given up.
    #[error(transparent)]
    Store(#[from] Error),
}
