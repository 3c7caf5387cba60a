//! A view of messages for people.

use crate::event::Event;
use crate::message::{FieldView, Value};
use crate::plugin::{BuildContext, BuildError, Encoder, NoSettings, Plugin};
use crate::timefmt::rfc3339_utc;

use crate::plugins::text::{base64, float};

/// Writes all headers and fields of a message as reStructuredText.
#[derive(Debug, Clone, Copy, Default)]
pub struct RstEncoder;

impl Plugin for RstEncoder {
    const TYPE: &'static str = "RstEncoder";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<RstEncoder, BuildError> {
        Ok(RstEncoder)
    }
}

impl Encoder for RstEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        let mut line = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
            out.push(b'\n');
        };
        line("\n:Timestamp: ", rfc3339_utc(event.timestamp()).as_bytes());
        line(":Type: ", event.kind());
        line(":Hostname: ", event.hostname());
        line(":Pid: ", event.pid().to_string().as_bytes());
        line(":Uuid: ", event.uuid_text().as_bytes());
        line(":Logger: ", event.logger());
        line(":Payload: ", event.payload());
        line(":EnvVersion: ", event.env_version());
        line(":Severity: ", event.severity().to_string().as_bytes());
        let mut first = true;
        for field in event.fields() {
            if std::mem::take(&mut first) {
                line(":Fields:", b"");
            }
            line("    | ", &described(field));
        }
        out.push(b'\n');
        Ok(())
    }
}

fn described(field: FieldView<'_>) -> Vec<u8> {
    let mut out = b"name:\"".to_vec();
    out.extend_from_slice(field.name());
    out.extend_from_slice(b"\" type:");
    out.extend_from_slice(field.value_type().name().as_bytes());
    out.extend_from_slice(b" value:");
    let values: Vec<Vec<u8>> = field.values().into_iter().map(written).collect();
    match &values[..] {
        [one] => out.extend_from_slice(one),
        several => {
            out.push(b'[');
            out.extend_from_slice(&several.join(&b','));
            out.push(b']');
        }
    }
    if !field.representation().is_empty() {
        out.extend_from_slice(b" representation:\"");
        out.extend_from_slice(field.representation());
        out.push(b'"');
    }
    out
}

fn written(value: Value<'_>) -> Vec<u8> {
    match value {
        Value::String(text) => [b"\"", text, b"\""].concat(),
        Value::Bytes(bytes) => base64(bytes).into_bytes(),
        Value::Integer(number) => number.to_string().into_bytes(),
        Value::Double(number) => float(number).into_bytes(),
        Value::Bool(value) => value.to_string().into_bytes(),
    }
}
