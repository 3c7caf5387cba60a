//! Answers recorded from Loki to queries over its dataset.
//!
//! What a distributor adds to streams (service name, detected level) is added
//! here in the simplest way, so a few answers that hang on finer points of
//! level detection may differ; the server's own tests cover those. So do
//! answers that show how Loki divides a query over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_logql::{Engine, EngineLimits, LogQuery, LogValue, Stream, parse};
use headwater_model::Labels;
use headwater_query::{Point, Value as Metric};
use headwater_storage::{Direction, MemoryLogs};
use serde_json::{Value, json};

use super::golden::{corpora, gunzip};

const SERVICE_LABELS: [&str; 15] = [
    "service",
    "app",
    "application",
    "app_name",
    "name",
    "app_kubernetes_io_name",
    "container",
    "container_name",
    "k8s_container_name",
    "component",
    "workload",
    "job",
    "k8s_job_name",
    "pod",
    "k8s_pod_name",
];

const LEVEL_FIELDS: [&str; 11] = [
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
];

fn level_word(word: &str) -> Option<&'static str> {
    Some(match word.to_lowercase().as_str() {
        "trace" | "trc" => "trace",
        "debug" | "dbg" => "debug",
        "info" | "inf" | "information" => "info",
        "warn" | "wrn" | "warning" => "warn",
        "error" | "err" => "error",
        "critical" => "critical",
        "fatal" => "fatal",
        _ => return None,
    })
}

/// The level that a distributor would find in a line.
fn detected_level(labels: &Labels, metadata: &[(String, String)], line: &str) -> String {
    for field in LEVEL_FIELDS {
        let meta = metadata.iter().find(|(name, _)| name == field);
        if let Some(value) = meta.map(|(_, v)| v.as_str()).or_else(|| labels.get(field)) {
            return level_word(value).map_or_else(|| value.to_owned(), str::to_owned);
        }
    }
    if let Ok(Value::Object(fields)) = serde_json::from_str::<Value>(line) {
        let found = LEVEL_FIELDS.iter().find_map(|f| fields.get(*f)?.as_str());
        if let Some(level) = found.and_then(level_word) {
            return level.to_owned();
        }
    } else if line.contains('=') {
        for field in LEVEL_FIELDS {
            let key = format!("{field}=");
            let at = line
                .match_indices(&key)
                .map(|(at, _)| at)
                .find(|at| *at == 0 || line.as_bytes()[at - 1] == b' ');
            if let Some(at) = at {
                let rest = line[at + key.len()..].trim_start_matches('"');
                let end = rest.find([' ', '"']).unwrap_or(rest.len());
                if let Some(level) = level_word(&rest[..end]) {
                    return level.to_owned();
                }
            }
        }
    }
    let lower = line.to_lowercase();
    let words = [
        ("error", &["err:", "error", "err "][..]),
        ("warn", &["warn:", "warning"]),
        ("critical", &["critical:"]),
        ("debug", &["debug:"]),
        ("info", &["info:"]),
    ];
    let found = words
        .iter()
        .find(|(_, words)| words.iter().any(|w| lower.contains(w)));
    found.map_or("unknown", |(level, _)| level).to_owned()
}

/// The levels that Loki found, from the answers that show lines as they are.
fn recorded_levels() -> BTreeMap<(String, String), String> {
    let mut levels = BTreeMap::new();
    for case in super::golden::cases() {
        for stream in case.body["data"]["result"].as_array().into_iter().flatten() {
            let level = stream["stream"]["detected_level"].as_str();
            for value in stream["values"].as_array().into_iter().flatten() {
                let inner = value[2]["structuredMetadata"]["detected_level"].as_str();
                let (Some(time), Some(line)) = (value[0].as_str(), value[1].as_str()) else {
                    continue;
                };
                if let Some(level) = level.or(inner) {
                    let key = (time.to_owned(), line.to_owned());
                    levels.insert(key, level.to_owned());
                }
            }
        }
    }
    levels
}

fn load() -> Option<MemoryLogs> {
    let folder = corpora("loki/golden")?;
    let levels = recorded_levels();
    let store = MemoryLogs::new();
    for line in gunzip(&folder.join("dataset.ndjson.gz")).lines() {
        let entry: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pairs = |value: &Value| -> Vec<(String, String)> {
            let map = value.as_object().into_iter().flatten();
            map.map(|(name, value)| (name.clone(), text(value)))
                .collect()
        };
        let mut labels = Labels::from_pairs(pairs(&entry["labels"]));
        if !labels.has("service_name") {
            let service = SERVICE_LABELS.iter().find_map(|name| labels.get(name));
            let service = service.unwrap_or("unknown_service").to_owned();
            labels = labels.to_builder().set("service_name", &service).build();
        }
        let mut metadata = pairs(&entry["sm"]);
        for (name, _) in &mut metadata {
            *name = name.replace(['.', '-'], "_");
        }
        let line = text(&entry["line"]);
        let recorded = levels.get(&(text(&entry["ts"]), line.clone())).cloned();
        let level = recorded.unwrap_or_else(|| detected_level(&labels, &metadata, &line));
        metadata.push(("detected_level".to_owned(), level));
        let time = text(&entry["ts"]).parse().expect("nanoseconds");
        store.push(&labels, time, line, &Labels::from_pairs(metadata));
    }
    Some(store)
}

/// A time as clients send it: seconds, fractions of them, or nanoseconds.
fn nanos(text: &str) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(n) if text.len() <= 10 => Some(n * 1_000_000_000),
        Ok(n) => Some(n),
        Err(_) => text.parse::<f64>().ok().map(|s| (s * 1e9).round() as i64),
    }
}

fn seconds(text: &str) -> Option<i64> {
    let unit = |suffix: &str, nanos: f64| {
        let number = text.strip_suffix(suffix)?.parse::<f64>().ok()?;
        Some((number * nanos) as i64)
    };
    let plain = text.parse::<f64>().ok().map(|s| (s * 1e9) as i64);
    plain
        .or_else(|| unit("ms", 1e6))
        .or_else(|| unit("s", 1e9))
        .or_else(|| unit("m", 60e9))
        .or_else(|| unit("h", 3600e9))
}

fn request(path: &str, params: &Value) -> Option<LogQuery> {
    let get = |name: &str| params[name].as_str();
    let text = get("query")?;
    let mut query = match path {
        "/loki/api/v1/query" => LogQuery::instant(text, nanos(get("time")?)?),
        "/loki/api/v1/query_range" => {
            let (start, end) = (nanos(get("start")?)?, nanos(get("end")?)?);
            let step = match get("step") {
                Some(step) => seconds(step)?,
                None => ((end - start) / 250_000_000_000).max(1) * 1_000_000_000,
            };
            LogQuery::range(text, start, end, step)
        }
        _ => return None,
    };
    if let Some(limit) = get("limit") {
        query.limit = limit.parse().ok()?;
    }
    if let Some(interval) = get("interval") {
        query.interval = seconds(interval)?;
    }
    if get("direction").is_some_and(|d| d.eq_ignore_ascii_case("forward")) {
        query.direction = Direction::Forward;
    }
    Some(query)
}

fn streams(found: Vec<Stream>) -> Value {
    let pairs =
        |pairs: Vec<(String, String)>| -> BTreeMap<String, String> { pairs.into_iter().collect() };
    let streams = found.into_iter().map(|stream| {
        let values: Vec<Value> = stream
            .entries
            .into_iter()
            .map(|entry| {
                let line = String::from_utf8_lossy(&entry.line).into_owned();
                let extra = json!({
                    "structuredMetadata": pairs(entry.metadata.clone()),
                    "parsed": pairs(entry.parsed.clone()),
                });
                let mut value = vec![json!(entry.time.to_string()), json!(line)];
                let mut extra = extra;
                if let Some(map) = extra.as_object_mut() {
                    map.retain(|_, v| v.as_object().is_some_and(|m| !m.is_empty()));
                }
                value.push(extra);
                Value::Array(value)
            })
            .collect();
        json!({"stream": pairs(stream.labels), "values": values})
    });
    streams.collect()
}

fn metric(value: Metric) -> Value {
    let labels = |labels: &Labels| -> BTreeMap<String, String> {
        labels
            .iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect()
    };
    let point = |time: i64, value: f64| match value.is_finite() {
        true => json!([time as f64 / 1000.0, value]),
        false => json!([
            time as f64 / 1000.0,
            headwater_model::number::format_float(value)
        ]),
    };
    match value {
        // Loki gives the time of a lone number in milliseconds.
        Metric::Scalar { time, value } => point(time * 1000, value),
        Metric::String { value, .. } => json!(value),
        Metric::Vector(samples) => samples
            .into_iter()
            .map(|s| {
                let Point::Float(value) = s.point else {
                    return Value::Null;
                };
                json!({"metric": labels(&s.labels), "value": point(s.time, value)})
            })
            .collect(),
        Metric::Matrix(series) => series
            .into_iter()
            .map(|s| {
                let floats = &s.columns.floats;
                let points = floats.times.iter().zip(&floats.values);
                let values: Vec<Value> = points.map(|(t, v)| point(*t, *v)).collect();
                json!({"metric": labels(&s.labels), "values": values})
            })
            .collect(),
    }
}

/// JSON equality with room for the last digits of numbers, which Loki sends
/// as texts.
fn same(got: &Value, want: &Value) -> bool {
    let number = |value: &Value| match value {
        Value::Number(n) => n.as_f64(),
        Value::Null => Some(f64::NAN),
        Value::String(text) => match text.as_str() {
            "+Inf" => Some(f64::INFINITY),
            text => text.parse().ok(),
        },
        _ => None,
    };
    match (got, want) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| same(v, w)))
        }
        (a, b) if a == b => true,
        (a, b) => match (number(a), number(b)) {
            (Some(a), Some(b)) => {
                a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
            }
            _ => false,
        },
    }
}

/// Streams and series as a set.
fn unordered(value: &Value) -> Value {
    let Value::Array(items) = value else {
        return value.clone();
    };
    let mut items = items.clone();
    items.sort_by_key(|item| item["stream"].to_string() + &item["metric"].to_string());
    Value::Array(items)
}

#[test]
fn lokis_answers() {
    let Some(store) = load() else {
        return;
    };
    let engine = Engine::new(Arc::new(store), EngineLimits::default());
    let (mut passed, mut failed) = (0, BTreeMap::<String, usize>::new());
    let mut wrong = Vec::new();
    for case in super::golden::cases() {
        let Some(mut query) = request(&case.path, &case.params) else {
            continue;
        };
        let categories = case.headers.to_string().contains("categorize-labels");
        query.categorize = categories;
        if parse(&case.query).is_ok_and(|expr| !expr.is_log()) {
            query = query.aligned();
        }
        let want = &case.body["data"]["result"];
        // Mistakes in stages are told at once, not only when lines are met.
        if case.status != 200 || case.tag == "parse-error" {
            continue;
        }
        let got = match engine.query_blocking(query) {
            Ok(answer) => match answer.value {
                LogValue::Streams(found) => {
                    let mut found = streams(found);
                    if !categories {
                        for stream in found.as_array_mut().into_iter().flatten() {
                            for value in stream["values"].as_array_mut().into_iter().flatten() {
                                if let Some(parts) = value.as_array_mut() {
                                    parts.truncate(2);
                                }
                            }
                        }
                    }
                    found
                }
                LogValue::Metric(value) => metric(value),
            },
            Err(e) => json!(e.to_string()),
        };
        if same(&got, want)
            || (case.compare == "unordered" && same(&unordered(&got), &unordered(want)))
        {
            passed += 1;
        } else {
            *failed.entry(case.tag.clone()).or_default() += 1;
            let cut = |v: &Value| v.to_string().chars().take(20000).collect::<String>();
            wrong.push(format!(
                "{} {}\n   got  {}\n   want {}",
                case.tag,
                case.params,
                cut(&got),
                cut(want)
            ));
        }
    }
    let count: usize = failed.values().sum();
    println!(
        "{}\n{failed:?}\nanswers: {passed} passed, {count} failed",
        wrong.join("\n")
    );
    assert!(
        passed * 100 >= 95 * (passed + count),
        "{passed} passed, {count} failed: {failed:?}"
    );
}
