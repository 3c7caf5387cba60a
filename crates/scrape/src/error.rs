//! Why a scrape failed, in Prometheus's words: they are shown at the target and searched for.

use headwater_exposition::{ContentTypeError, ParseError};
use headwater_storage::AppendError;

/// Why a scrape failed. The target is down until the next one succeeds.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScrapeError {
    /// The target was not reached, or broke off.
    #[error("{0}")]
    Fetch(String),
    /// The target did not answer in time.
    #[error("Get {url:?}: context deadline exceeded")]
    Timeout {
        /// What was asked for.
        url: String,
    },
    /// The target answered, but not with 200.
    #[error("server returned HTTP status {0}")]
    Status(String),
    /// The body is larger than allowed.
    #[error("body size limit exceeded")]
    BodyLimit,
    /// The format of the body is not known.
    #[error(transparent)]
    ContentType(#[from] ContentTypeError),
    /// The body breaks its format.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The scrape has more samples than allowed.
    #[error("sample limit exceeded")]
    SampleLimit,
    /// A native histogram has more buckets than allowed, however coarse.
    #[error("histogram bucket limit exceeded")]
    BucketLimit,
    /// A series has more or longer labels than allowed.
    #[error("{0}")]
    LabelLimit(String),
    /// Relabelling left a series without a name.
    #[error("missing metric name (__name__ label)")]
    NameMissing,
    /// A name is outside the accepted character set, or stands twice.
    #[error("{0}")]
    Labels(String),
    /// The pool has more targets than allowed.
    #[error("target_limit exceeded (number of targets: {targets}, limit: {limit})")]
    TargetLimit {
        /// How many there are.
        targets: usize,
        /// How many may be.
        limit: usize,
    },
    /// The store refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] headwater_storage::Error),
}

/// Why a target cannot be scraped: fix its labels or the rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no `__address__`.
    #[error("no address")]
    NoAddress,
    /// The address is a URL.
    #[error("{0:?} is not a valid hostname")]
    Address(String),
    /// `__scrape_interval__` or `__scrape_timeout__` is not a duration.
    #[error("error parsing scrape {what}: {cause}")]
    Duration {
        /// `interval` or `timeout`.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// A duration of zero.
    #[error("scrape {0} cannot be 0")]
    Zero(&'static str),
    /// The timeout is longer than the interval.
    #[error(
        "scrape timeout cannot be greater than scrape interval (\"{timeout}\" > \"{interval}\")"
    )]
    TimeoutTooLong {
        /// The timeout, as it was given.
        timeout: String,
        /// The interval, as it was given.
        interval: String,
    },
}

/// A job that cannot be started: fix its settings.
#[derive(Debug, thiserror::Error)]
#[error("error creating new scrape pool for job {job:?}: {cause}")]
pub struct JobError {
    /// The job.
    pub job: String,
    /// What is wrong.
    pub cause: String,
}
