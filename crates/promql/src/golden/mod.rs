//! Recorded answers: requests to a Prometheus server with what it answered, run again here.
//!
//! A folder has `dataset.om.txt.gz` and `native-histograms.jsonl.gz` (the samples), `queries.json`
//! (the requests) and `responses.jsonl.gz` (the answers). Floats are compared to 1e-9 relative;
//! vectors, warnings and infos as sets. Requests that are marked `nondeterministic` are compared by
//! status only.

mod compare;
mod dataset;
mod json;

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_query::{Answer, EvalRequest, Evaluate, QueryError, QueryErrorKind};
use headwater_storage::{MemoryStore, Select, block_on};
use serde_json::Value;

use crate::engine::Engine;
use crate::options::EngineOptions;
use crate::syntax::parse::ParseOptions;

/// How many requests gave the recorded answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Requests answered as recorded.
    pub passed: usize,
    /// A line for each request answered otherwise.
    pub failures: Vec<String>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        let (passed, failed) = (self.passed, self.failures.len());
        write!(
            f,
            "promql golden: {passed} passed, {failed} failed, of {}",
            passed + failed
        )
    }
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidData, message.into())
}

/// The text of a gzip file.
fn unzip(path: &Path) -> Result<String> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
    Ok(text)
}

/// Runs the requests of a folder on the in-memory store.
///
/// # Errors
/// A file cannot be read or is not what it should be.
pub fn run(folder: &Path) -> Result<Report> {
    let store = Arc::new(MemoryStore::new());
    dataset::load(folder, &store)?;
    run_on(folder, store)
}

/// Runs the requests of a folder on a store that has the samples already.
///
/// # Errors
/// A file cannot be read or is not what it should be.
pub fn run_on(folder: &Path, store: Arc<dyn Select>) -> Result<Report> {
    let queries: Vec<Value> = serde_json::from_slice(&std::fs::read(folder.join("queries.json"))?)?;
    let mut answers = HashMap::new();
    for line in unzip(&folder.join("responses.jsonl.gz"))?.lines() {
        let answer: Value = serde_json::from_str(line)?;
        answers.insert(
            answer["id"]
                .as_u64()
                .ok_or_else(|| bad("answer without id"))?,
            answer,
        );
    }
    let mut engines = HashMap::new();
    let mut report = Report::default();
    for query in &queries {
        let id = query["id"]
            .as_u64()
            .ok_or_else(|| bad("request without id"))?;
        let expected = answers
            .get(&id)
            .ok_or_else(|| bad(format!("no answer to request {id}")))?;
        let features = query["feature_flags"].as_str().unwrap_or("").to_owned();
        if !engines.contains_key(&features) {
            engines.insert(
                features.clone(),
                Engine::new(store.clone(), options(&features))?,
            );
        }
        let found = block_on(engines[&features].evaluate(request(query)?));
        match check(query, expected, found) {
            Ok(()) => report.passed += 1,
            Err(message) => {
                let (kind, text) = (&query["kind"], &query["query"]);
                report
                    .failures
                    .push(format!("{id} {kind} {text}: {message}"));
            }
        }
    }
    Ok(report)
}

fn options(features: &str) -> EngineOptions {
    EngineOptions {
        parse: ParseOptions {
            experimental_functions: features.contains("promql-experimental-functions"),
            extended_ranges: features.contains("promql-extended-range-selectors"),
            fill_modifiers: features.contains("promql-binop-fill-modifiers"),
        },
        delayed_name_removal: features.contains("promql-delayed-name-removal"),
        timeout: Duration::from_secs(100),
        threads: 2,
        ..EngineOptions::default()
    }
}

fn request(query: &Value) -> Result<EvalRequest> {
    let text = query["query"]
        .as_str()
        .ok_or_else(|| bad("request without query"))?;
    let time =
        |name: &str| json::time(&query[name]).ok_or_else(|| bad(format!("bad {name} in {query}")));
    let mut request = if query["kind"] == "range" {
        let step =
            json::duration(&query["step"]).ok_or_else(|| bad(format!("bad step in {query}")))?;
        EvalRequest::range(text, time("start")?, time("end")?, step)
    } else {
        EvalRequest::instant(text, time("time")?)
    };
    request.lookback = json::duration(&query["lookback_delta"]);
    request.limit = query["limit"].as_u64().map_or(0, |limit| limit as usize);
    Ok(request)
}

fn check(
    query: &Value,
    expected: &Value,
    found: std::result::Result<Answer, QueryError>,
) -> std::result::Result<(), String> {
    let body = match &expected["body"] {
        Value::String(text) => serde_json::from_str(text).map_err(|error| error.to_string())?,
        body => body.clone(),
    };
    let (status, found) = match found {
        Ok(answer) => (200, json::success(&answer)),
        Err(error) => failure(&error),
    };
    if expected["status"].as_u64() != Some(status) {
        return Err(format!(
            "expected status {}, got {status}: {found}",
            expected["status"]
        ));
    }
    if !query["nondeterministic"].is_null() {
        return Ok(());
    }
    compare::bodies(&body, &found, query["ordered"] == true)
}

/// Status and body of an error, as the HTTP API gives them.
fn failure(error: &QueryError) -> (u64, Value) {
    let (status, kind, message) = match error.kind() {
        QueryErrorKind::BadData => (
            400,
            "bad_data",
            format!("invalid parameter \"query\": {error}"),
        ),
        QueryErrorKind::Timeout => (503, "timeout", error.to_string()),
        QueryErrorKind::Canceled => (499, "canceled", error.to_string()),
        QueryErrorKind::Internal => (500, "internal", error.to_string()),
        _ => (422, "execution", error.to_string()),
    };
    (
        status,
        serde_json::json!({"status": "error", "errorType": kind, "error": message}),
    )
}
