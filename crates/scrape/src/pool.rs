//! The targets of one job: which loops run.

use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashMap;
use headwater_model::{Labels, TargetGroup};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::shared::{PoolShared, Settings, Shared};
use crate::status::{ActiveTarget, PoolStatus};
use crate::target::{Target, discovered_labels, resolve};
use crate::worker::{Stop, TargetState, Worker};

/// The loops of one job.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    pool: Arc<PoolShared>,
    /// What discovery said last, for reloads.
    groups: Vec<Arc<TargetGroup>>,
    active: HashMap<u64, Loop>,
    dropped: Vec<Labels>,
    dropped_count: usize,
}

struct Loop {
    state: Arc<TargetState>,
    stop: watch::Sender<Stop>,
}

/// What the groups amount to under the job's rules.
#[derive(Default)]
struct Resolved {
    /// By identity, so that a target that is discovered twice is scraped once.
    active: HashMap<u64, (Target, Labels)>,
    dropped: Vec<Labels>,
    dropped_count: usize,
    failed: u64,
}

impl Pool {
    pub(crate) fn new(shared: Arc<Shared>, settings: Settings) -> Self {
        Self {
            shared,
            pool: Arc::new(PoolShared::new(settings)),
            groups: Vec::new(),
            active: HashMap::new(),
            dropped: Vec::new(),
            dropped_count: 0,
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.pool.settings()
    }

    /// Takes new settings: loops of unchanged targets go on and use them from their next scrape.
    pub(crate) fn reload(&mut self, settings: Settings, spawn: &mut dyn FnMut(Worker)) {
        self.pool.set_settings(settings);
        self.resync(spawn);
    }

    /// Takes what discovery says now: starts and ends loops.
    pub(crate) fn sync(&mut self, groups: &[Arc<TargetGroup>], spawn: &mut dyn FnMut(Worker)) {
        self.groups.clear();
        self.groups.extend_from_slice(groups);
        self.resync(spawn);
    }

    fn resync(&mut self, spawn: &mut dyn FnMut(Worker)) {
        let began = Instant::now();
        let resolved = self.resolve();
        let metrics = &self.shared.metrics;
        let job: &[&str] = &[&self.pool.job_name];
        metrics.sync_failed.with(job).inc_by(resolved.failed);
        (self.dropped, self.dropped_count) = (resolved.dropped, resolved.dropped_count);
        self.active.retain(|identity, running| {
            let keep = resolved.active.contains_key(identity);
            if !keep {
                running.stop.send_replace(Stop::Removed);
            }
            keep
        });
        for (identity, (target, discovered)) in resolved.active {
            match self.active.get(&identity) {
                Some(running) => *running.state.discovered.write() = discovered,
                None => self.start(identity, target, discovered, spawn),
            }
        }
        self.check_target_limit();
        let metrics = &self.shared.metrics;
        let job: &[&str] = &[&self.pool.job_name];
        metrics.pool_targets.with(job).set(self.active.len() as f64);
        metrics
            .pool_target_limit
            .with(job)
            .set(self.settings().job.limits.targets as f64);
        metrics.syncs.with(job).inc();
        let seconds = began.elapsed().as_secs_f64();
        metrics.sync_length.with(job).observe(seconds);
        metrics.sync_length_histogram.with(job).observe(seconds);
    }

    fn resolve(&self) -> Resolved {
        let settings = self.settings();
        let job = &settings.job;
        let mut resolved = Resolved::default();
        for (group, own) in self
            .groups
            .iter()
            .flat_map(|group| group.targets.iter().map(move |own| (group, own)))
        {
            let discovered = discovered_labels(&group.labels, own, job);
            match resolve(&discovered, job) {
                Ok(Some(target)) => {
                    resolved
                        .active
                        .insert(target.identity(), (target, discovered));
                }
                Ok(None) => {
                    resolved.dropped_count += 1;
                    if job.keep_dropped_targets == 0
                        || resolved.dropped.len() < job.keep_dropped_targets
                    {
                        resolved.dropped.push(discovered);
                    }
                }
                Err(error) => {
                    resolved.failed += 1;
                    let (scrape_pool, source) = (&job.job_name, &group.source);
                    tracing::error!(scrape_pool, source, labels = %discovered, %error, "Creating target failed");
                }
            }
        }
        resolved
    }

    fn start(
        &mut self,
        identity: u64,
        target: Target,
        discovered: Labels,
        spawn: &mut dyn FnMut(Worker),
    ) {
        let state = Arc::new(TargetState {
            target,
            discovered: RwLock::new(discovered),
            status: RwLock::default(),
            metadata: RwLock::default(),
        });
        let (stop, stopped) = watch::channel(Stop::No);
        spawn(Worker::new(
            self.shared.clone(),
            self.pool.clone(),
            state.clone(),
            stopped,
        ));
        self.active.insert(identity, Loop { state, stop });
    }

    fn check_target_limit(&self) {
        let (targets, limit) = (self.active.len(), self.settings().job.limits.targets);
        let over = (limit > 0 && targets > limit).then_some((targets, limit));
        if over.is_some() {
            self.shared.metrics.exceeded_target_limit.inc();
        }
        self.pool.set_over_limit(over);
    }

    /// Ends all loops.
    pub(crate) fn stop(&mut self, stop: Stop) {
        for (_, running) in self.active.drain() {
            running.stop.send_replace(stop);
        }
    }

    pub(crate) fn targets(&self) -> impl Iterator<Item = &TargetState> {
        self.active.values().map(|running| &*running.state)
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let mut active: Vec<ActiveTarget> = self
            .targets()
            .map(|state| ActiveTarget {
                discovered_labels: state.discovered.read().clone(),
                labels: state.target.labels().clone(),
                url: state.target.url().to_owned(),
                interval: state.target.interval(),
                timeout: state.target.timeout(),
                status: state.status.read().clone(),
            })
            .collect();
        active.sort_by(|a, b| a.labels.cmp(&b.labels).then_with(|| a.url.cmp(&b.url)));
        PoolStatus {
            job: self.pool.job_name.clone(),
            active,
            dropped: self.dropped.clone(),
            dropped_count: self.dropped_count,
        }
    }
}
