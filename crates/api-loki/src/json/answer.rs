//! Answers to queries.

use std::fmt::Write;

use headwater_logql::{Entry, LogAnswer, LogStats, LogValue, Stream};
use headwater_model::quote::go_quoted;
use headwater_query::{Point, Value};

use super::stats::stats;
use super::text::{push_list, push_object, push_seconds, push_text, push_value};
use crate::time::rfc3339;

/// The header `X-Loki-Response-Encoding-Flags`: words that the answer repeats, of which one counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags(Vec<String>);

impl Flags {
    pub(crate) const HEADER: &str = "X-Loki-Response-Encoding-Flags";

    pub(crate) fn parse(header: Option<&str>) -> Self {
        let words = header.unwrap_or("").split(',').map(str::trim);
        Self(
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
        )
    }

    /// Whether structured metadata and parsed labels stand apart from the stream's labels.
    pub(crate) fn categorize(&self) -> bool {
        self.0.iter().any(|word| word == "categorize-labels")
    }

    fn push(&self, out: &mut String) {
        if !self.0.is_empty() {
            out.push_str(",\"encodingFlags\":");
            push_list(out, &self.0, |out, word| push_text(out, word));
        }
    }
}

/// The whole answer of `query` and `query_range`.
pub(crate) fn query_answer(answer: &LogAnswer, flags: &Flags) -> String {
    let mut out = String::from("{\"status\":\"success\",");
    if !answer.warnings.is_empty() {
        out.push_str("\"warnings\":");
        push_list(&mut out, &answer.warnings, |out, warning| {
            push_text(out, warning);
        });
        out.push(',');
    }
    out.push_str("\"data\":{\"resultType\":");
    match &answer.value {
        LogValue::Streams(streams) => {
            out.push_str("\"streams\"");
            flags.push(&mut out);
            out.push_str(",\"result\":");
            push_list(&mut out, streams, |out, one| {
                stream(out, one, flags.categorize());
            });
        }
        LogValue::Metric(value) => {
            push_text(&mut out, value.kind());
            flags.push(&mut out);
            out.push_str(",\"result\":");
            push_metric(&mut out, value);
        }
    }
    push_stats(&mut out, &answer.stats);
    out.push_str("}}");
    out
}

fn push_stats(out: &mut String, cost: &LogStats) {
    let _ = write!(out, ",\"stats\":{}", stats(cost));
}

fn push_metric(out: &mut String, value: &Value) {
    match value {
        // Loki writes milliseconds here and seconds everywhere else; its clients know.
        Value::Scalar { time, value } => {
            let _ = write!(out, "[{time},");
            push_value(out, *value);
            out.push(']');
        }
        Value::String { time, value } => {
            out.push('[');
            push_seconds(out, *time);
            out.push(',');
            push_text(out, value);
            out.push(']');
        }
        Value::Vector(samples) => push_list(out, samples, |out, one| {
            out.push_str("{\"metric\":");
            push_object(out, one.labels.iter());
            out.push_str(",\"value\":");
            let value = match &one.point {
                Point::Float(value) => *value,
                Point::Histogram(_) => f64::NAN,
            };
            sample(out, one.time, value);
            out.push('}');
        }),
        Value::Matrix(series) => push_list(out, series, |out, one| {
            out.push_str("{\"metric\":");
            push_object(out, one.labels.iter());
            out.push_str(",\"values\":");
            let floats = &one.columns.floats;
            push_list(
                out,
                floats.times.iter().zip(&floats.values),
                |out, (time, value)| sample(out, *time, *value),
            );
            out.push('}');
        }),
    }
}

fn sample(out: &mut String, time: i64, value: f64) {
    out.push('[');
    push_seconds(out, time);
    out.push(',');
    push_value(out, value);
    out.push(']');
}

/// `{"stream":{..},"values":[["<ns>","line"],..]}`, with a third element where categories are asked for.
fn stream(out: &mut String, stream: &Stream, categorize: bool) {
    out.push_str("{\"stream\":");
    push_object(out, stream.labels.iter().map(|(name, value)| (name, value)));
    out.push_str(",\"values\":");
    push_list(out, &stream.entries, |out, one| entry(out, one, categorize));
    out.push('}');
}

fn entry(out: &mut String, entry: &Entry, categorize: bool) {
    let _ = write!(out, "[\"{}\",", entry.time);
    push_text(out, &String::from_utf8_lossy(&entry.line));
    if categorize {
        out.push_str(",{");
        let parts = [
            ("structuredMetadata", &entry.metadata),
            ("parsed", &entry.parsed),
        ];
        let mut first = true;
        for (name, pairs) in parts.into_iter().filter(|(_, pairs)| !pairs.is_empty()) {
            if !std::mem::take(&mut first) {
                out.push(',');
            }
            let _ = write!(out, "\"{name}\":");
            push_object(out, pairs.iter().map(|(name, value)| (name, value)));
        }
        out.push('}');
    }
    out.push(']');
}

/// One message to a follower.
pub(crate) fn tail_frame(streams: &[Stream], flags: &Flags, missed: Option<i64>) -> String {
    let mut out = String::from("{\"streams\":");
    push_list(&mut out, streams, |out, one| {
        stream(out, one, flags.categorize());
    });
    if let Some(time) = missed {
        let _ = write!(
            out,
            ",\"dropped_entries\":[{{\"timestamp\":\"{time}\",\"labels\":{{}}}}]"
        );
    }
    flags.push(&mut out);
    out.push('}');
    out
}

/// The answer of `/api/prom/query`.
pub(crate) fn legacy_streams(streams: &[Stream], cost: &LogStats) -> String {
    let mut out = String::from("{\"streams\":");
    push_list(&mut out, streams, |out, one| {
        let pairs: Vec<String> = one
            .labels
            .iter()
            .map(|(name, value)| format!("{name}={}", go_quoted(value)))
            .collect();
        out.push_str("{\"labels\":");
        push_text(out, &format!("{{{}}}", pairs.join(", ")));
        out.push_str(",\"entries\":");
        push_list(out, &one.entries, |out, entry| {
            let _ = write!(out, "{{\"ts\":\"{}\",\"line\":", rfc3339(entry.time));
            push_text(out, &String::from_utf8_lossy(&entry.line));
            out.push('}');
        });
        out.push('}');
    });
    push_stats(&mut out, cost);
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Stream {
        Stream {
            labels: vec![("a".into(), "b".into())],
            entries: vec![Entry {
                time: 5,
                line: b"x\"y".to_vec(),
                metadata: vec![("k".into(), "v".into())],
                parsed: Vec::new(),
            }],
        }
    }

    #[test]
    fn categories_are_a_third_element() {
        let mut plain = String::new();
        stream(&mut plain, &line(), false);
        assert_eq!(plain, r#"{"stream":{"a":"b"},"values":[["5","x\"y"]]}"#);
        let flags = Flags::parse(Some("categorize-labels"));
        let frame = tail_frame(&[line()], &flags, None);
        assert_eq!(
            frame,
            r#"{"streams":[{"stream":{"a":"b"},"values":[["5","x\"y",{"structuredMetadata":{"k":"v"}}]]}],"encodingFlags":["categorize-labels"]}"#
        );
    }

    #[test]
    fn the_first_api_speaks_of_labels() {
        let text = legacy_streams(&[line()], &LogStats::default());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["streams"][0]["labels"], r#"{a="b"}"#);
        assert_eq!(
            value["streams"][0]["entries"][0]["ts"],
            "1970-01-01T00:00:00.000000005Z"
        );
    }
}
