//! Loki's protobuf: `PushRequest { streams = 1 }`, where a stream is `{ labels = 1, entries = 2 }`
//! and an entry `{ timestamp = 1, line = 2, structuredMetadata = 3 }`. Other fields are passed over.

use headwater_chunkstore::{PushEntry, PushStream};
use headwater_model::Labels;
use headwater_model::label::LabelsBuilder;

use super::bad;
use super::labels::parse_labels;
use super::names::{normalized, room};
use super::wire::Message;
use crate::error::PushError;

pub(super) fn decode(body: &[u8]) -> Result<Vec<PushStream>, PushError> {
    let (mut streams, mut message) = (Vec::new(), Message::new(body));
    while let Some((number, value)) = message.field()? {
        if number == 1 {
            streams.push(stream(Message::new(value.bytes()?))?);
        }
    }
    Ok(streams)
}

fn stream(mut message: Message<'_>) -> Result<PushStream, PushError> {
    let (mut labels, mut entries) = (&b""[..], Vec::new());
    while let Some((number, value)) = message.field()? {
        match number {
            1 => labels = value.bytes()?,
            2 => entries.push(entry(Message::new(value.bytes()?))?),
            _ => {}
        }
    }
    let labels = parse_labels(labels)?;
    Ok(PushStream { labels, entries })
}

fn entry(mut message: Message<'_>) -> Result<PushEntry, PushError> {
    let (mut time, mut line, mut metadata) = (0, Vec::new(), None::<LabelsBuilder>);
    while let Some((number, value)) = message.field()? {
        match number {
            1 => time = timestamp(Message::new(value.bytes()?))?,
            2 => line = value.bytes()?.to_vec(),
            3 => {
                let (name, value) = pair(Message::new(value.bytes()?))?;
                let metadata = metadata.get_or_insert_default();
                room(metadata.len())?;
                metadata.set(&normalized(&name)?, &value);
            }
            _ => {}
        }
    }
    let metadata = metadata.map_or_else(Labels::empty, |mut builder| builder.build());
    Ok(PushEntry {
        time,
        line,
        metadata,
    })
}

fn pair(mut message: Message<'_>) -> Result<(String, String), PushError> {
    let (mut name, mut text) = (String::new(), String::new());
    while let Some((number, value)) = message.field()? {
        match number {
            1 => name = value.text()?,
            2 => text = value.text()?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// `google.protobuf.Timestamp` as nanoseconds.
fn timestamp(mut message: Message<'_>) -> Result<i64, PushError> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    while let Some((number, value)) = message.field()? {
        match number {
            1 => seconds = value.number()? as i64,
            2 => nanos = value.number()? as i64,
            _ => {}
        }
    }
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|time| time.checked_add(nanos))
        .ok_or_else(|| bad(format!("timestamp: {seconds} seconds are out of range")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, bytes) in fields {
            out.extend([number << 3 | 2, bytes.len() as u8]);
            out.extend_from_slice(bytes);
        }
        out
    }

    #[test]
    fn reads_a_request() {
        let metadata = message(&[(1, b"trace.id"), (2, b"abc")]);
        let entry = message(&[(1, &[0x08, 5, 0x10, 7]), (2, b"line"), (3, &metadata)]);
        let stream = message(&[(1, br#"{app="x"}"#), (2, &entry)]);
        let streams = decode(&message(&[(1, &stream)])).unwrap();
        assert_eq!(streams[0].labels, Labels::from_pairs([("app", "x")]));
        let entry = &streams[0].entries[0];
        assert_eq!(
            (entry.time, &entry.line[..], entry.metadata.get("trace_id")),
            (5_000_000_007, &b"line"[..], Some("abc"))
        );
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
