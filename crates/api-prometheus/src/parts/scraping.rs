//! Targets, as far as the API shows them.

use headwater_model::{Labels, Metadata};
use headwater_relabel::Rules;

/// What scrapes. Pools are the jobs of the configuration.
pub trait Scraping: Send + Sync {
    /// Names of the pools, sorted.
    fn pools(&self) -> Vec<String>;

    /// Targets of one pool that are scraped.
    fn active(&self, pool: &str) -> Vec<TargetView>;

    /// Targets of one pool that relabelling dropped.
    fn dropped(&self, pool: &str) -> Dropped;

    /// The configuration of one pool as YAML, secrets hidden; `None` if there is no such pool.
    fn config(&self, pool: &str) -> Option<String>;

    /// The rules that the targets of one pool go through; `None` if there is no such pool.
    fn relabelling(&self, pool: &str) -> Option<Rules> {
        let _ = pool;
        None
    }

    /// What the targets of one pool say about their metrics.
    fn metadata(&self, pool: &str) -> Vec<TargetMetadata>;
}

/// One target that is scraped.
#[derive(Clone, Debug, Default)]
pub struct TargetView {
    /// Labels as discovered, before relabelling.
    pub discovered: Labels,
    /// Labels that its series get.
    pub labels: Labels,
    /// Where it is scraped.
    pub url: String,
    /// The same for other machines, where localhost makes no sense.
    pub global_url: String,
    /// Why the last scrape failed; empty if it did not.
    pub last_error: String,
    /// Begin of the last scrape in nanoseconds since the epoch; `None` before the first.
    pub last_scrape: Option<i64>,
    /// How long the last scrape took, in seconds.
    pub last_duration: f64,
    /// How the last scrape went.
    pub health: Health,
    /// Time between scrapes, as the configuration writes it: `15s`.
    pub interval: String,
    /// Bound of one scrape, as the configuration writes it: `10s`.
    pub timeout: String,
}

/// How the last scrape went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not scraped yet.
    #[default]
    Unknown,
    /// It went well.
    Up,
    /// It failed.
    Down,
}

impl Health {
    /// The word of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Targets of one pool that are not scraped.
#[derive(Clone, Debug, Default)]
pub struct Dropped {
    /// Discovered labels of those that are kept to be shown.
    pub targets: Vec<Labels>,
    /// How many there are, those not kept included.
    pub total: usize,
}

/// What one target says about its metrics.
#[derive(Clone, Debug, Default)]
pub struct TargetMetadata {
    /// The target's labels.
    pub target: Labels,
    /// Metric and what was last said about it.
    pub entries: Vec<(String, Metadata)>,
}

/// Nothing is scraped.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoScraping;

impl Scraping for NoScraping {
    fn pools(&self) -> Vec<String> {
        Vec::new()
    }

    fn active(&self, _: &str) -> Vec<TargetView> {
        Vec::new()
    }

    fn dropped(&self, _: &str) -> Dropped {
        Dropped::default()
    }

    fn config(&self, _: &str) -> Option<String> {
        None
    }

    fn metadata(&self, _: &str) -> Vec<TargetMetadata> {
        Vec::new()
    }
}
