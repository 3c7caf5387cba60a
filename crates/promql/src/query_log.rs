//! The query log: a JSON line for each query, with the fields of Prometheus's.
//!
//! `params` has query, start, end and step (whole seconds), `stats` what the query cost, `error` why it
//! failed, and `httpRequest` or `ruleGroup` who asked.

use std::path::Path;
use std::sync::Arc;

use headwater_env::{Env, File, OpenMode};
use headwater_model::Timestamp;
use headwater_query::{EvalRequest, Origin, QueryError, QueryStats};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use crate::functions::date::rfc3339;

/// Where queries are logged; nowhere until a file is set.
#[derive(Debug)]
pub struct QueryLog {
    env: Env,
    sink: Mutex<Option<Sink>>,
}

#[derive(Debug)]
struct Sink {
    file: Box<dyn File>,
    end: u64,
}

impl QueryLog {
    /// A log without a file.
    pub fn new(env: Env) -> Arc<Self> {
        Arc::new(Self {
            env,
            sink: Mutex::default(),
        })
    }

    /// From now on queries are appended to this file, or to none. Setting the same file again opens it
    /// anew, so that a log that was moved away is begun again.
    ///
    /// # Errors
    /// The file cannot be opened; the log goes where it went before.
    pub fn set_file(&self, path: Option<&Path>) -> headwater_env::Result<()> {
        let sink = match path {
            Some(path) => {
                let file = self.env.files.open(path, OpenMode::Write)?;
                let end = file.len()?;
                Some(Sink { file, end })
            }
            None => None,
        };
        *self.sink.lock() = sink;
        Ok(())
    }

    /// Whether there is a file.
    pub fn is_on(&self) -> bool {
        self.sink.lock().is_some()
    }

    /// Appends a line. A log that cannot be written keeps nobody from an answer.
    pub(crate) fn write(
        &self,
        request: &EvalRequest,
        stats: &QueryStats,
        error: Option<&QueryError>,
    ) {
        let mut line = entry(self.env.clock.unix_millis(), request, stats, error).to_string();
        line.push('\n');
        if let Some(sink) = &mut *self.sink.lock()
            && sink.file.write_at(sink.end, line.as_bytes()).is_ok()
        {
            sink.end += line.len() as u64;
        }
    }
}

fn entry(
    now: Timestamp,
    request: &EvalRequest,
    stats: &QueryStats,
    error: Option<&QueryError>,
) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
    put("time", date(now).into());
    put("level", "INFO".into());
    put("msg", "promql query logged".into());
    put(
        "params",
        json!({
            "query": request.expression,
            "start": date(request.start),
            "end": date(request.end),
            "step": request.step / 1000,
        }),
    );
    put("stats", statistics(stats));
    if let Some(error) = error {
        put("error", error.to_string().into());
    }
    match &request.origin {
        Some(Origin::Http {
            client,
            method,
            path,
        }) => {
            let request = json!({"clientIP": client, "method": method, "path": path});
            put("httpRequest", request);
        }
        Some(Origin::Rule { file, group }) => {
            put("ruleGroup", json!({"file": file, "name": group}));
        }
        _ => {}
    }
    Value::Object(entry)
}

fn statistics(stats: &QueryStats) -> Value {
    let evaluated = stats.prepare_time + stats.eval_time + stats.sort_time;
    json!({
        "timings": {
            "evalTotalTime": evaluated.as_secs_f64(),
            "resultSortTime": stats.sort_time.as_secs_f64(),
            "queryPreparationTime": stats.prepare_time.as_secs_f64(),
            "innerEvalTime": stats.eval_time.as_secs_f64(),
            "execQueueTime": stats.queue_time.as_secs_f64(),
            "execTotalTime": stats.total_time.as_secs_f64(),
        },
        "samples": {
            "totalQueryableSamples": stats.samples,
            "samplesRead": stats.samples_read,
            "peakSamples": stats.peak_samples,
        },
    })
}

/// With milliseconds, as in `2026-01-31T23:59:59.125Z`.
fn date(millis: Timestamp) -> String {
    let mut text = rfc3339(millis.div_euclid(1000));
    text.pop();
    format!("{text}.{:03}Z", millis.rem_euclid(1000))
}

#[cfg(test)]
mod tests {
    use headwater_env::FilesExt;

    use super::*;

    #[test]
    fn lines_have_the_fields_of_the_original() {
        let env = Env::in_memory(1);
        let log = QueryLog::new(env.clone());
        let mut request = EvalRequest::range("up == 0", 1_500, 61_500, 15_000);
        log.write(&request, &QueryStats::default(), None);
        let path = Path::new("/q.log");
        log.set_file(Some(path)).unwrap();
        request.origin = Some(Origin::Http {
            client: "127.0.0.1".into(),
            method: "GET".into(),
            path: "/api/v1/query_range".into(),
        });
        log.write(&request, &QueryStats::default(), None);
        // Opened again, the log goes on behind what is there.
        log.set_file(Some(path)).unwrap();
        request.origin = Some(Origin::Rule {
            file: "a.yml".into(),
            group: "g".into(),
        });
        let kind = headwater_query::QueryErrorKind::Timeout;
        let error = QueryError::new(kind, "query timed out in query queue");
        log.write(&request, &QueryStats::default(), Some(&error));
        log.set_file(None).unwrap();
        log.write(&request, &QueryStats::default(), None);
        let text = String::from_utf8(env.files.read(path).unwrap()).unwrap();
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        let params = json!({"query": "up == 0", "start": "1970-01-01T00:00:01.500Z", "end": "1970-01-01T00:01:01.500Z", "step": 15});
        assert_eq!(lines[0]["params"], params);
        assert_eq!(lines[0]["stats"]["timings"]["execTotalTime"], 0.0);
        assert_eq!(lines[0]["httpRequest"]["clientIP"], "127.0.0.1");
        assert_eq!(lines[0].get("error"), None);
        assert_eq!(lines[1]["ruleGroup"], json!({"file": "a.yml", "name": "g"}));
        assert_eq!(lines[1]["error"], "query timed out in query queue");
    }
}
