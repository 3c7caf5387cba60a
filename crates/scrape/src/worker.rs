//! The loop of one target: wait, fetch, store, again; and the farewell when it is removed.

use std::sync::Arc;
use std::time::Duration;

use headwater_exposition::{Format, detect_format};
use headwater_model::Labels;
use headwater_storage::{AppendOptions, Appender};
use parking_lot::RwLock;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::error::ScrapeError;
use crate::fetch::FetchRequest;
use crate::ingest::{Counts, Ingest, Scrape};
use crate::metadata::MetadataCache;
use crate::report::{Outcome, Report};
use crate::schedule::{advance, first_scrape_in, snap};
use crate::shared::{PoolShared, Settings, Shared};
use crate::status::{Health, ScrapeStatus};
use crate::target::Target;

/// Whether a loop should go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    No,
    /// The target is gone: its series end, unless it comes back.
    Removed,
    /// The server ends: the series go on when it is back.
    Shutdown,
}

/// What a loop shares with the pool and the API.
#[derive(Debug)]
pub(crate) struct TargetState {
    pub(crate) target: Target,
    pub(crate) discovered: RwLock<Labels>,
    pub(crate) status: RwLock<ScrapeStatus>,
    pub(crate) metadata: RwLock<MetadataCache>,
}

/// One target's loop.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Arc<PoolShared>,
    pub(crate) state: Arc<TargetState>,
    pub(crate) stop: watch::Receiver<Stop>,
    /// Taken out while a scrape is being stored on another thread.
    memory: Memory,
    last_began: Option<Duration>,
}

/// What is remembered from scrape to scrape.
#[derive(Debug, Default)]
struct Memory {
    ingest: Ingest,
    report: Report,
    /// The settings that `ingest` has been filled under.
    generation: u64,
}

impl Worker {
    pub(crate) fn new(
        shared: Arc<Shared>,
        pool: Arc<PoolShared>,
        state: Arc<TargetState>,
        stop: watch::Receiver<Stop>,
    ) -> Self {
        Self {
            shared,
            pool,
            state,
            stop,
            memory: Memory::default(),
            last_began: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let interval = self.state.target.interval();
        let (identity, seed) = (
            self.state.target.identity(),
            self.shared.options.offset_seed,
        );
        let wait = first_scrape_in(identity, seed, interval, self.shared.clock.unix_nanos());
        tokio::select! {
            () = stopped(&mut self.stop) => return,
            () = tokio::time::sleep(wait) => {}
        }
        let mut scheduled = self.shared.clock.unix_nanos();
        let mut ticks = tokio::time::interval(interval);
        // A scrape that takes too long leaves ticks out; the phase stays.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            // The first tick comes at once.
            tokio::select! {
                () = stopped(&mut self.stop) => break,
                _ = ticks.tick() => {}
            }
            let now = self.shared.clock.unix_nanos();
            scheduled = advance(scheduled, now, interval);
            self.scrape(now, snap(now, scheduled, interval)).await;
        }
        if *self.stop.borrow() == Stop::Removed && self.last_began.is_some() {
            self.farewell(ticks, interval).await;
        }
    }

    /// Fetches and stores once. A stop on the way leaves everything as it was.
    async fn scrape(&mut self, began_nanos: i64, time_nanos: i64) {
        let began = self.shared.clock.monotonic();
        self.observe_interval(began);
        let settings = self.pool.settings();
        let mut body = self.shared.buffers.take();
        let mut stop = self.stop.clone();
        let fetched = tokio::select! {
            () = stopped(&mut stop) => return,
            fetched = self.fetch(&settings, &mut body) => fetched,
        };
        // The number of bodies that are parsed at once is bounded; the semaphore is never closed.
        let Ok(permit) = self.shared.ingest_slots.clone().acquire_owned().await else {
            return;
        };
        let (shared, state) = (self.shared.clone(), self.state.clone());
        let mut memory = std::mem::take(&mut self.memory);
        let stored = tokio::task::spawn_blocking(move || {
            let job = Store {
                shared: &shared,
                state: &state,
                settings: &settings,
                began,
                time_nanos,
            };
            let result = job.store(&mut memory, fetched, &body);
            job.log_failure(&result);
            shared.buffers.give_back(body);
            drop(permit);
            (memory, result)
        });
        let result = match stored.await {
            Ok((memory, result)) => {
                self.memory = memory;
                result
            }
            // A panic in a store must not end the loop; what the cache knew is lost with it.
            Err(error) => Err(ScrapeError::Fetch(format!(
                "storing the scrape failed: {error}"
            ))),
        };
        let refused = result.is_ok().then(|| self.memory.ingest.refused_series());
        self.tell(began_nanos, began, result, refused.flatten());
    }

    fn observe_interval(&mut self, began: Duration) {
        if let Some(last) = self.last_began.replace(began) {
            let length = began.saturating_sub(last).as_secs_f64();
            self.pool
                .interval_length(&self.shared.metrics, self.state.target.interval(), length);
        }
    }

    async fn fetch(&self, settings: &Settings, body: &mut Vec<u8>) -> Result<Format, ScrapeError> {
        if let Some(error) = self.pool.target_limit_exceeded() {
            return Err(error);
        }
        let target = &self.state.target;
        let request = FetchRequest {
            url: target.url().to_owned(),
            unix_socket: target.unix_socket().map(str::to_owned),
            accept: settings.accept.clone(),
            gzip: settings.job.enable_compression,
            timeout: target.timeout(),
            max_body_bytes: match settings.job.limits.body_bytes {
                0 => self.shared.options.max_body_bytes,
                limit => limit,
            },
        };
        let fetched =
            tokio::time::timeout(target.timeout(), settings.fetch.fetch(&request, body)).await;
        let content_type = fetched.unwrap_or_else(|_| {
            Err(ScrapeError::Timeout {
                url: request.url.clone(),
            })
        })?;
        Ok(detect_format(
            &content_type,
            settings.job.fallback_scrape_protocol,
        )?)
    }

    /// A store that fails is the operator's business, not the target's. Said once for each message,
    /// not once for each scrape.
    fn warn_of_store(&self, error: &ScrapeError, url: &str) {
        let of_store = matches!(
            error,
            ScrapeError::Store(_) | ScrapeError::Append(headwater_storage::AppendError::Store(_))
        );
        if of_store && self.state.status.read().last_error != error.to_string() {
            tracing::error!(scrape_pool = self.pool.job_name, target = url, %error, "Scrape commit failed");
        }
    }

    /// Shows the outcome to whoever asks.
    fn tell(
        &self,
        began_nanos: i64,
        began: Duration,
        result: Result<(), ScrapeError>,
        refused: Option<String>,
    ) {
        let duration = self.shared.clock.monotonic().saturating_sub(began);
        self.shared
            .metrics
            .scrape_duration
            .observe(duration.as_secs_f64());
        let url = self.state.target.url();
        if let Err(error) = &result {
            tracing::debug!(scrape_pool = self.pool.job_name, target = url, %error, "Scrape failed");
            self.warn_of_store(error, url);
        }
        *self.state.status.write() = ScrapeStatus {
            health: if result.is_ok() {
                Health::Up
            } else {
                Health::Down
            },
            last_error: result
                .err()
                .map(|error| error.to_string())
                .or(refused)
                .unwrap_or_default(),
            last_scrape_nanos: Some(began_nanos),
            last_duration: duration,
        };
    }

    /// Marks the target's series stale, a while after its last scrape: it may come back, perhaps
    /// under another loop, and markers older than its new samples are refused by the store.
    async fn farewell(self, mut ticks: tokio::time::Interval, interval: Duration) {
        let mut stale_nanos = 0;
        let waits = async {
            ticks.tick().await;
            stale_nanos = self.shared.clock.unix_nanos();
            ticks.tick().await;
            tokio::time::sleep(interval / 10).await;
        };
        let mut ending = self.shared.ending.subscribe();
        tokio::select! {
            _ = ending.wait_for(|ending| *ending) => return,
            () = waits => {}
        }
        let stored =
            tokio::task::spawn_blocking(move || self.write_farewell(stale_nanos / 1_000_000));
        if let Ok(Err(error)) = stored.await {
            tracing::warn!(%error, "Error on writing stale markers of a target that is gone");
        }
    }

    fn write_farewell(mut self, time: i64) -> Result<(), ScrapeError> {
        let mut options = AppendOptions::default();
        options.discard_out_of_order = true;
        let mut appender = self.shared.append.appender(options)?;
        let labels = self.state.target.labels();
        self.memory
            .ingest
            .all_stale(time, &self.shared.metrics, appender.as_mut())?;
        self.memory
            .report
            .append_stale(labels, time, appender.as_mut())?;
        // Nobody waits for the markers to be durable.
        drop(appender.commit()?);
        Ok(())
    }
}

/// Waits until the loop has to end.
async fn stopped(stop: &mut watch::Receiver<Stop>) {
    // A sender that is gone means that the manager is gone.
    let _ = stop.wait_for(|stop| *stop != Stop::No).await;
}

/// Storing one scrape: what runs on a thread that may block.
struct Store<'a> {
    shared: &'a Shared,
    state: &'a TargetState,
    settings: &'a Settings,
    began: Duration,
    time_nanos: i64,
}

impl Store<'_> {
    /// Stores a body and the report about it in one batch; of a failed scrape only the report and
    /// stale markers.
    fn store(
        &self,
        memory: &mut Memory,
        fetched: Result<Format, ScrapeError>,
        body: &[u8],
    ) -> Result<(), ScrapeError> {
        if memory.generation != self.settings.generation {
            memory.generation = self.settings.generation;
            memory.ingest.settings_changed();
        }
        let (mut counts, mut body_bytes) = (Counts::default(), Some(body.len()));
        let failure = match fetched {
            Ok(format) => {
                let mut appender = self.appender()?;
                let (counted, result) =
                    memory
                        .ingest
                        .body(body, format, &self.scrape(), appender.as_mut());
                counts = counted;
                match result {
                    Ok(()) => return self.finish(memory, true, counts, body_bytes, appender),
                    Err(error) => {
                        appender.rollback();
                        error
                    }
                }
            }
            Err(error) => {
                body_bytes = Some(0);
                if matches!(error, ScrapeError::BodyLimit) {
                    self.shared.metrics.exceeded_body_limit.inc();
                    body_bytes = None;
                }
                error
            }
        };
        let mut appender = self.appender()?;
        memory
            .ingest
            .all_stale(self.time(), &self.shared.metrics, appender.as_mut())?;
        self.finish(memory, false, counts, body_bytes, appender)?;
        Err(failure)
    }

    fn log_failure(&self, result: &Result<(), ScrapeError>) {
        if let (Some(log), Err(error)) = (&self.settings.failure_log, result) {
            let job = &self.settings.job.job_name;
            log.write(
                self.time(),
                job,
                self.state.target.url(),
                &error.to_string(),
            );
        }
    }

    fn appender(&self) -> Result<Box<dyn Appender + '_>, ScrapeError> {
        Ok(self.shared.append.appender(AppendOptions::default())?)
    }

    fn time(&self) -> i64 {
        self.time_nanos.div_euclid(1_000_000)
    }

    fn scrape(&self) -> Scrape<'_> {
        Scrape {
            job: &self.settings.job,
            target: &self.state.target,
            options: &self.shared.options,
            metrics: &self.shared.metrics,
            metadata: &self.state.metadata,
            time: self.time(),
        }
    }

    /// Adds the report and makes the batch visible.
    fn finish(
        &self,
        memory: &mut Memory,
        up: bool,
        counts: Counts,
        body_bytes: Option<usize>,
        mut appender: Box<dyn Appender + '_>,
    ) -> Result<(), ScrapeError> {
        let outcome = Outcome {
            up,
            duration: self.shared.clock.monotonic().saturating_sub(self.began),
            counts,
            timeout: self.state.target.timeout(),
            sample_limit: self.settings.job.limits.samples,
            body_bytes,
        };
        let (extra, labels) = (
            self.settings.job.extra_scrape_metrics,
            self.state.target.labels(),
        );
        memory
            .report
            .append(&outcome, extra, labels, self.time(), appender.as_mut())?;
        // The next scrape is the retry: nobody waits for this one to be durable.
        drop(appender.commit()?);
        Ok(())
    }
}
