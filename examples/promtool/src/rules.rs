//! `tsdb create-blocks-from rules`: what recording rules would have written in the past.
//!
//! A server that has the data evaluates the expressions, two hours at a time and several at once.
//! Groups are evaluated at the times at which a server evaluates them: each has its own offset.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_config::{RuleChecks, RuleFile};
use headwater_env::{Clock, Env, SystemClock};
use headwater_model::duration::parse_duration;
use headwater_model::number::{format_float, parse_float};
use headwater_model::{Labels, LabelsBuilder};
use headwater_tsdb::backfill::Backfill;
use xxhash_rust::xxh64::xxh64;

use crate::failure::{Context, Failure, Outcome};
use crate::flags::FromRules;
use crate::list;
use crate::progress::Bar;

/// One query spans this many seconds, as a block does.
const SPAN: i64 = 2 * 3600;
/// Without an end, the last hours are left to the server, which still has them in its head.
const UNTIL: i64 = 3 * 3600;
/// Nanoseconds of a second.
const NANOS: i64 = 1_000_000_000;
/// Queries that the server evaluates at the same time.
const AT_ONCE: usize = 4;

pub(crate) fn run(options: &FromRules) -> Outcome {
    let start = seconds(&options.start).context("--start")?;
    let end = match &options.end {
        Some(end) => seconds(end).context("--end")?,
        None => SystemClock::new().unix_millis() / 1000 - UNTIL,
    };
    if end <= start {
        return Err(Failure::new("end time is before start time"));
    }
    let interval = parse_duration(&options.eval_interval).context("--eval-interval")?;
    let mut queries = Vec::new();
    for path in &options.files {
        for rule in read(path, interval)? {
            queries.extend(rule.queries(start, end));
        }
    }
    let mut backfill = Backfill::new(Env::real(), &options.output_dir);
    ask_all(&options.url, &queries, &mut backfill)?;
    let made = {
        let bar = Bar::new("writing");
        backfill.finish(&|done, of| bar.tell(done, of))?
    };
    match options.output_flags.quiet {
        true => Ok(()),
        false => list::print_made(
            &options.output_dir,
            &made,
            options.output_flags.human_readable,
        ),
    }
}

/// A time on the command line in seconds since 1970.
fn seconds(text: &str) -> Result<i64, String> {
    if let Some(seconds) = parse_float(text) {
        return Ok(seconds as i64);
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| format!("{text:?} is neither RFC 3339 nor Unix seconds"))?;
    Ok(time.as_second())
}

/// A recording rule and when it is evaluated.
#[derive(Clone, Debug)]
struct Recording {
    expression: String,
    /// Set on every series, the name included.
    labels: Vec<(String, String)>,
    /// Nanoseconds between evaluations.
    interval: i64,
    /// Nanoseconds behind the multiples of the interval.
    offset: i64,
}

/// The recording rules of a file; `interval` (milliseconds) is for groups without one.
fn read(path: &Path, interval: i64) -> Outcome<Vec<Recording>> {
    let file = RuleFile::load(path, &RuleChecks::default()).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::new(lines.join("\n"))
    })?;
    let mut out = Vec::new();
    for group in &file.groups {
        let millis = match group.interval.millis() {
            0 => interval,
            millis => millis,
        };
        let interval = millis.max(1) * 1_000_000;
        for rule in group.rules.iter().filter(|rule| !rule.record.is_empty()) {
            let mut labels: Vec<(String, String)> = group.labels_of(rule).into_iter().collect();
            labels.push(("__name__".to_owned(), rule.record.clone()));
            out.push(Recording {
                expression: (*rule.expr).clone(),
                labels,
                interval,
                offset: offset(path, &group.name, interval),
            });
        }
    }
    Ok(out)
}

/// When in its interval a group is evaluated, in nanoseconds: Prometheus hashes the labels `file`
/// and `name`. Source: Prometheus 2.42, `rules/manager.go`, `model/labels/labels.go`.
fn offset(path: &Path, group: &str, interval: i64) -> i64 {
    let bytes = format!("file\u{1}{}\u{1}name\u{1}{group}\u{1}", path.display());
    let bytes: Vec<u8> = bytes
        .bytes()
        .map(|byte| if byte == 1 { 0xff } else { byte })
        .collect();
    (xxh64(&bytes, 0) % interval.unsigned_abs()) as i64
}

/// A rule over a span of time, in seconds.
#[derive(Debug)]
struct Query {
    rule: Recording,
    start: f64,
    end: i64,
}

impl Recording {
    fn queries(&self, start: i64, end: i64) -> Vec<Query> {
        let mut out = Vec::new();
        let mut span = start - start.rem_euclid(SPAN);
        while span <= end {
            let from = span.max(start) * NANOS;
            let before = (from - self.offset).div_euclid(self.interval) * self.interval;
            let mut first = before + self.offset;
            if first < from {
                first += self.interval;
            }
            let until = (span + SPAN - 1).min(end);
            if first <= until * NANOS {
                out.push(Query {
                    rule: self.clone(),
                    start: (first / NANOS) as f64 + (first % NANOS) as f64 / 1e9,
                    end: until,
                });
            }
            span += SPAN;
        }
        out
    }
}

fn ask_all(url: &str, queries: &[Query], backfill: &mut Backfill) -> Outcome {
    let bar = Bar::new("evaluating");
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let shared = Mutex::new(backfill);
    let work = || {
        while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let series = query.ask(url).context(&query.rule.expression)?;
            let mut backfill = shared
                .lock()
                .map_err(|_| Failure::new("a query panicked"))?;
            for (labels, times, values) in series {
                backfill.add_floats(&labels, &times, &values)?;
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            bar.tell(done as u64, queries.len() as u64);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(_) => Err(Failure::new("a query panicked")),
            })
    })
}

type Series = (Labels, Vec<i64>, Vec<f64>);

impl Query {
    fn ask(&self, url: &str) -> Result<Vec<Series>, String> {
        let path = format!("{}/api/v1/query_range", url.trim_end_matches('/'));
        let form = [
            ("query", self.rule.expression.clone()),
            ("start", format_float(self.start)),
            ("end", self.end.to_string()),
            ("step", format_float(self.rule.interval as f64 / 1e9)),
        ];
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build()
            .into();
        let mut answer = agent
            .post(&path)
            .send_form(form)
            .map_err(|error| format!("{path}: {error}"))?;
        let body = answer
            .body_mut()
            .read_to_string()
            .map_err(|error| format!("{path}: {error}"))?;
        let json: serde_json::Value = serde_json::from_str(&body)
            .map_err(|error| format!("{path}: status {}: {error}", answer.status()))?;
        match json["status"].as_str() {
            Some("success") => self.series(&json),
            _ => Err(format!(
                "{path}: {}",
                json["error"].as_str().unwrap_or(&body)
            )),
        }
    }

    /// The floats of an answer under the labels of the rule. Histograms are left out, as in Prometheus.
    fn series(&self, json: &serde_json::Value) -> Result<Vec<Series>, String> {
        let rows = json["data"]["result"]
            .as_array()
            .ok_or("the answer has no result")?;
        let mut out = Vec::new();
        for row in rows {
            let mut builder = LabelsBuilder::new();
            for (name, value) in row["metric"].as_object().into_iter().flatten() {
                builder.set(name, value.as_str().unwrap_or_default());
            }
            for (name, value) in &self.rule.labels {
                builder.set(name, value);
            }
            let (mut times, mut values) = (Vec::new(), Vec::new());
            for pair in row["values"].as_array().into_iter().flatten() {
                let time = pair[0].as_f64().ok_or("a time is no number")?;
                let value = pair[1].as_str().and_then(parse_float);
                times.push((time * 1000.0).round() as i64);
                values.push(value.ok_or("a value is no number")?);
            }
            out.push((builder.build(), times, values));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(interval: i64, offset: i64) -> Recording {
        Recording {
            expression: "up".to_owned(),
            labels: vec![("__name__".to_owned(), "up:new".to_owned())],
            interval: interval * 1_000_000_000,
            offset: offset * 1_000_000_000,
        }
    }

    #[test]
    fn times_are_read_in_both_forms() {
        assert_eq!(seconds("1609954636.5"), Ok(1_609_954_636));
        assert_eq!(seconds("2021-01-06T17:37:16Z"), Ok(1_609_954_636));
        assert!(seconds("yesterday").is_err());
    }

    #[test]
    fn queries_keep_to_blocks_and_to_the_offset() {
        let queries = rule(60, 7).queries(100, 2 * SPAN + 5);
        let spans: Vec<(f64, i64)> = queries.iter().map(|q| (q.start, q.end)).collect();
        assert_eq!(
            spans,
            [(127.0, SPAN - 1), (SPAN as f64 + 7.0, 2 * SPAN - 1)]
        );
    }

    #[test]
    fn answers_get_the_labels_of_the_rule() {
        let query = &rule(60, 0).queries(0, 100)[0];
        let json = serde_json::json!({"data": {"result": [
            {"metric": {"__name__": "up", "job": "a"}, "values": [[60.5, "1.5"], [120, "NaN"]]},
        ]}});
        let series = query.series(&json).expect("an answer");
        assert_eq!(series[0].0.to_string(), r#"{__name__="up:new", job="a"}"#);
        assert_eq!(series[0].1, [60_500, 120_000]);
        assert!(series[0].2[0] == 1.5 && series[0].2[1].is_nan());
    }
}
