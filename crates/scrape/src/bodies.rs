//! Scrapes without loops: for programs that have bodies and times of their own.

use headwater_exposition::{Format, Registry};
use headwater_model::Timestamp;
use headwater_storage::Appender;
use parking_lot::RwLock;

use crate::config::{JobConfig, ManagerOptions};
use crate::error::ScrapeError;
use crate::ingest::{Counts, Ingest, Scrape};
use crate::metadata::MetadataCache;
use crate::metrics::Metrics;
use crate::target::Target;

/// Turns the bodies of one target, one after the other, into samples, as its loop would: with
/// the job's rules and limits, stale markers, and a cache of series. Nothing is fetched and
/// no report is written.
///
/// ```
/// use headwater_exposition::Format;
/// use headwater_model::Labels;
/// use headwater_scrape::{Bodies, JobConfig, discovered_labels, resolve};
/// use headwater_storage::{Append, AppendOptions, MemoryStore};
///
/// let job = JobConfig::new("files");
/// let own = Labels::from_pairs([("__address__", "a.prom")]);
/// let target = resolve(&discovered_labels(&Labels::empty(), &own, &job), &job)?.expect("kept");
/// let mut bodies = Bodies::new(job, target);
///
/// let store = MemoryStore::new();
/// let mut appender = store.appender(AppendOptions::default())?;
/// let (counts, result) = bodies.append(b"a 1\nb 2\n", Format::Text, 1_700_000_000_000, appender.as_mut());
/// result?;
/// assert_eq!(counts.kept, 2);
/// appender.commit()?.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Bodies {
    job: JobConfig,
    target: Target,
    options: ManagerOptions,
    metrics: Metrics,
    metadata: RwLock<MetadataCache>,
    ingest: Ingest,
}

impl Bodies {
    /// Begins with an empty cache.
    pub fn new(job: JobConfig, target: Target) -> Self {
        Self {
            job,
            target,
            options: ManagerOptions::default(),
            metrics: Metrics::register(&Registry::new()),
            metadata: RwLock::default(),
            ingest: Ingest::default(),
        }
    }

    /// Appends the samples of a body; those without a time of their own get `time`. Series that
    /// the last body had and this one has not get a stale marker.
    ///
    /// # Errors
    /// Why the body fails as a whole: roll the batch back, and call [`Bodies::all_stale`] with
    /// the next one. The counts are true all the same.
    pub fn append(
        &mut self,
        body: &[u8],
        format: Format,
        time: Timestamp,
        appender: &mut dyn Appender,
    ) -> (Counts, Result<(), ScrapeError>) {
        let scrape = Scrape {
            job: &self.job,
            target: &self.target,
            options: &self.options,
            metrics: &self.metrics,
            metadata: &self.metadata,
            time,
        };
        self.ingest.body(body, format, &scrape, appender)
    }

    /// Marks all series stale: the body could not be had.
    ///
    /// # Errors
    /// The store failed.
    pub fn all_stale(
        &mut self,
        time: Timestamp,
        appender: &mut dyn Appender,
    ) -> Result<(), ScrapeError> {
        self.ingest.all_stale(time, &self.metrics, appender)
    }
}
