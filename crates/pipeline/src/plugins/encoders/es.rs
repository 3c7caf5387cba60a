//! Documents for Elasticsearch's bulk interface: a line that says where the
//! document goes, and the document.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::Event;
use crate::message::{FieldView, Value};
use crate::plugin::{BuildContext, BuildError, Encoder, Plugin, now_nanos};
use crate::timefmt::StrfTime;

use crate::plugins::text::{base64, float};

/// Headers in the order in which they are written by default.
const HEADERS: [&str; 9] = [
    "Uuid",
    "Timestamp",
    "Type",
    "Logger",
    "Severity",
    "Payload",
    "EnvVersion",
    "Pid",
    "Hostname",
];
const DYNAMIC: &str = "DynamicFields";

/// Settings of [`ESJsonEncoder`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ESJsonEncoderSettings {
    /// Name of the index; `%{Type}` and the like are replaced, `%{%Y.%m.%d}`
    /// is a time.
    pub index: String,
    /// Type of the document, with the same replacements.
    pub type_name: String,
    /// Which headers to write, in which order; `DynamicFields` stands for
    /// the fields.
    pub fields: Vec<String>,
    /// How to write the time, with the letters of strftime.
    pub timestamp: String,
    /// The time in the index is the message's, not the clock's.
    pub es_index_from_timestamp: bool,
    /// Identity of the document, with the same replacements.
    pub id: String,
    /// Fields whose text is JSON and goes into the document as it is.
    pub raw_bytes_fields: Vec<String>,
    /// Other names for headers.
    pub field_mappings: BTreeMap<String, String>,
    /// Which fields to write; all if empty.
    pub dynamic_fields: Vec<String>,
    /// What to write for dots in the names of fields.
    pub replace_dots_with: String,
}

impl Default for ESJsonEncoderSettings {
    fn default() -> ESJsonEncoderSettings {
        ESJsonEncoderSettings {
            index: "heka-%{%Y.%m.%d}".to_owned(),
            type_name: "message".to_owned(),
            fields: Vec::new(),
            timestamp: "%Y-%m-%dT%H:%M:%S".to_owned(),
            es_index_from_timestamp: false,
            id: String::new(),
            raw_bytes_fields: Vec::new(),
            field_mappings: BTreeMap::new(),
            dynamic_fields: Vec::new(),
            replace_dots_with: String::new(),
        }
    }
}

/// Settings of [`ESLogstashV0Encoder`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ESLogstashV0EncoderSettings {
    /// As in [`ESJsonEncoderSettings`].
    pub index: String,
    /// As in [`ESJsonEncoderSettings`].
    pub type_name: String,
    /// Write the message's type, not `type_name`, into the document.
    pub use_message_type: bool,
    /// As in [`ESJsonEncoderSettings`].
    pub fields: Vec<String>,
    /// As in [`ESJsonEncoderSettings`].
    pub timestamp: String,
    /// As in [`ESJsonEncoderSettings`].
    pub es_index_from_timestamp: bool,
    /// As in [`ESJsonEncoderSettings`].
    pub id: String,
    /// As in [`ESJsonEncoderSettings`].
    pub raw_bytes_fields: Vec<String>,
    /// As in [`ESJsonEncoderSettings`].
    pub dynamic_fields: Vec<String>,
    /// As in [`ESJsonEncoderSettings`].
    pub replace_dots_with: String,
}

impl Default for ESLogstashV0EncoderSettings {
    fn default() -> ESLogstashV0EncoderSettings {
        let plain = ESJsonEncoderSettings::default();
        ESLogstashV0EncoderSettings {
            index: "logstash-%{%Y.%m.%d}".to_owned(),
            type_name: plain.type_name,
            use_message_type: false,
            fields: plain.fields,
            timestamp: plain.timestamp,
            es_index_from_timestamp: false,
            id: plain.id,
            raw_bytes_fields: plain.raw_bytes_fields,
            dynamic_fields: plain.dynamic_fields,
            replace_dots_with: plain.replace_dots_with,
        }
    }
}

/// Writes flat documents: headers and fields side by side.
#[derive(Debug)]
pub struct ESJsonEncoder(Document);

/// Writes documents as logstash 1.1 did: headers with `@`, fields in
/// `@fields`.
#[derive(Debug)]
pub struct ESLogstashV0Encoder(Document);

impl Plugin for ESJsonEncoder {
    const TYPE: &'static str = "ESJsonEncoder";
    type Settings = ESJsonEncoderSettings;

    fn build(
        settings: &ESJsonEncoderSettings,
        _: &BuildContext<'_>,
    ) -> Result<ESJsonEncoder, BuildError> {
        let name = |header: &str| {
            let other = settings
                .field_mappings
                .get(header)
                .filter(|name| !name.is_empty());
            other.map_or(header, |name| name).to_owned()
        };
        Ok(ESJsonEncoder(Document::new(settings, name, None, None)?))
    }
}

impl Plugin for ESLogstashV0Encoder {
    const TYPE: &'static str = "ESLogstashV0Encoder";
    type Settings = ESLogstashV0EncoderSettings;

    fn build(
        settings: &ESLogstashV0EncoderSettings,
        _: &BuildContext<'_>,
    ) -> Result<ESLogstashV0Encoder, BuildError> {
        let kind = (!settings.use_message_type).then(|| Pattern::new(&settings.type_name));
        let settings = ESJsonEncoderSettings {
            index: settings.index.clone(),
            type_name: settings.type_name.clone(),
            fields: settings.fields.clone(),
            timestamp: settings.timestamp.clone(),
            es_index_from_timestamp: settings.es_index_from_timestamp,
            id: settings.id.clone(),
            raw_bytes_fields: settings.raw_bytes_fields.clone(),
            field_mappings: BTreeMap::new(),
            dynamic_fields: settings.dynamic_fields.clone(),
            replace_dots_with: settings.replace_dots_with.clone(),
        };
        let name = |header: &str| match header {
            "Payload" => "@message".to_owned(),
            "Hostname" => "@source_host".to_owned(),
            header => format!("@{}", header.to_lowercase()),
        };
        let document = Document::new(&settings, name, Some("@fields"), kind)?;
        Ok(ESLogstashV0Encoder(document))
    }
}

impl Encoder for ESJsonEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        self.0.write(event, out);
        Ok(())
    }
}

impl Encoder for ESLogstashV0Encoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        self.0.write(event, out);
        Ok(())
    }
}

#[derive(Debug)]
struct Document {
    index: Pattern,
    type_name: Pattern,
    id: Option<Pattern>,
    /// Headers with the names they get, `DynamicFields` among them.
    parts: Vec<(String, String)>,
    /// The object that holds the fields, if they have one.
    nested: Option<&'static str>,
    /// What to write as type instead of the message's.
    kind: Option<Pattern>,
    time: StrfTime,
    index_from_message: bool,
    raw: Vec<Vec<u8>>,
    dynamic: Vec<Vec<u8>>,
    replace_dots: String,
}

impl Document {
    fn new(
        settings: &ESJsonEncoderSettings,
        name: impl Fn(&str) -> String,
        nested: Option<&'static str>,
        kind: Option<Pattern>,
    ) -> Result<Document, BuildError> {
        let mut fields = settings.fields.clone();
        if fields.is_empty() {
            fields = HEADERS
                .iter()
                .chain([&DYNAMIC])
                .map(|name| (*name).to_owned())
                .collect();
        }
        let dynamic = fields.iter().any(|field| field == DYNAMIC);
        if !settings.dynamic_fields.is_empty() && !dynamic {
            let text = "\"DynamicFields\" must be in 'fields' list if using 'dynamic_fields'";
            return Err(BuildError::new(text));
        }
        if let Some(unknown) = fields
            .iter()
            .find(|f| *f != DYNAMIC && !HEADERS.contains(&f.as_str()))
        {
            return Err(BuildError::new(format!("unable to find field: {unknown}")));
        }
        let bytes = |names: &[String]| names.iter().map(|name| name.clone().into_bytes()).collect();
        let named = |field: String| {
            let written = name(&field);
            (field, written)
        };
        Ok(Document {
            index: Pattern::new(&settings.index),
            type_name: Pattern::new(&settings.type_name),
            id: (!settings.id.is_empty()).then(|| Pattern::new(&settings.id)),
            parts: fields.into_iter().map(named).collect(),
            nested,
            kind,
            time: StrfTime::new(&settings.timestamp),
            index_from_message: settings.es_index_from_timestamp,
            raw: bytes(&settings.raw_bytes_fields),
            dynamic: bytes(&settings.dynamic_fields),
            replace_dots: settings.replace_dots_with.clone(),
        })
    }

    fn write(&self, event: &Event, out: &mut Vec<u8>) {
        self.write_place(event, out);
        out.push(b'{');
        let mut comma = Comma::default();
        for (part, name) in &self.parts {
            match (part.as_str(), self.nested) {
                (DYNAMIC, None) => self.write_fields(event, &mut comma, out),
                (DYNAMIC, Some(object)) => {
                    comma.put(out);
                    quote(object.as_bytes(), out);
                    out.extend_from_slice(b":{");
                    self.write_fields(event, &mut Comma::default(), out);
                    out.push(b'}');
                }
                (header, _) => {
                    comma.put(out);
                    quote(name.as_bytes(), out);
                    out.push(b':');
                    self.write_header(header, event, out);
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }

    fn write_place(&self, event: &Event, out: &mut Vec<u8>) {
        let time = if self.index_from_message {
            event.timestamp()
        } else {
            now_nanos()
        };
        // Elasticsearch takes only lower case names of indexes.
        let index = String::from_utf8_lossy(&self.index.fill(event, time)).to_lowercase();
        out.extend_from_slice(b"{\"index\":{\"_index\":");
        quote_short(index.as_bytes(), out);
        out.extend_from_slice(b",\"_type\":");
        quote_short(&self.type_name.fill(event, time), out);
        if let Some(id) = self.id.as_ref().filter(|id| id.is_known(event)) {
            out.extend_from_slice(b",\"_id\":");
            quote_short(&id.fill(event, time), out);
        }
        out.extend_from_slice(b"}}\n");
    }

    fn write_header(&self, header: &str, event: &Event, out: &mut Vec<u8>) {
        match header {
            "Uuid" => quote(event.uuid_text().as_bytes(), out),
            "Timestamp" => quote(self.time.format(event.timestamp()).as_bytes(), out),
            "Type" => match &self.kind {
                Some(kind) => quote(&kind.fill(event, event.timestamp()), out),
                None => quote(event.kind(), out),
            },
            "Logger" => quote(event.logger(), out),
            "Payload" => quote(event.payload(), out),
            "EnvVersion" => quote(event.env_version(), out),
            "Hostname" => quote(event.hostname(), out),
            "Severity" => out.extend_from_slice(event.severity().to_string().as_bytes()),
            _ => out.extend_from_slice(event.pid().to_string().as_bytes()),
        }
    }

    fn write_fields(&self, event: &Event, comma: &mut Comma, out: &mut Vec<u8>) {
        for field in event.fields() {
            let listed = |names: &[Vec<u8>]| names.iter().any(|name| name == field.name());
            if !self.dynamic.is_empty() && !listed(&self.dynamic) {
                continue;
            }
            comma.put(out);
            if self.replace_dots.is_empty() {
                quote(field.name(), out);
            } else {
                let name = String::from_utf8_lossy(field.name());
                quote(name.replace('.', &self.replace_dots).as_bytes(), out);
            }
            out.push(b':');
            write_values(field, listed(&self.raw), out);
        }
    }
}

#[derive(Default)]
struct Comma(bool);

impl Comma {
    fn put(&mut self, out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.0, true) {
            out.push(b',');
        }
    }
}

fn write_values(field: FieldView<'_>, raw: bool, out: &mut Vec<u8>) {
    let values = field.values();
    match &values[..] {
        [] => out.extend_from_slice(b"null"),
        [Value::String(text) | Value::Bytes(text)] if raw && is_json(text) => {
            out.extend_from_slice(text);
        }
        [Value::Bytes(text)] => quote(text, out),
        [one] => write_value(*one, out),
        several => {
            out.push(b'[');
            let mut comma = Comma::default();
            for value in several {
                comma.put(out);
                write_value(*value, out);
            }
            out.push(b']');
        }
    }
}

fn write_value(value: Value<'_>, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => quote(text, out),
        Value::Bytes(bytes) => quote(base64(bytes).as_bytes(), out),
        Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::Double(number) if number.is_finite() => {
            out.extend_from_slice(float(number).as_bytes());
        }
        // JSON has no such numbers.
        Value::Double(_) => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}

/// A JSON string in heka's spelling of escapes. Each byte that is not UTF-8
/// becomes the replacement character.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    quote_with(text, out, |_| None);
}

/// A JSON string in Go's spelling of escapes.
fn quote_short(text: &[u8], out: &mut Vec<u8>) {
    quote_with(text, out, |byte| match byte {
        b'"' => Some("\\\""),
        b'\\' => Some("\\\\"),
        b'\n' => Some("\\n"),
        b'\r' => Some("\\r"),
        b'\t' => Some("\\t"),
        _ => None,
    });
}

fn quote_with(text: &[u8], out: &mut Vec<u8>, short: fn(u8) -> Option<&'static str>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            let escaped = byte < 0x20 || byte == b'"' || byte == b'\\';
            match short(byte) {
                Some(short) => out.extend_from_slice(short.as_bytes()),
                None if escaped => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
                None => out.push(byte),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    out.push(b'"');
}

/// Text with `%{name}` in it.
#[derive(Debug)]
struct Pattern(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(String),
    Name(String),
    Time(StrfTime),
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("%{") {
            let Some((name, behind)) = behind.split_once('}') else {
                break;
            };
            pieces.push(Piece::Text(before.to_owned()));
            pieces.push(if name.contains('%') {
                Piece::Time(StrfTime::new(name))
            } else {
                Piece::Name(name.to_owned())
            });
            rest = behind;
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Pattern(pieces)
    }

    /// Whether all fields it names are there.
    fn is_known(&self, event: &Event) -> bool {
        let missing = |name: &str| {
            let mut text = Vec::new();
            put_named(name, event, &mut text);
            text == name.as_bytes() && event.field(name.as_bytes(), 0).is_none()
        };
        !self
            .0
            .iter()
            .any(|piece| matches!(piece, Piece::Name(name) if missing(name)))
    }

    /// An unknown name stands for itself, as in heka.
    fn fill(&self, event: &Event, time: i64) -> Vec<u8> {
        let mut out = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Time(format) => out.extend_from_slice(format.format(time).as_bytes()),
                Piece::Name(name) => put_named(name, event, &mut out),
            }
        }
        out
    }
}

fn put_named(name: &str, event: &Event, out: &mut Vec<u8>) {
    match name {
        "Type" => out.extend_from_slice(event.kind()),
        "Logger" => out.extend_from_slice(event.logger()),
        "Hostname" => out.extend_from_slice(event.hostname()),
        "Payload" => out.extend_from_slice(event.payload()),
        "EnvVersion" => out.extend_from_slice(event.env_version()),
        "Pid" => out.extend_from_slice(event.pid().to_string().as_bytes()),
        "Severity" => out.extend_from_slice(event.severity().to_string().as_bytes()),
        "UUID" | "Uuid" => out.extend_from_slice(event.uuid_text().as_bytes()),
        name => match event
            .field(name.as_bytes(), 0)
            .and_then(|field| field.value(0))
        {
            Some(Value::String(text) | Value::Bytes(text)) => out.extend_from_slice(text),
            Some(Value::Integer(number)) => out.extend_from_slice(number.to_string().as_bytes()),
            Some(Value::Double(number)) => out.extend_from_slice(float(number).as_bytes()),
            Some(Value::Bool(value)) => out.extend_from_slice(value.to_string().as_bytes()),
            None => out.extend_from_slice(name.as_bytes()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Field, Message};
    use crate::plugin::{conformance, for_test};

    fn message() -> Message {
        Message {
            timestamp: Some(1_416_840_893_000_000_000),
            kind: Some("Web".into()),
            payload: Some("say \"hi\"\n".into()),
            fields: vec![
                Field::integer("a.b", 5, ""),
                Field::double("nan", f64::NAN, ""),
                Field::string("js", "{\"k\":1}", ""),
                Field::string("bad", "{", ""),
            ],
            ..Message::default()
        }
    }

    fn lines(settings: &str) -> Vec<serde_json::Value> {
        let mut encoder: ESJsonEncoder = for_test(settings).unwrap();
        let event = Event::from(message());
        conformance::encoder(&mut encoder, &event).unwrap();
        let mut out = Vec::new();
        encoder.encode(&event, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn documents_are_json_whatever_the_fields_hold() {
        let lines = lines(
            "es_index_from_timestamp = true\nindex = '%{Type}-%{%Y.%m}'\nreplace_dots_with = '_'\n\
             raw_bytes_fields = ['js', 'bad']\nid = '%{nobody}'",
        );
        assert_eq!(
            lines[0],
            serde_json::json!({"index": {"_index": "web-2014.11", "_type": "message"}})
        );
        assert_eq!(lines[1]["Payload"], "say \"hi\"\n");
        assert_eq!(lines[1]["a_b"], 5);
        assert_eq!(lines[1]["nan"], serde_json::Value::Null);
        assert_eq!(lines[1]["js"], serde_json::json!({"k": 1}));
        assert_eq!(lines[1]["bad"], "{");
    }

    #[test]
    fn a_list_of_fields_needs_their_place() {
        let refused = for_test::<ESJsonEncoder>("fields = ['Type']\ndynamic_fields = ['a']");
        assert!(refused.is_err());
    }
}
