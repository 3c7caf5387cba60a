//! A world of one job: scripted targets, tokio's paused time, a store in memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use headwater_env::Clock;
use headwater_exposition::{Escaping, Protocol, Registry};
use headwater_model::{Labels, SeriesColumns, TargetGroup, TimeRange, is_stale_nan};
use headwater_scrape::{
    ActiveTarget, Fetch, FetchRequest, JobConfig, JobError, MakeFetch, ManagerOptions, ScrapeError,
    ScrapeManager, TargetSets,
};
use headwater_storage::{BoxFuture, MemoryStore, Select, SelectRequest, block_on};
use parking_lot::Mutex;

/// From one scrape to the next.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
/// When the world begins, in milliseconds: on a multiple of the interval.
const BEGIN: i64 = 1_700_000_000_000;

/// What a target answers.
#[derive(Clone)]
pub(crate) enum Answer {
    Text(String),
    OpenMetrics(String),
    Protobuf(Vec<u8>),
    Typed(&'static str, String),
    Status(&'static str),
    Silence,
}

pub(crate) fn text(body: &str) -> Answer {
    Answer::Text(body.to_owned())
}

/// Answers one after the other; the last one for ever.
#[derive(Clone, Default)]
pub(crate) struct Script {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    pub(crate) requests: Arc<Mutex<Vec<FetchRequest>>>,
}

impl Script {
    fn answer(&self) -> Answer {
        let mut answers = self.answers.lock();
        match answers.len() {
            0 | 1 => answers.front().cloned().unwrap_or(Answer::Silence),
            _ => answers.pop_front().unwrap_or(Answer::Silence),
        }
    }
}

impl Fetch for Script {
    fn fetch<'a>(
        &'a self,
        request: &'a FetchRequest,
        body: &'a mut Vec<u8>,
    ) -> BoxFuture<'a, Result<String, ScrapeError>> {
        self.requests.lock().push(request.clone());
        let answer = self.answer();
        Box::pin(async move {
            let (content_type, bytes) = match answer {
                Answer::Text(text) => ("text/plain", text.into_bytes()),
                Answer::OpenMetrics(text) => ("application/openmetrics-text", text.into_bytes()),
                Answer::Protobuf(bytes) => ("application/vnd.google.protobuf", bytes),
                Answer::Typed(content_type, text) => (content_type, text.into_bytes()),
                Answer::Status(status) => return Err(ScrapeError::Status(status.to_owned())),
                Answer::Silence => std::future::pending().await,
            };
            if bytes.len() as u64 > request.max_body_bytes {
                return Err(ScrapeError::BodyLimit);
            }
            body.extend_from_slice(&bytes);
            Ok(content_type.to_owned())
        })
    }
}

impl MakeFetch for Script {
    fn make(&self, _job: &JobConfig) -> Result<Arc<dyn Fetch>, JobError> {
        Ok(Arc::new(self.clone()))
    }
}

/// Wall time that follows tokio's.
#[derive(Debug)]
struct TokioClock(tokio::time::Instant);

impl Clock for TokioClock {
    fn unix_nanos(&self) -> i64 {
        BEGIN * 1_000_000 + self.0.elapsed().as_nanos() as i64
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(crate) struct World {
    pub(crate) manager: ScrapeManager,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) script: Script,
    pub(crate) registry: Registry,
    clock: Arc<TokioClock>,
}

pub(crate) fn job() -> JobConfig {
    let mut job = JobConfig::new("j");
    job.scrape_interval = INTERVAL;
    job.scrape_timeout = Duration::from_secs(5);
    job
}

impl World {
    /// A world in which the job scrapes one target, which answers so.
    pub(crate) fn new(job: JobConfig, answers: impl IntoIterator<Item = Answer>) -> Self {
        Self::with_options(job, answers, ManagerOptions::default())
    }

    pub(crate) fn with_options(
        job: JobConfig,
        answers: impl IntoIterator<Item = Answer>,
        options: ManagerOptions,
    ) -> Self {
        let script = Script::default();
        script.answers.lock().extend(answers);
        let store = Arc::new(MemoryStore::new());
        let registry = Registry::new();
        let clock = Arc::new(TokioClock(tokio::time::Instant::now()));
        let manager = ScrapeManager::builder(store.clone())
            .fetch(Arc::new(script.clone()))
            .clock(clock.clone())
            .options(options)
            .registry(&registry)
            .build();
        manager.apply(vec![job]).expect("valid job");
        let world = Self {
            manager,
            store,
            script,
            registry,
            clock,
        };
        world.discover(&["a"]);
        world
    }

    /// Discovery says that these are the targets.
    pub(crate) fn discover(&self, addresses: &[&str]) {
        let targets = addresses
            .iter()
            .map(|address| Labels::from_pairs([("__address__", *address)]))
            .collect();
        let group = TargetGroup {
            source: "test".to_owned(),
            labels: Labels::empty(),
            targets,
        };
        self.manager
            .sync(&TargetSets::from([("j".to_owned(), vec![Arc::new(group)])]));
    }

    /// Lets so many scrapes of each target happen.
    pub(crate) async fn scrapes(&self, count: u32) {
        tokio::time::sleep(INTERVAL * count).await;
    }

    pub(crate) fn now_millis(&self) -> i64 {
        self.clock.unix_millis()
    }

    pub(crate) fn target(&self) -> ActiveTarget {
        self.manager.status()[0].active[0].clone()
    }

    /// The samples of series with this name, one line a series: labels without name, job and
    /// instance, then the values in order, `stale` for markers.
    pub(crate) fn series(&self, name: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (labels, columns) in self.columns() {
            if labels.metric_name() != Some(name) {
                continue;
            }
            let rest = labels.project(|name| !["__name__", "job", "instance"].contains(&name));
            let mut line = if rest.is_empty() {
                String::new()
            } else {
                rest.to_string()
            };
            let floats = columns
                .floats
                .values
                .iter()
                .map(|value| match is_stale_nan(*value) {
                    true => "stale".to_owned(),
                    false => value.to_string(),
                });
            let histograms = (0..columns.histograms.len())
                .map(|at| columns.histograms.float(at))
                .map(|h| {
                    if is_stale_nan(h.sum) {
                        "stale".to_owned()
                    } else {
                        format!("histogram {}/{}", h.count, h.sum)
                    }
                });
            for value in histograms.chain(floats) {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(&value);
            }
            lines.push(line);
        }
        lines
    }

    /// All series, sorted.
    pub(crate) fn columns(&self) -> Vec<(Labels, SeriesColumns)> {
        let mut all = Vec::new();
        let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
        let mut cursor = block_on(self.store.select(request)).expect("readable");
        while let Some(labels) = cursor.advance().expect("readable") {
            let mut columns = SeriesColumns::default();
            cursor.read(&mut columns).expect("readable");
            all.push((labels, columns));
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// The value of one of the manager's own metrics.
    pub(crate) fn own_metric(&self, line_start: &str) -> f64 {
        let body = self
            .registry
            .write(Protocol::PrometheusText0_0_4, Escaping::Underscores);
        let body = String::from_utf8(body).expect("text");
        let line = body
            .lines()
            .find_map(|line| line.strip_prefix(line_start))
            .unwrap_or_else(|| panic!("{line_start}"));
        line.trim().parse().expect("a number")
    }
}
