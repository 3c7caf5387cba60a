//! Reading the recorded data: JSON with the conventions of its README.

use std::io::ErrorKind;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::message::{Field, FieldView, Message, Uuid, Value as FieldValue};

pub(super) fn load(path: &Path) -> Result<Option<Value>, String> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| e.to_string())
}

pub(super) fn cases<'a>(json: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    json[key].as_array().into_iter().flatten()
}

pub(super) fn text<'a>(json: &'a Value, key: &str) -> &'a str {
    json[key].as_str().unwrap_or_default()
}

pub(super) fn decode64(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

/// Text, or `{"base64": ...}` where it is not plain text.
pub(super) fn bytes(json: &Value) -> Option<Bytes> {
    match json {
        Value::String(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        Value::Object(map) => Some(decode64(map.get("base64")?.as_str()?).into()),
        _ => None,
    }
}

/// The value of `key` as bytes, whether plain, wrapped or as `key_base64`.
pub(super) fn bytes_of(json: &Value, key: &str) -> Bytes {
    match json.get(format!("{key}_base64")) {
        Some(Value::String(text)) => decode64(text).into(),
        _ => bytes(&json[key]).unwrap_or_default(),
    }
}

pub(super) fn message(json: &Value) -> Message {
    Message {
        uuid: json["uuid"].as_str().map(|text| match Uuid::parse(text) {
            Some(uuid) => uuid,
            None => Uuid::from_bytes(&decode64(text)),
        }),
        timestamp: json["timestamp"].as_i64(),
        kind: bytes(&json["type"]),
        logger: bytes(&json["logger"]),
        severity: json["severity"].as_i64().map(|n| n as i32),
        payload: bytes(&json["payload"]),
        env_version: bytes(&json["env_version"]),
        pid: json["pid"].as_i64().map(|n| n as i32),
        hostname: bytes(&json["hostname"]),
        fields: cases(json, "fields").map(field).collect(),
        unknown: Bytes::new(),
    }
}

fn field(json: &Value) -> Field {
    let mut field = Field {
        name: bytes(&json["name"]),
        ..Field::default()
    };
    let values = json["values"].as_array().into_iter().flatten();
    field.value_type = Some(match text(json, "type") {
        "bytes" => 1,
        "integer" => 2,
        "double" => 3,
        "bool" => 4,
        _ => 0,
    });
    field.representation = bytes(&json["representation"]);
    for value in values {
        match field.value_type {
            Some(1) => field
                .bytes
                .push(decode64(value.as_str().unwrap_or_default()).into()),
            Some(2) => field.integers.extend(value.as_i64()),
            Some(3) => field.doubles.extend(double(value)),
            Some(4) => field.bools.extend(value.as_bool()),
            _ => field.strings.extend(bytes(value)),
        }
    }
    field
}

fn double(json: &Value) -> Option<f64> {
    match json.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => json.as_f64(),
    }
}

/// A field in a form that can be compared: name, type, representation,
/// values as text.
pub(super) fn plain_field(field: FieldView<'_>) -> (String, String, String, Vec<String>) {
    let values = field.values().into_iter().map(|value| match value {
        FieldValue::String(text) => format!("{:?}", Bytes::copy_from_slice(text)),
        FieldValue::Bytes(text) => format!("{:?}", Bytes::copy_from_slice(text)),
        FieldValue::Integer(number) => number.to_string(),
        FieldValue::Double(number) => format!("{number:?}"),
        FieldValue::Bool(value) => value.to_string(),
    });
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (
        lossy(field.name()),
        field.value_type().name().to_owned(),
        lossy(field.representation()),
        values.collect(),
    )
}
