//! Runs cases recorded from Loki against the router, over a store in memory.
//!
//! `dataset.ndjson.gz` is pushed through the API in its order, flushed, and asked with `queries.json`;
//! then every case of `push.json` is sent to a tenant of its own and what it stored is read back. A case that fails takes one line.

mod compare;
mod push;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use headwater_chunkstore::{ChunkStore, Config};
use headwater_env::{Env, MemoryFiles, SystemClock, SystemRng};
use headwater_logs::{Distributor, Ingester, IngesterConfig, Limits, Overrides};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::{Parts, router};

/// Lines of one push of the dataset.
const BATCH: usize = 500;

/// An error of the runner itself: a file is missing or not what it should be.
pub type Error = Box<dyn std::error::Error>;

/// Cases of one kind.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Cases that passed.
    pub passed: usize,
    /// One line for each that did not.
    pub failures: Vec<String>,
}

impl Tally {
    fn note(&mut self, id: &str, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => self.failures.push(format!("{id}: {why}")),
        }
    }

    fn sum(&self) -> String {
        let (passed, failed) = (self.passed, self.failures.len());
        format!("{passed} passed, {failed} failed, of {}", passed + failed)
    }
}

/// What came of all cases.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Queries.
    pub queries: Tally,
    /// Statuses of pushes.
    pub pushes: Tally,
    /// What could be read back after pushes.
    pub stored: Tally,
}

impl Report {
    /// Cases that failed.
    pub fn failed(&self) -> usize {
        self.queries.failures.len() + self.pushes.failures.len() + self.stored.failures.len()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.queries.failures {
            writeln!(f, "{failure}")?;
        }
        writeln!(f, "loki golden: {}", self.queries.sum())?;
        for failure in &self.pushes.failures {
            writeln!(f, "{failure}")?;
        }
        writeln!(f, "loki push: {}", self.pushes.sum())?;
        for failure in &self.stored.failures {
            writeln!(f, "{failure}")?;
        }
        write!(f, "loki stored: {}", self.stored.sum())
    }
}

/// Runs everything in `folder`.
///
/// # Errors
/// The files cannot be read, or the dataset is refused.
pub fn run(folder: &Path) -> Result<Report, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let queries = queries(folder).await?;
        let (pushes, stored) = push::run(folder).await?;
        Ok(Report {
            queries,
            pushes,
            stored,
        })
    })
}

/// A server whose files are in memory.
struct Server {
    api: Router,
    overrides: Arc<Overrides>,
    store: Arc<ChunkStore>,
}

impl Server {
    fn new(limits: Limits, change: impl FnOnce(&mut crate::Settings)) -> Result<Self, Error> {
        let env = Env {
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng::new()),
            files: Arc::new(MemoryFiles::new()),
        };
        let clock = env.clock.clone();
        let store = Arc::new(ChunkStore::open(env, Config::new("/golden"))?);
        let ingester = Ingester::new(store.clone(), clock.clone(), IngesterConfig::default());
        let ingester = Arc::new(ingester);
        let distributor = Arc::new(Distributor::new(ingester.clone(), clock.clone()));
        let overrides = Arc::new(Overrides::new(limits));
        let mut parts = Parts::new(distributor, ingester, overrides.clone(), clock);
        change(&mut parts.settings);
        Ok(Self {
            api: router(parts),
            overrides,
            store,
        })
    }

    /// The status, the content type and the body of an answer.
    async fn ask(&self, request: Request<Body>) -> Result<(u16, String, Vec<u8>), Error> {
        let response = self.api.clone().oneshot(request).await?;
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind
            .and_then(|kind| kind.to_str().ok())
            .unwrap_or("")
            .to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1 << 30).await?;
        Ok((status, kind, body.to_vec()))
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut text = String::new();
    match path.extension().is_some_and(|end| end == "gz") {
        true => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text)?,
        false => (&bytes[..]).read_to_string(&mut text)?,
    };
    Ok(text)
}

async fn queries(folder: &Path) -> Result<Tally, Error> {
    let limits = headwater_yaml::from_str(
        "{reject_old_samples: false, ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}",
    )?;
    let server = Server::new(limits, |_| {})?;
    fill(&server, folder).await?;
    let asked: Vec<Value> = serde_json::from_str(&read(&folder.join("queries.json"))?)?;
    let answers = read(&folder.join("responses.ndjson.gz"))?;
    let answers = answers
        .lines()
        .map(|line| {
            let answer: Value = serde_json::from_str(line)?;
            Ok((answer["id"].as_str().unwrap_or_default().to_owned(), answer))
        })
        .collect::<Result<std::collections::HashMap<_, _>, Error>>()?;
    let mut tally = Tally::default();
    for query in &asked {
        let id = query["id"].as_str().unwrap_or_default();
        let wanted = answers
            .get(id)
            .ok_or_else(|| format!("no answer to {id}"))?;
        let (status, kind, body) = server.ask(request(query)?).await?;
        tally.note(id, compare::compare(wanted, status, &kind, &body));
    }
    Ok(tally)
}

/// Pushes the dataset in its order, in batches that are grouped by stream, and flushes.
async fn fill(server: &Server, folder: &Path) -> Result<(), Error> {
    let text = read(&folder.join("dataset.ndjson.gz"))?;
    let lines: Vec<&str> = text.lines().collect();
    for batch in lines.chunks(BATCH) {
        let mut streams: Vec<(Value, Vec<Value>)> = Vec::new();
        for line in batch {
            let mut entry: Value = serde_json::from_str(line)?;
            let labels = entry["labels"].take();
            let mut value = vec![entry["ts"].take(), entry["line"].take()];
            if entry["sm"].is_object() {
                value.push(entry["sm"].take());
            }
            match streams.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, values)) => values.push(Value::Array(value)),
                None => streams.push((labels, vec![Value::Array(value)])),
            }
        }
        let streams: Vec<Value> = streams
            .into_iter()
            .map(|(stream, values)| json!({ "stream": stream, "values": values }))
            .collect();
        let request = Request::post("/loki/api/v1/push")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(json!({ "streams": streams }).to_string()))?;
        let (status, _, body) = server.ask(request).await?;
        if status != 204 {
            return Err(format!(
                "the dataset is refused: {status} {}",
                String::from_utf8_lossy(&body)
            )
            .into());
        }
    }
    Ok(server.store.flush()?)
}

fn request(query: &Value) -> Result<Request<Body>, Error> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in query["params"].as_object().into_iter().flatten() {
        match value {
            Value::Array(values) => values.iter().for_each(|value| {
                form.append_pair(name, value.as_str().unwrap_or_default());
            }),
            value => {
                form.append_pair(name, value.as_str().unwrap_or_default());
            }
        }
    }
    let (form, method) = (form.finish(), query["method"].as_str().unwrap_or("GET"));
    let path = query["path"].as_str().unwrap_or_default();
    let mut request = Request::builder().method(method);
    for (name, value) in query["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    let request = match method {
        "POST" => request
            .uri(path)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form)),
        _ => request.uri(format!("{path}?{form}")).body(Body::empty()),
    };
    Ok(request?)
}
