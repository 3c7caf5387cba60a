//! `/loki/api/v1/detected_fields` and the values of one: fields that a sample of lines has, in structured
//! metadata or found by a parser.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_logql::{Entry, LogQuery, LogValue, Tail, parse};
use headwater_model::Labels;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::form::Form;
use crate::json;
use crate::routes::query::{check, run};
use crate::routes::range::{forward_bounds, limit};
use crate::state::Api;
use crate::time::SECOND;

/// Lines that are looked at if the request does not say.
pub(crate) const DEFAULT_LINES: usize = 100;
/// Fields, or values of one, if the request does not say.
pub(crate) const DEFAULT_LIMIT: usize = 1000;

/// What is known of a field.
#[derive(Default)]
pub(crate) struct Field {
    /// What the last value looks like that was met, stream by stream, the newest first.
    pub(crate) kind: &'static str,
    pub(crate) values: BTreeSet<String>,
    pub(crate) parsers: BTreeSet<&'static str>,
    path: Vec<String>,
}

/// `/loki/api/v1/detected_fields`.
pub(crate) async fn fields(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = limit(&form, DEFAULT_LIMIT)?;
    let found = asked(&api, &headers, &form).await?;
    let rows: Vec<Value> = found
        .iter()
        .take(limit)
        .map(|(name, field)| row(name, field))
        .collect();
    let body = match rows.is_empty() {
        true => json!({}),
        false => json!({ "fields": rows, "limit": limit }),
    };
    Ok(json::json(body.to_string()))
}

/// `/loki/api/v1/detected_field/{name}/values`.
pub(crate) async fn values(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = limit(&form, DEFAULT_LIMIT)?;
    let found = asked(&api, &headers, &form).await?;
    let body = match found.get(&name) {
        Some(field) => {
            let values: Vec<&String> = field.values.iter().take(limit).collect();
            json!({ "values": values, "limit": limit })
        }
        None => json!({}),
    };
    Ok(json::json(body.to_string()))
}

fn row(name: &str, field: &Field) -> Value {
    let parsers: Vec<_> = field.parsers.iter().collect();
    let mut row = json!({
        "label": name,
        "type": field.kind,
        "cardinality": field.values.len(),
        "parsers": if parsers.is_empty() { Value::Null } else { json!(parsers) },
    });
    if !field.path.is_empty() {
        row["jsonPath"] = json!(field.path);
    }
    row
}

/// What a value looks like.
fn kind(value: &str) -> &'static str {
    match value {
        value if value.parse::<i64>().is_ok() => "int",
        value if value.parse::<f64>().is_ok() => "float",
        // Go's words for truth.
        "t" | "T" | "TRUE" | "true" | "True" | "f" | "F" | "FALSE" | "false" | "False" => "boolean",
        value if ends_in(value, &["ns", "us", "µs", "ms", "s", "m", "h"]) => "duration",
        value
            if ends_in(
                value,
                &["B", "kB", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB"],
            ) =>
        {
            "bytes"
        }
        _ => "string",
    }
}

/// Whether a value is a number followed by one of the units.
fn ends_in(value: &str, units: &[&str]) -> bool {
    let number = value.trim_end_matches(|c: char| c.is_alphabetic());
    let unit = &value[number.len()..];
    units.contains(&unit)
        && number.bytes().any(|byte| byte.is_ascii_digit())
        && number
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
}

/// The fields of a sample of the newest lines.
async fn asked(
    api: &Api,
    headers: &HeaderMap,
    form: &Form,
) -> Result<BTreeMap<String, Field>, ApiError> {
    let tenant = api.tenant(headers)?;
    let (start, end) = forward_bounds(form, api.now())?;
    let lines = match form.given("line_limit").map(str::parse::<usize>) {
        None => DEFAULT_LINES,
        Some(Ok(lines)) if lines > 0 => lines,
        Some(_) => return Err(ApiError::bad("line_limit must be a positive value")),
    };
    detect(api, tenant, form.first("query"), (start, end), lines).await
}

/// The fields of the newest `lines` that a query lets pass in a range.
pub(crate) async fn detect(
    api: &Api,
    tenant: String,
    text: &str,
    (start, end): (i64, i64),
    lines: usize,
) -> Result<BTreeMap<String, Field>, ApiError> {
    let limits = api.limits(&tenant);
    let expr = parse(text)?;
    if !expr.is_log() {
        return Err(ApiError::bad("only log selector is supported"));
    }
    check(&expr, &limits)?;
    let mut query = LogQuery::range(text, start, end, SECOND).with_limit(lines);
    query.categorize = true;
    let LogValue::Streams(streams) = run(api, &tenant, &limits, query).await?.value else {
        return Ok(BTreeMap::new());
    };
    let mut sample = Sample::new()?;
    for stream in &streams {
        let labels = Labels::from_pairs(stream.labels.iter().map(|(name, value)| (name, value)));
        stream
            .entries
            .iter()
            .for_each(|entry| sample.look_at(&labels, entry));
    }
    Ok(sample.fields)
}

/// Lines that are looked at, with the parsers for those that no parser of the query has read.
struct Sample {
    json: Tail,
    logfmt: Tail,
    fields: BTreeMap<String, Field>,
}

impl Sample {
    fn new() -> Result<Self, ApiError> {
        let tail = |parser: &str| Tail::new(&format!("{{service_name=~\".+\"}} | {parser}"), true);
        Ok(Self {
            json: tail("json")?,
            logfmt: tail("logfmt")?,
            fields: BTreeMap::new(),
        })
    }

    fn look_at(&mut self, labels: &Labels, entry: &Entry) {
        for (name, value) in &entry.metadata {
            self.add(name, value);
        }
        let told = |(name, _): &&(String, String)| !name.starts_with("__error");
        // What parsers of the query found counts as found by the parser that reads the line.
        let mut found: Vec<(String, String)> = entry.parsed.iter().filter(told).cloned().collect();
        let tree = serde_json::from_slice::<Value>(&entry.line).ok();
        let tree = tree.filter(Value::is_object);
        let (parser, tail) = match &tree {
            Some(_) => ("json", &mut self.json),
            None => ("logfmt", &mut self.logfmt),
        };
        // Without the metadata: a field of the same name is the same field.
        let parsed = tail
            .process(labels, entry.time, &entry.line, &Labels::empty())
            .map(|(_, entry)| entry.parsed)
            .unwrap_or_default();
        let read = parsed.iter().filter(told).cloned();
        let from_line = found.len();
        found.extend(read);
        for (at, (name, value)) in found.iter().enumerate() {
            let field = self.add(name, value);
            field.parsers.insert(parser);
            let tree = tree
                .as_ref()
                .filter(|_| at >= from_line && field.path.is_empty());
            if let Some(tree) = tree {
                field.path = path_of(name, tree).unwrap_or_default();
            }
        }
    }

    fn add(&mut self, name: &str, value: &str) -> &mut Field {
        let field = self.fields.entry(name.to_owned()).or_default();
        field.kind = kind(value);
        field.values.insert(value.to_owned());
        field
    }
}

/// The keys that lead to a field whose name joins them with underlines.
fn path_of(name: &str, tree: &Value) -> Option<Vec<String>> {
    for (key, inner) in tree.as_object()? {
        let written: String = key
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let Some(rest) = name.strip_prefix(&written) else {
            continue;
        };
        if rest.is_empty() {
            return Some(vec![key.clone()]);
        }
        if let Some(mut path) = rest.strip_prefix('_').and_then(|rest| path_of(rest, inner)) {
            path.insert(0, key.clone());
            return Some(path);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_tell_their_kind() {
        for (value, wanted) in [
            ("5", "int"),
            ("0.5", "float"),
            ("true", "boolean"),
            ("F", "boolean"),
            ("1.5s", "duration"),
            ("1m30s", "duration"),
            ("15.9MB", "bytes"),
            ("abcs", "string"),
            ("", "string"),
        ] {
            assert_eq!(kind(value), wanted, "{value}");
        }
    }

    #[test]
    fn names_lead_back_to_keys() {
        let tree = json!({ "request": { "user-agent": "x", "id": 5 }, "request_id": 7 });
        assert_eq!(
            path_of("request_user_agent", &tree).unwrap(),
            ["request", "user-agent"]
        );
        assert_eq!(path_of("nothing", &tree), None);
    }
}
