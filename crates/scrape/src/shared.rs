//! What loops have in common: all of them, and those of one pool.

use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;
use headwater_env::Clock;
use headwater_exposition::accept_header;
use headwater_exposition::registry::{Histogram, Summary};
use headwater_model::duration::format_duration;
use headwater_storage::Append;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};

use crate::config::{JobConfig, ManagerOptions};
use crate::error::ScrapeError;
use crate::failure_log::FailureLog;
use crate::fetch::Fetch;
use crate::metrics::Metrics;

/// What all loops have in common.
pub(crate) struct Shared {
    pub(crate) append: Arc<dyn Append>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: ManagerOptions,
    pub(crate) metrics: Metrics,
    pub(crate) ingest_slots: Arc<Semaphore>,
    pub(crate) buffers: Buffers,
    /// True once the server ends: nobody waits to say farewell any more.
    pub(crate) ending: watch::Sender<bool>,
}

/// Memory of bodies that have been read, for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    /// Larger ones are not kept.
    const MAX_BYTES: usize = 4 << 20;
    /// More are not kept.
    const MAX_COUNT: usize = 16;

    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().pop().unwrap_or_default()
    }

    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut kept = self.0.lock();
        if buffer.capacity() <= Self::MAX_BYTES && kept.len() < Self::MAX_COUNT {
            kept.push(buffer);
        }
    }
}

/// A job's settings, as loops use them. Replaced as a whole by a reload.
pub(crate) struct Settings {
    pub(crate) job: JobConfig,
    pub(crate) fetch: Arc<dyn Fetch>,
    pub(crate) accept: Arc<str>,
    pub(crate) failure_log: Option<FailureLog>,
    /// Grows with every reload that changed something.
    pub(crate) generation: u64,
}

impl Settings {
    pub(crate) fn new(job: JobConfig, fetch: Arc<dyn Fetch>, generation: u64) -> Self {
        let accept = accept_header(&job.scrape_protocols, job.escaping).into();
        let failure_log = job
            .scrape_failure_log_file
            .as_deref()
            .and_then(FailureLog::open);
        Self {
            job,
            fetch,
            accept,
            failure_log,
            generation,
        }
    }
}

/// What the loops of one pool have in common.
pub(crate) struct PoolShared {
    pub(crate) job_name: String,
    settings: RwLock<Arc<Settings>>,
    /// Set while the pool has more targets than it may: number and limit.
    over_limit: RwLock<Option<(usize, usize)>>,
    /// Handles by interval; a job has one interval, or a few set by its rules.
    lengths: Mutex<HashMap<Duration, (Summary, Histogram)>>,
}

impl PoolShared {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            job_name: settings.job.job_name.clone(),
            settings: RwLock::new(Arc::new(settings)),
            over_limit: RwLock::default(),
            lengths: Mutex::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    pub(crate) fn set_settings(&self, settings: Settings) {
        *self.settings.write() = Arc::new(settings);
    }

    pub(crate) fn set_over_limit(&self, over: Option<(usize, usize)>) {
        *self.over_limit.write() = over;
    }

    pub(crate) fn target_limit_exceeded(&self) -> Option<ScrapeError> {
        self.over_limit
            .read()
            .map(|(targets, limit)| ScrapeError::TargetLimit { targets, limit })
    }

    pub(crate) fn interval_length(&self, metrics: &Metrics, interval: Duration, seconds: f64) {
        let mut lengths = self.lengths.lock();
        let (summary, histogram) = lengths.entry(interval).or_insert_with(|| {
            let word = format_duration(i64::try_from(interval.as_millis()).unwrap_or(i64::MAX));
            (
                metrics.interval_length.with(&[&word]),
                metrics.interval_length_histogram.with(&[&word]),
            )
        });
        summary.observe(seconds);
        histogram.observe(seconds);
    }
}
