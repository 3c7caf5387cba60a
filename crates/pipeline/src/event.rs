//! What travels through the pipeline: one message with what the pipeline
//! itself knows about it.

use std::sync::Arc;

use bytes::Bytes;

use crate::message::{
    Field, FieldView, Message, PlainMessage, RawMessage, SEVERITY_DEFAULT, Uuid, dashed,
};

/// One message on its way, encoded or owned, with its signer and the number
/// of times filters have injected messages that led to it.
#[derive(Debug, Clone)]
pub struct Event {
    body: Body,
    signer: Option<Arc<str>>,
    loops: u16,
}

/// The three forms of a message.
#[derive(Debug, Clone)]
pub enum Body {
    /// Still encoded, indexed.
    Raw(RawMessage),
    /// A record of text, with headers that its stream shares.
    Plain(PlainMessage),
    /// Owned parts.
    Owned(Box<Message>),
}

impl From<Message> for Event {
    fn from(message: Message) -> Event {
        Event::new(Body::Owned(Box::new(message)))
    }
}

impl From<RawMessage> for Event {
    fn from(message: RawMessage) -> Event {
        Event::new(Body::Raw(message))
    }
}

impl From<PlainMessage> for Event {
    fn from(message: PlainMessage) -> Event {
        Event::new(Body::Plain(message))
    }
}

impl Event {
    fn new(body: Body) -> Event {
        Event {
            body,
            signer: None,
            loops: 0,
        }
    }

    /// The same event with a verified signer.
    #[must_use]
    pub fn signed_by(mut self, signer: Option<Arc<str>>) -> Event {
        self.signer = signer;
        self
    }

    /// The same event, injected after `loops` injections.
    #[must_use]
    pub fn with_loops(mut self, loops: u16) -> Event {
        self.loops = loops;
        self
    }

    /// Who signed the frame the message came in, if that was verified.
    pub fn signer(&self) -> Option<&str> {
        self.signer.as_deref()
    }

    /// How many injections led to this message.
    pub fn loops(&self) -> u16 {
        self.loops
    }

    /// The message in the form it has.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// The message, owned and free to change. Decodes it if need be.
    pub fn message_mut(&mut self) -> &mut Message {
        if !matches!(self.body, Body::Owned(_)) {
            self.body = Body::Owned(Box::new(self.to_message()));
        }
        match &mut self.body {
            Body::Owned(message) => message,
            _ => unreachable!("any other body was replaced above"),
        }
    }

    /// An owned copy of the message.
    pub fn to_message(&self) -> Message {
        match &self.body {
            Body::Raw(raw) => raw.to_message(),
            Body::Plain(plain) => plain.to_message(),
            Body::Owned(message) => (**message).clone(),
        }
    }

    /// About how many bytes the event keeps alive.
    pub fn size(&self) -> usize {
        let body = match &self.body {
            Body::Raw(raw) => raw.len(),
            Body::Plain(plain) => plain.payload().len(),
            Body::Owned(message) => message.size_hint(),
        };
        body + size_of::<Event>()
    }

    /// Appends the encoded message to `out`, without a copy in between.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.body {
            Body::Raw(raw) => out.extend_from_slice(raw.body()),
            Body::Plain(plain) => plain.to_message().encode(out),
            Body::Owned(message) => message.encode(out),
        }
    }

    /// heka's `Type`, empty if absent.
    #[inline]
    pub fn kind(&self) -> &[u8] {
        match &self.body {
            Body::Raw(raw) => raw.kind(),
            Body::Plain(plain) => text(&plain.stream().kind),
            Body::Owned(message) => text(&message.kind),
        }
    }

    /// The logger, empty if absent.
    #[inline]
    pub fn logger(&self) -> &[u8] {
        match &self.body {
            Body::Raw(raw) => raw.logger(),
            Body::Plain(plain) => text(&plain.stream().logger),
            Body::Owned(message) => text(&message.logger),
        }
    }

    /// The payload, empty if absent.
    #[inline]
    pub fn payload(&self) -> &[u8] {
        match &self.body {
            Body::Raw(raw) => raw.payload(),
            Body::Plain(plain) => plain.payload(),
            Body::Owned(message) => text(&message.payload),
        }
    }

    /// The environment version, empty if absent.
    #[inline]
    pub fn env_version(&self) -> &[u8] {
        match &self.body {
            Body::Raw(raw) => raw.env_version(),
            Body::Plain(plain) => text(&plain.stream().env_version),
            Body::Owned(message) => text(&message.env_version),
        }
    }

    /// The host, empty if absent.
    #[inline]
    pub fn hostname(&self) -> &[u8] {
        match &self.body {
            Body::Raw(raw) => raw.hostname(),
            Body::Plain(plain) => text(&plain.stream().hostname),
            Body::Owned(message) => text(&message.hostname),
        }
    }

    /// The bytes of the identity, if there is one.
    pub fn uuid(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Raw(raw) => raw.uuid(),
            Body::Plain(plain) => Some(plain.uuid().as_bytes()),
            Body::Owned(message) => message.uuid.as_ref().map(Uuid::as_bytes),
        }
    }

    /// The identity in its dashed form, empty unless it has sixteen bytes.
    pub fn uuid_text(&self) -> String {
        dashed(self.uuid().unwrap_or_default())
    }

    /// Nanoseconds since 1970, 0 if absent.
    #[inline]
    pub fn timestamp(&self) -> i64 {
        match &self.body {
            Body::Raw(raw) => raw.timestamp(),
            Body::Plain(plain) => plain.timestamp(),
            Body::Owned(message) => message.timestamp.unwrap_or(0),
        }
    }

    /// The severity, 7 if absent.
    #[inline]
    pub fn severity(&self) -> i32 {
        match &self.body {
            Body::Raw(raw) => raw.severity(),
            Body::Plain(plain) => plain.stream().severity.unwrap_or(SEVERITY_DEFAULT),
            Body::Owned(message) => message.severity.unwrap_or(SEVERITY_DEFAULT),
        }
    }

    /// The process, 0 if absent.
    #[inline]
    pub fn pid(&self) -> i32 {
        match &self.body {
            Body::Raw(raw) => raw.pid(),
            Body::Plain(plain) => plain.stream().pid.unwrap_or(0),
            Body::Owned(message) => message.pid.unwrap_or(0),
        }
    }

    /// All dynamic fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = FieldView<'_>> {
        let (raw, owned) = match &self.body {
            Body::Raw(raw) => (Some(raw.fields()), None),
            _ => (None, Some(self.owned_fields().iter().map(Field::view))),
        };
        raw.into_iter().flatten().chain(owned.into_iter().flatten())
    }

    /// The fields of a message that is not encoded.
    fn owned_fields(&self) -> &[Field] {
        match &self.body {
            Body::Raw(_) => &[],
            Body::Plain(plain) => &plain.stream().fields,
            Body::Owned(message) => &message.fields,
        }
    }

    /// The `index`-th field of that name.
    pub fn field(&self, name: &[u8], index: usize) -> Option<FieldView<'_>> {
        if let Body::Raw(raw) = &self.body {
            return raw.fields().filter(|f| f.name() == name).nth(index);
        }
        let named = |f: &&Field| f.name.as_deref().unwrap_or_default() == name;
        let field = self.owned_fields().iter().filter(named).nth(index);
        field.map(Field::view)
    }
}

fn text(bytes: &Option<Bytes>) -> &[u8] {
    bytes.as_deref().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Field;

    #[test]
    fn all_forms_read_alike() {
        let message = Message {
            uuid: Some(Uuid::from_bytes(&[7; 16])),
            timestamp: Some(9),
            payload: Some("p".into()),
            kind: Some("k".into()),
            logger: Some("l".into()),
            fields: vec![Field::string("f", "1", ""), Field::string("f", "2", "")],
            ..Message::default()
        };
        let owned = Event::from(message.clone());
        let raw = Event::from(RawMessage::new(message.to_bytes().into()).unwrap());
        let stream = Arc::new(Message {
            uuid: None,
            timestamp: None,
            payload: None,
            ..message.clone()
        });
        let uuid = Uuid::from_bytes(&[7; 16]);
        let plain = Event::from(PlainMessage::new(stream, uuid, 9, "p".into()));
        for event in [&owned, &raw, &plain] {
            let mut encoded = Vec::new();
            event.encode(&mut encoded);
            assert_eq!(encoded, message.to_bytes());
            assert_eq!(event.to_message(), message);
            assert_eq!(event.uuid(), Some(&[7; 16][..]));
            assert_eq!(event.payload(), b"p");
            assert_eq!(event.kind(), b"k");
            assert_eq!(event.logger(), b"l");
            assert_eq!(event.severity(), 7);
            assert_eq!(event.timestamp(), 9);
            assert_eq!(event.fields().count(), 2);
            let second = event.field(b"f", 1).unwrap().value(0);
            assert_eq!(second, Some(crate::message::Value::String(b"2")));
            assert!(event.field(b"f", 2).is_none());
        }
    }

    #[test]
    fn changing_a_raw_message_decodes_it_once() {
        let bytes = Message::default().to_bytes();
        let mut event = Event::from(RawMessage::new(bytes.into()).unwrap());
        event.message_mut().pid = Some(4);
        assert!(matches!(event.body(), Body::Owned(_)));
        assert_eq!(event.pid(), 4);
    }
}
