//! A message that stays encoded: checked once, indexed, read in place.

use bytes::Bytes;

use super::field::{FieldView, check_field};
use super::wire::{Walk, Wire, WireError};
use super::{Message, SEVERITY_DEFAULT, UNIT_SEPARATOR};

/// Where a header lies. `start` is [`ABSENT`] if the message has none.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

const ABSENT: Span = Span {
    start: u32::MAX,
    end: 0,
};

impl Span {
    fn of(self, buf: &[u8]) -> Option<&[u8]> {
        (self.start != u32::MAX).then(|| &buf[self.start as usize..self.end as usize])
    }
}

/// An encoded message with an index of its headers.
///
/// Making one checks the whole message, fields included, so later reads
/// cannot fail. Cloning shares the bytes.
#[derive(Debug, Clone)]
pub struct RawMessage {
    /// The frame if the message came in one, else the bare message.
    buf: Bytes,
    /// Where the message starts in `buf`: 0 without a frame.
    body: u32,
    uuid: Span,
    kind: Span,
    logger: Span,
    payload: Span,
    env_version: Span,
    hostname: Span,
    timestamp: Option<i64>,
    severity: Option<i32>,
    pid: Option<i32>,
    /// Where the first field lies, or the end of `buf`.
    fields: u32,
}

impl RawMessage {
    /// Checks and indexes a bare message.
    ///
    /// # Errors
    ///
    /// [`WireError`] as [`Message::decode`] would return.
    pub fn new(bytes: Bytes) -> Result<RawMessage, WireError> {
        RawMessage::within(bytes, 0)
    }

    /// Checks and indexes the message that starts at `body` of a frame and
    /// keeps the frame.
    ///
    /// # Errors
    ///
    /// As [`RawMessage::new`]; offsets count from the start of the frame.
    pub fn within(frame: Bytes, body: usize) -> Result<RawMessage, WireError> {
        RawMessage::index(frame, body).map_err(|(error, _)| error)
    }

    /// Like [`RawMessage::within`], and hands the bytes back with an error.
    pub(crate) fn index(frame: Bytes, body: usize) -> Result<RawMessage, (WireError, Bytes)> {
        let mut raw = RawMessage {
            body: body as u32,
            uuid: ABSENT,
            kind: ABSENT,
            logger: ABSENT,
            payload: ABSENT,
            env_version: ABSENT,
            hostname: ABSENT,
            timestamp: None,
            severity: None,
            pid: None,
            fields: frame.len() as u32,
            buf: Bytes::new(),
        };
        match raw.fill(&frame, body) {
            Ok(()) => {
                raw.buf = frame;
                Ok(raw)
            }
            Err(error) => Err((error, frame)),
        }
    }

    fn fill(&mut self, frame: &[u8], body: usize) -> Result<(), WireError> {
        let mut walk = Walk::new(frame, body, frame.len());
        while let Some(entry) = walk.next()? {
            let span = || {
                entry.len().map(|(start, end)| Span {
                    start: start as u32,
                    end: end as u32,
                })
            };
            match entry.field {
                1 => self.uuid = span()?,
                2 => self.timestamp = Some(entry.varint()? as i64),
                3 => self.kind = span()?,
                4 => self.logger = span()?,
                5 => self.severity = Some(entry.varint()? as i32),
                6 => self.payload = span()?,
                7 => self.env_version = span()?,
                8 => self.pid = Some(entry.varint()? as i32),
                9 => self.hostname = span()?,
                10 => {
                    let (start, end) = entry.len()?;
                    check_field(frame, start, end)?;
                    self.fields = self.fields.min(entry.start as u32);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The encoded message, without a frame.
    pub fn body(&self) -> &[u8] {
        &self.buf[self.body as usize..]
    }

    /// The encoded message, shared.
    pub fn body_bytes(&self) -> Bytes {
        self.buf.slice(self.body as usize..)
    }

    /// The frame the message came in, if its header says nothing but the
    /// length and so can be sent on as it is.
    pub fn plain_frame(&self) -> Option<&[u8]> {
        let body = self.body as usize;
        let header = self.buf.get(2..body.checked_sub(1)?)?;
        let length_only = header.first() == Some(&0x08)
            && header[1..header.len() - 1].iter().all(|b| *b >= 0x80)
            && header[header.len() - 1] < 0x80
            && (header.len() == 2 || header[header.len() - 1] != 0);
        (length_only && self.buf[body - 1] == UNIT_SEPARATOR).then_some(&self.buf[..])
    }

    /// How many bytes the message keeps alive.
    pub fn len(&self) -> usize {
        self.buf.len()
    }

    /// Whether the message is empty.
    pub fn is_empty(&self) -> bool {
        self.body().is_empty()
    }

    /// Decodes into an owned message.
    pub fn to_message(&self) -> Message {
        Message::decode(&self.body_bytes()).expect("the bytes were checked when indexed")
    }

    pub(crate) fn uuid(&self) -> Option<&[u8]> {
        self.uuid.of(&self.buf)
    }

    pub(crate) fn timestamp(&self) -> i64 {
        self.timestamp.unwrap_or(0)
    }

    pub(crate) fn kind(&self) -> &[u8] {
        self.kind.of(&self.buf).unwrap_or_default()
    }

    pub(crate) fn logger(&self) -> &[u8] {
        self.logger.of(&self.buf).unwrap_or_default()
    }

    pub(crate) fn severity(&self) -> i32 {
        self.severity.unwrap_or(SEVERITY_DEFAULT)
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.payload.of(&self.buf).unwrap_or_default()
    }

    pub(crate) fn env_version(&self) -> &[u8] {
        self.env_version.of(&self.buf).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.unwrap_or(0)
    }

    pub(crate) fn hostname(&self) -> &[u8] {
        self.hostname.of(&self.buf).unwrap_or_default()
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = FieldView<'_>> {
        let buf = &self.buf[..];
        let mut walk = Walk::new(buf, self.fields as usize, buf.len());
        std::iter::from_fn(move || {
            while let Ok(Some(entry)) = walk.next() {
                if let (10, Wire::Len(start, end)) = (entry.field, entry.wire) {
                    return Some(FieldView::raw(&buf[start..end]));
                }
            }
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Field, put_frame};

    fn message() -> Message {
        Message {
            timestamp: Some(5),
            kind: Some("TEST".into()),
            hostname: Some("h".into()),
            fields: vec![Field::string("a", "x", ""), Field::integer("b", 3, "")],
            ..Message::default()
        }
    }

    #[test]
    fn headers_and_fields_are_read_in_place() {
        let raw = RawMessage::new(message().to_bytes().into()).unwrap();
        assert_eq!(raw.kind(), b"TEST");
        assert_eq!(raw.hostname(), b"h");
        assert_eq!(raw.severity(), 7);
        assert_eq!(raw.logger(), b"");
        let names: Vec<_> = raw.fields().map(FieldView::name).collect();
        assert_eq!(names, [b"a", b"b"]);
        assert_eq!(raw.to_message(), message());
    }

    #[test]
    fn a_plain_frame_is_recognised_and_a_signed_one_is_not() {
        let body = message().to_bytes();
        let mut frame = Vec::new();
        put_frame(&mut frame, &body, None, 65536).unwrap();
        let start = frame.len() - body.len();
        let raw = RawMessage::within(frame.clone().into(), start).unwrap();
        assert_eq!(raw.plain_frame(), Some(&frame[..]));
        assert_eq!(raw.body(), body);
        assert!(
            RawMessage::new(body.into())
                .unwrap()
                .plain_frame()
                .is_none()
        );
    }

    #[test]
    fn a_broken_field_is_found_when_indexing() {
        let bytes = Bytes::from_static(&[0x52, 3, 0x22, 9, b'x']);
        assert!(RawMessage::new(bytes).is_err());
    }
}
