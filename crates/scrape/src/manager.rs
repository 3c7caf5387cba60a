//! All jobs: settings in, target groups in, samples out.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use headwater_env::{Clock, SystemClock};
use headwater_exposition::registry::Collect;
use headwater_exposition::{Metric, MetricFamily, MetricValue, Registry};
use headwater_model::{Labels, Metadata, MetricType, TargetGroup};
use headwater_storage::Append;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::config::{JobConfig, ManagerOptions};
use crate::error::JobError;
use crate::fetch::{MakeFetch, MakeHttpFetch};
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::shared::{Buffers, Settings, Shared};
use crate::status::{PoolStatus, TargetMetadata};
use crate::worker::{Stop, Worker};

/// What discovery has found: for each job all its groups. A job without groups has no targets.
/// Groups are shared, because most of them stay from one update to the next.
pub type TargetSets = BTreeMap<String, Vec<Arc<TargetGroup>>>;

/// Scrapes the targets of all jobs. Cloning is cheap and shares them.
#[derive(Clone)]
pub struct ScrapeManager(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    make_fetch: Arc<dyn MakeFetch>,
    pools: Mutex<BTreeMap<String, Pool>>,
    loops: Mutex<JoinSet<()>>,
    runtime: Handle,
}

/// Puts a [`ScrapeManager`] together.
pub struct ScrapeManagerBuilder {
    append: Arc<dyn Append>,
    options: ManagerOptions,
    clock: Arc<dyn Clock>,
    make_fetch: Arc<dyn MakeFetch>,
    registry: Registry,
}

impl ScrapeManagerBuilder {
    /// Sets the options.
    #[must_use]
    pub fn options(mut self, options: ManagerOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets the clock that gives samples their time. Waiting is tokio's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how bodies are fetched.
    #[must_use]
    pub fn fetch(mut self, make_fetch: Arc<dyn MakeFetch>) -> Self {
        self.make_fetch = make_fetch;
        self
    }

    /// Sets where the manager tells about itself.
    #[must_use]
    pub fn registry(mut self, registry: &Registry) -> Self {
        self.registry = registry.clone();
        self
    }

    /// The manager, without jobs. Has to be called within a tokio runtime, where its loops run.
    pub fn build(self) -> ScrapeManager {
        let slots = self
            .options
            .max_concurrent_ingests
            .clamp(1, Semaphore::MAX_PERMITS);
        let shared = Shared {
            append: self.append,
            clock: self.clock,
            options: self.options,
            metrics: Metrics::register(&self.registry),
            ingest_slots: Arc::new(Semaphore::new(slots)),
            buffers: Buffers::default(),
            ending: watch::Sender::new(false),
        };
        let manager = ScrapeManager(Arc::new(Inner {
            shared: Arc::new(shared),
            make_fetch: self.make_fetch,
            pools: Mutex::default(),
            loops: Mutex::default(),
            runtime: Handle::current(),
        }));
        self.registry
            .register(MetadataCollector(Arc::downgrade(&manager.0)));
        manager
    }
}

impl ScrapeManager {
    /// Begins to put a manager together that writes to `append`.
    pub fn builder(append: Arc<dyn Append>) -> ScrapeManagerBuilder {
        ScrapeManagerBuilder {
            append,
            options: ManagerOptions::default(),
            clock: Arc::new(SystemClock::new()),
            make_fetch: Arc::new(MakeHttpFetch::default()),
            registry: Registry::new(),
        }
    }

    /// Takes the jobs of a new configuration. Jobs that did not change are left alone; of those
    /// that changed, loops of unchanged targets go on with the new settings; those that are gone
    /// end. Targets of new jobs come with the next [`ScrapeManager::sync`].
    ///
    /// # Errors
    /// Jobs whose settings cannot be used; they keep running under their old ones, if there were
    /// any. All other jobs are as asked for.
    pub fn apply(&self, jobs: Vec<JobConfig>) -> Result<(), Vec<JobError>> {
        let metrics = &self.0.shared.metrics;
        let mut pools = self.0.pools.lock();
        let mut errors = Vec::new();
        pools.retain(|name, pool| {
            let keep = jobs.iter().any(|job| job.job_name == *name);
            if !keep {
                pool.stop(Stop::Removed);
                metrics.forget_job(name);
            }
            keep
        });
        for job in jobs {
            let applied = match pools.get_mut(&job.job_name) {
                Some(pool) => self.reload(pool, job),
                None => self.create(job).map(|(name, pool)| {
                    pools.insert(name, pool);
                }),
            };
            errors.extend(applied.err());
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    fn create(&self, job: JobConfig) -> Result<(String, Pool), JobError> {
        let metrics = &self.0.shared.metrics;
        metrics.pools.inc();
        let fetch = self
            .0
            .make_fetch
            .make(&job)
            .inspect_err(|_| metrics.pools_failed.inc())?;
        let name = job.job_name.clone();
        Ok((
            name,
            Pool::new(self.0.shared.clone(), Settings::new(job, fetch, 1)),
        ))
    }

    fn reload(&self, pool: &mut Pool, job: JobConfig) -> Result<(), JobError> {
        let old = pool.settings();
        if old.job == job {
            return Ok(());
        }
        let metrics = &self.0.shared.metrics;
        metrics.reloads.inc();
        // Connections live as long as what they were made from.
        let fetch = match old.job.http == job.http {
            true => old.fetch.clone(),
            false => self
                .0
                .make_fetch
                .make(&job)
                .inspect_err(|_| metrics.reloads_failed.inc())?,
        };
        pool.reload(
            Settings::new(job, fetch, old.generation + 1),
            &mut |worker| self.spawn(worker),
        );
        Ok(())
    }

    fn spawn(&self, worker: Worker) {
        let mut loops = self.0.loops.lock();
        // Forget loops that have ended.
        while loops.try_join_next().is_some() {}
        loops.spawn_on(worker.run(), &self.0.runtime);
    }

    /// Takes what discovery has found: the targets of every job. Jobs that are missing from
    /// `sets` lose their targets; jobs that are not configured are ignored.
    pub fn sync(&self, sets: &TargetSets) {
        for (name, pool) in self.0.pools.lock().iter_mut() {
            let groups = sets.get(name).map(Vec::as_slice).unwrap_or_default();
            pool.sync(groups, &mut |worker| self.spawn(worker));
        }
    }

    /// Syncs with every message until the channel closes.
    pub async fn run(&self, mut sets: mpsc::Receiver<TargetSets>) {
        while let Some(sets) = sets.recv().await {
            self.sync(&sets);
        }
    }

    /// Ends all loops and waits for scrapes that are being stored. Series are not marked stale,
    /// because the server may be back before they are.
    pub async fn stop(&self) {
        self.0.shared.ending.send_replace(true);
        for pool in self.0.pools.lock().values_mut() {
            pool.stop(Stop::Shutdown);
        }
        let mut loops = std::mem::take(&mut *self.0.loops.lock());
        while loops.join_next().await.is_some() {}
    }

    /// The names of all jobs, sorted.
    pub fn jobs(&self) -> Vec<String> {
        self.0.pools.lock().keys().cloned().collect()
    }

    /// The settings of a job.
    pub fn job_config(&self, job: &str) -> Option<JobConfig> {
        self.0
            .pools
            .lock()
            .get(job)
            .map(|pool| pool.settings().job.clone())
    }

    /// The targets of all jobs, sorted by job.
    pub fn status(&self) -> Vec<PoolStatus> {
        self.0.pools.lock().values().map(Pool::status).collect()
    }

    /// How the targets of one job are doing; `None` if there is no such job.
    pub fn job_status(&self, job: &str) -> Option<PoolStatus> {
        self.0.pools.lock().get(job).map(Pool::status)
    }

    /// What targets say about their metrics: of targets for whose labels `keep` answers true, of
    /// all metrics or one, at most `limit` entries (0 for all).
    pub fn target_metadata(
        &self,
        mut keep: impl FnMut(&Labels) -> bool,
        metric: Option<&str>,
        limit: usize,
    ) -> Vec<TargetMetadata> {
        let mut found = Vec::new();
        let limit = if limit == 0 { usize::MAX } else { limit };
        for pool in self.0.pools.lock().values() {
            for state in pool.targets().filter(|state| keep(state.target.labels())) {
                let cache = state.metadata.read();
                let matching = cache
                    .iter()
                    .filter(|(name, _)| metric.is_none_or(|metric| metric == *name));
                found.extend(matching.take(limit - found.len()).map(|(name, metadata)| {
                    TargetMetadata {
                        target: state.target.labels().clone(),
                        metric: name.to_owned(),
                        metadata: metadata.clone(),
                    }
                }));
            }
        }
        found
    }

    /// What is said about each metric by any target, without repetition.
    pub fn metadata(&self, metric: Option<&str>) -> BTreeMap<String, Vec<Metadata>> {
        let mut all: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
        for entry in self.target_metadata(|_| true, metric, 0) {
            let known = all.entry(entry.metric).or_default();
            if !known.contains(&entry.metadata) {
                known.push(entry.metadata);
            }
        }
        all
    }
}

impl std::fmt::Debug for ScrapeManager {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScrapeManager")
            .field("jobs", &self.jobs())
            .finish_non_exhaustive()
    }
}

/// Tells how much metadata there is, counted when asked.
struct MetadataCollector(Weak<Inner>);

impl Collect for MetadataCollector {
    fn collect(&self, out: &mut Vec<MetricFamily>) {
        let Some(inner) = self.0.upgrade() else {
            return;
        };
        let gauge = |name: &str, help: &str| MetricFamily::new(name, help, MetricType::Gauge);
        let mut entries = gauge(
            "prometheus_target_metadata_cache_entries",
            "Total number of metric metadata entries in the cache",
        );
        let mut bytes = gauge(
            "prometheus_target_metadata_cache_bytes",
            "The number of bytes that are currently used for storing metric metadata in the cache",
        );
        for (job, pool) in inner.pools.lock().iter() {
            let (mut count, mut size) = (0, 0);
            for state in pool.targets() {
                let cache = state.metadata.read();
                count += cache.len();
                size += cache.bytes();
            }
            let metric = |value: usize| {
                Metric::new(MetricValue::Number(value as f64)).label("scrape_job", job.as_str())
            };
            entries.metrics.push(metric(count));
            bytes.metrics.push(metric(size));
        }
        out.extend([entries, bytes]);
    }
}
