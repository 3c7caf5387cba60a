//! What the API and the pages show.

use std::time::Duration;

use headwater_model::{Labels, Metadata};

/// How a target is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// The last scrape succeeded.
    Up,
    /// The last scrape failed.
    Down,
}

impl Health {
    /// The word for it in the HTTP API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The last scrape of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrapeStatus {
    /// How the target is doing.
    pub health: Health,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// When the last scrape began, in nanoseconds since 1970.
    pub last_scrape_nanos: Option<i64>,
    /// How long the last scrape took.
    pub last_duration: Duration,
}

/// A target that is being scraped.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveTarget {
    /// The labels before relabelling.
    pub discovered_labels: Labels,
    /// The labels of its series.
    pub labels: Labels,
    /// What is asked for.
    pub url: String,
    /// From one scrape to the next.
    pub interval: Duration,
    /// How long one scrape may take.
    pub timeout: Duration,
    /// The last scrape.
    pub status: ScrapeStatus,
}

/// The targets of one job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The job.
    pub job: String,
    /// What is being scraped.
    pub active: Vec<ActiveTarget>,
    /// Labels before relabelling of targets that the rules drop; as many as the job keeps.
    pub dropped: Vec<Labels>,
    /// How many targets the rules drop.
    pub dropped_count: usize,
}

/// What a target says about one of its metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetMetadata {
    /// The target's labels.
    pub target: Labels,
    /// The metric.
    pub metric: String,
    /// Type, unit and help.
    pub metadata: Metadata,
}
