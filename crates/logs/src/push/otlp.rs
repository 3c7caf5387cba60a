//! OTLP's export requests for logs, in protobuf and JSON, as one small tree.
//!
//! Source of the field numbers: `opentelemetry/proto/logs/v1` and `common/v1`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};

use super::bad;
use super::wire::{Message, Value as Wire};
use crate::error::PushError;

/// Levels of nested values that are read.
const MAX_DEPTH: usize = 64;

/// Names and values of a resource, a scope or a record.
pub(super) type Attributes = Vec<(String, Json)>;

#[derive(Debug, Default)]
pub(super) struct Resource {
    pub(super) attributes: Attributes,
    pub(super) scopes: Vec<Scope>,
}

#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) attributes: Attributes,
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) time: u64,
    pub(super) observed: u64,
    pub(super) severity_number: i64,
    pub(super) severity_text: String,
    pub(super) body: Json,
    pub(super) attributes: Attributes,
    pub(super) flags: u64,
    /// In hexadecimal.
    pub(super) trace_id: String,
    /// In hexadecimal.
    pub(super) span_id: String,
}

pub(super) fn from_protobuf(body: &[u8]) -> Result<Vec<Resource>, PushError> {
    messages(body, 1, |message| {
        let mut resource = Resource::default();
        each(message, |number, value| {
            match number {
                1 => resource.attributes = attributes(value.bytes()?, 1)?,
                2 => resource.scopes.push(scope_logs(value.bytes()?)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(resource)
    })
}

fn scope_logs(bytes: &[u8]) -> Result<Scope, PushError> {
    let mut scope = Scope::default();
    each(bytes, |number, value| {
        match number {
            1 => each(value.bytes()?, |number, value| {
                match number {
                    1 => scope.name = value.text()?,
                    2 => scope.version = value.text()?,
                    3 => scope.attributes.push(key_value(value.bytes()?, 0)?),
                    _ => {}
                }
                Ok(())
            })?,
            2 => scope.records.push(record(value.bytes()?)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(scope)
}

fn record(bytes: &[u8]) -> Result<Record, PushError> {
    let mut record = Record::default();
    each(bytes, |number, value| {
        match number {
            1 => record.time = value.number()?,
            2 => record.severity_number = value.number()? as i64,
            3 => record.severity_text = value.text()?,
            5 => record.body = any_value(value.bytes()?, 0)?,
            6 => record.attributes.push(key_value(value.bytes()?, 0)?),
            8 => record.flags = value.number()?,
            9 => record.trace_id = hex(value.bytes()?),
            10 => record.span_id = hex(value.bytes()?),
            11 => record.observed = value.number()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(record)
}

fn attributes(bytes: &[u8], field: u64) -> Result<Attributes, PushError> {
    messages(bytes, field, |message| key_value(message, 0))
}

fn key_value(bytes: &[u8], depth: usize) -> Result<(String, Json), PushError> {
    let (mut key, mut found) = (String::new(), Json::Null);
    each(bytes, |number, value| {
        match number {
            1 => key = value.text()?,
            2 => found = any_value(value.bytes()?, depth)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((key, found))
}

fn any_value(bytes: &[u8], depth: usize) -> Result<Json, PushError> {
    if depth == MAX_DEPTH {
        return Err(bad(format!("values are nested over {MAX_DEPTH} levels")));
    }
    let mut found = Json::Null;
    each(bytes, |number, value| {
        found = match number {
            1 => Json::String(value.text()?),
            2 => Json::Bool(value.number()? != 0),
            3 => json!(value.number()? as i64),
            4 => json!(f64::from_bits(value.number()?)),
            5 => Json::Array(messages(value.bytes()?, 1, |item| {
                any_value(item, depth + 1)
            })?),
            6 => {
                let pairs = messages(value.bytes()?, 1, |pair| key_value(pair, depth + 1))?;
                Json::Object(pairs.into_iter().collect())
            }
            7 => Json::String(STANDARD.encode(value.bytes()?)),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(found)
}

fn each<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(u64, Wire<'a>) -> Result<(), PushError>,
) -> Result<(), PushError> {
    let mut message = Message::new(bytes);
    while let Some((number, value)) = message.field()? {
        take(number, value)?;
    }
    Ok(())
}

/// All messages in a repeated field.
fn messages<T>(
    bytes: &[u8],
    field: u64,
    read: impl Fn(&[u8]) -> Result<T, PushError>,
) -> Result<Vec<T>, PushError> {
    let mut all = Vec::new();
    each(bytes, |number, value| {
        if number == field {
            all.push(read(value.bytes()?)?);
        }
        Ok(())
    })?;
    Ok(all)
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    if bytes.iter().any(|byte| *byte != 0) {
        for byte in bytes {
            let _ = write!(out, "{byte:02x}");
        }
    }
    out
}

pub(super) fn from_json(body: &[u8]) -> Result<Vec<Resource>, PushError> {
    let text = String::from_utf8_lossy(body);
    let root: Json = serde_json::from_str(&text).map_err(|error| bad(error.to_string()))?;
    let Json::Object(root) = root else {
        return Err(bad("an export request is an object with \"resourceLogs\""));
    };
    list(&root, "resourceLogs")?
        .iter()
        .map(|resource| {
            let attributes = match resource.get("resource") {
                Some(Json::Object(resource)) => json_attributes(resource)?,
                _ => Attributes::new(),
            };
            let scopes = list(object(resource)?, "scopeLogs")?
                .iter()
                .map(json_scope)
                .collect::<Result<_, _>>()?;
            Ok(Resource { attributes, scopes })
        })
        .collect()
}

fn json_scope(scope: &Json) -> Result<Scope, PushError> {
    let empty = Map::new();
    let about = match scope.get("scope") {
        Some(Json::Object(about)) => about,
        _ => &empty,
    };
    Ok(Scope {
        name: text(about, "name"),
        version: text(about, "version"),
        attributes: json_attributes(about)?,
        records: list(object(scope)?, "logRecords")?
            .iter()
            .map(json_record)
            .collect::<Result<_, _>>()?,
    })
}

fn json_record(record: &Json) -> Result<Record, PushError> {
    let record = object(record)?;
    Ok(Record {
        time: number(record, "timeUnixNano")?,
        observed: number(record, "observedTimeUnixNano")?,
        severity_number: number(record, "severityNumber")? as i64,
        severity_text: text(record, "severityText"),
        body: record.get("body").map_or(Ok(Json::Null), json_value)?,
        attributes: json_attributes(record)?,
        flags: number(record, "flags")?,
        trace_id: text(record, "traceId"),
        span_id: text(record, "spanId"),
    })
}

fn object(value: &Json) -> Result<&Map<String, Json>, PushError> {
    value
        .as_object()
        .ok_or_else(|| bad(format!("{value} stands where an object is expected")))
}

fn list<'a>(from: &'a Map<String, Json>, key: &str) -> Result<&'a [Json], PushError> {
    match from.get(key) {
        None | Some(Json::Null) => Ok(&[]),
        Some(Json::Array(all)) => Ok(all),
        Some(_) => Err(bad(format!("{key:?} is not a list"))),
    }
}

fn text(from: &Map<String, Json>, key: &str) -> String {
    let found = from.get(key).and_then(Json::as_str);
    found.unwrap_or_default().to_owned()
}

/// 64-bit numbers are texts in OTLP's JSON, but small ones are often sent as numbers.
fn number(from: &Map<String, Json>, key: &str) -> Result<u64, PushError> {
    let found = match from.get(key) {
        None | Some(Json::Null) => Some(0),
        Some(Json::String(text)) => text.parse().ok(),
        Some(value) => value.as_u64(),
    };
    found.ok_or_else(|| bad(format!("{key:?} is not a whole number")))
}

fn json_attributes(from: &Map<String, Json>) -> Result<Attributes, PushError> {
    list(from, "attributes")?.iter().map(json_pair).collect()
}

fn json_pair(pair: &Json) -> Result<(String, Json), PushError> {
    let pair = object(pair)?;
    let value = pair.get("value").map_or(Ok(Json::Null), json_value)?;
    Ok((text(pair, "key"), value))
}

fn json_value(value: &Json) -> Result<Json, PushError> {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return Ok(Json::Null);
    };
    Ok(match (kind.as_str(), value) {
        ("intValue", Json::String(text)) => json!(
            text.parse::<i64>()
                .map_err(|_| bad(format!("intValue {text:?} is not a whole number")))?
        ),
        ("arrayValue", Json::Object(array)) => Json::Array(
            list(array, "values")?
                .iter()
                .map(json_value)
                .collect::<Result<_, _>>()?,
        ),
        ("kvlistValue", Json::Object(pairs)) => Json::Object(
            list(pairs, "values")?
                .iter()
                .map(json_pair)
                .collect::<Result<_, _>>()?,
        ),
        _ => value.clone(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_json() {
        let body = br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"a","value":{"intValue":"5"}}]},
            "scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"7","body":{"kvlistValue":{"values":[
            {"key":"l","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}}]}}}]}]}]}"#;
        let resources = from_json(body).unwrap();
        assert_eq!(resources[0].attributes, [("a".to_owned(), json!(5))]);
        let scope = &resources[0].scopes[0];
        assert_eq!(scope.name, "s");
        assert_eq!(scope.records[0].time, 7);
        assert_eq!(scope.records[0].body, json!({"l": [true, null]}));
    }

    #[test]
    fn wrong_shapes_are_refused() {
        for body in ["[]", "{\"resourceLogs\":{}}", "{\"resourceLogs\":[5]}", "{"] {
            assert_eq!(
                from_json(body.as_bytes()).unwrap_err().status,
                400,
                "{body}"
            );
        }
        assert_eq!(
            from_protobuf(b"\xff\xff").unwrap_err().to_string(),
            "unexpected EOF"
        );
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = from_protobuf(&bytes);
            let _ = from_json(&bytes);
        }
    }
}
