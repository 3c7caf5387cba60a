//! heka's message: nine headers and a list of typed fields.
//!
//! A message exists in three forms. [`Message`] owns its parts and can be
//! changed. [`PlainMessage`] is a record of text that shares its headers with
//! the other records of its stream. [`RawMessage`] is the encoded bytes with an index of where the
//! headers lie: matchers, the disk queue and framed outputs work on it
//! directly, so a message that only passes through is never decoded and
//! leaves with the very bytes it came with.
//!
//! Text is kept as bytes throughout: heka's writers do not promise UTF-8.

mod field;
mod frame;
mod plain;
mod raw;
mod uuid;
mod wire;

pub use field::{Field, FieldView, Value, ValueType};
pub use frame::{
    FrameError, FrameHeader, HEADER_MAX, HmacHash, RECORD_SEPARATOR, Signer, UNIT_SEPARATOR,
    Verdict, Verifier, put_frame, record_max,
};
pub use plain::PlainMessage;
pub use raw::RawMessage;
pub(crate) use uuid::dashed;
pub use uuid::{Uuid, UuidSource};
pub use wire::WireError;

use bytes::Bytes;

use wire::Walk;

/// What [`Message::severity`] and matchers see when a message has none:
/// syslog's "debug".
pub const SEVERITY_DEFAULT: i32 = 7;

/// A message that owns its parts. Absent headers stay absent when encoded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Message {
    /// Identity, 16 bytes as a rule.
    pub uuid: Option<Uuid>,
    /// When it happened, in nanoseconds since 1970 UTC.
    pub timestamp: Option<i64>,
    /// heka's `Type`: what kind of message this is.
    pub kind: Option<Bytes>,
    /// Who wrote it.
    pub logger: Option<Bytes>,
    /// How bad it is, on the scale of syslog.
    pub severity: Option<i32>,
    /// The text.
    pub payload: Option<Bytes>,
    /// Version of the sender's environment, free text.
    pub env_version: Option<Bytes>,
    /// Process of the sender.
    pub pid: Option<i32>,
    /// Host of the sender.
    pub hostname: Option<Bytes>,
    /// Dynamic fields, in order; names may repeat.
    pub fields: Vec<Field>,
    /// Unknown tags, kept so that a newer sender's data survives.
    pub unknown: Bytes,
}

impl Message {
    /// Decodes a message. Strings and unknown tags are slices of `shared`.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the bytes are cut or carry a wrong wire type.
    pub fn decode(shared: &Bytes) -> Result<Message, WireError> {
        let mut message = Message::default();
        let mut unknown = Vec::new();
        let mut walk = Walk::new(shared, 0, shared.len());
        while let Some(entry) = walk.next()? {
            let text = || entry.len().map(|(start, end)| shared.slice(start..end));
            match entry.field {
                1 => message.uuid = Some(Uuid::from_bytes(&text()?)),
                2 => message.timestamp = Some(entry.varint()? as i64),
                3 => message.kind = Some(text()?),
                4 => message.logger = Some(text()?),
                5 => message.severity = Some(entry.varint()? as i32),
                6 => message.payload = Some(text()?),
                7 => message.env_version = Some(text()?),
                8 => message.pid = Some(entry.varint()? as i32),
                9 => message.hostname = Some(text()?),
                10 => {
                    let (start, end) = entry.len()?;
                    message.fields.push(Field::decode(shared, start, end)?);
                }
                _ => unknown.extend_from_slice(&shared[entry.start..entry.end]),
            }
        }
        message.unknown = unknown.into();
        Ok(message)
    }

    /// Appends the encoded message to `out`: headers in the order of their
    /// numbers, then fields, then unknown tags.
    pub fn encode(&self, out: &mut Vec<u8>) {
        if let Some(uuid) = &self.uuid {
            wire::put_bytes(out, 1, uuid.as_bytes());
        }
        if let Some(timestamp) = self.timestamp {
            wire::put_number(out, 2, timestamp as u64);
        }
        put_text(out, 3, &self.kind);
        put_text(out, 4, &self.logger);
        put_int32(out, 5, self.severity);
        put_text(out, 6, &self.payload);
        put_text(out, 7, &self.env_version);
        put_int32(out, 8, self.pid);
        put_text(out, 9, &self.hostname);
        let mut scratch = Vec::new();
        for field in &self.fields {
            scratch.clear();
            field.encode(&mut scratch);
            wire::put_bytes(out, 10, &scratch);
        }
        out.extend_from_slice(&self.unknown);
    }

    /// The encoded message as one buffer.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// About how many bytes the message holds, its own parts included: the
    /// unit in which queues and batches are bounded.
    pub fn size_hint(&self) -> usize {
        let text = |t: &Option<Bytes>| t.as_ref().map_or(0, Bytes::len);
        let fields: usize = self
            .fields
            .iter()
            .map(|f| {
                let texts = f.strings.iter().chain(&f.bytes);
                size_of::<Field>()
                    + text(&f.name)
                    + text(&f.representation)
                    + texts.map(|v| v.len() + size_of::<Bytes>()).sum::<usize>()
                    + 8 * (f.integers.len() + f.doubles.len() + f.bools.len())
            })
            .sum();
        size_of::<Message>()
            + text(&self.kind)
            + text(&self.logger)
            + text(&self.payload)
            + text(&self.env_version)
            + text(&self.hostname)
            + fields
            + self.unknown.len()
    }

    /// The first field of that name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|f| f.name.as_deref() == Some(name.as_bytes()))
    }
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &Option<Bytes>) {
    if let Some(text) = text {
        wire::put_bytes(out, number, text);
    }
}

/// heka writes a negative int32 as the five byte varint of its bit pattern
/// where standard protobuf writes ten bytes; readers take both.
fn put_int32(out: &mut Vec<u8>, number: u32, value: Option<i32>) {
    if let Some(value) = value {
        wire::put_number(out, number, u64::from(value as u32));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_encoding() {
        let message = Message {
            uuid: Some(Uuid::from_bytes(&[7; 16])),
            timestamp: Some(-1),
            kind: Some("TEST".into()),
            severity: Some(-1),
            payload: Some(Bytes::from_static(b"\xff\xfe")),
            fields: vec![Field::double("d", 2.5, "s"), Field::bool("b", true, "")],
            ..Message::default()
        };
        let bytes = Bytes::from(message.to_bytes());
        assert_eq!(Message::decode(&bytes), Ok(message));
    }

    #[test]
    fn a_message_counts_what_it_holds() {
        let mut message = Message::default();
        let bare = message.size_hint();
        message.fields.push(Field::string("name", "value", ""));
        assert!(message.size_hint() >= bare + size_of::<Field>() + 9);
    }

    #[test]
    fn unknown_tags_are_kept_behind_the_known() {
        let bytes = Bytes::from_static(&[0x7a, 1, b'x', 0x10, 5]);
        let message = Message::decode(&bytes).unwrap();
        assert_eq!(message.to_bytes(), [0x10, 5, 0x7a, 1, b'x']);
    }

    #[test]
    fn a_wrong_wire_type_names_the_field() {
        let error = Message::decode(&Bytes::from_static(&[0x12, 1, b'a'])).unwrap_err();
        assert_eq!(error.to_string(), "wrong wire type 2 for field 2 at byte 0");
    }
}
