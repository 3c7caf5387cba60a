//! A message made from a record of plain text.

use std::sync::Arc;

use bytes::Bytes;

use super::{Message, Uuid};

/// A record of a stream as a message: identity, time and payload are its
/// own, everything else it shares with the other records of the stream. So a
/// line that only passes through costs no allocation.
#[derive(Debug, Clone)]
pub struct PlainMessage {
    stream: Arc<Message>,
    uuid: Uuid,
    timestamp: i64,
    payload: Bytes,
}

impl PlainMessage {
    /// A message like `stream`, with these parts of its own. The time is in
    /// nanoseconds since 1970.
    pub fn new(stream: Arc<Message>, uuid: Uuid, timestamp: i64, payload: Bytes) -> PlainMessage {
        PlainMessage {
            stream,
            uuid,
            timestamp,
            payload,
        }
    }

    /// What the records of the stream have in common. Its identity, time and
    /// payload mean nothing.
    pub fn stream(&self) -> &Message {
        &self.stream
    }

    /// The identity.
    pub fn uuid(&self) -> &Uuid {
        &self.uuid
    }

    /// Nanoseconds since 1970.
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The record.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The message with parts of its own.
    pub fn to_message(&self) -> Message {
        Message {
            uuid: Some(self.uuid.clone()),
            timestamp: Some(self.timestamp),
            payload: Some(self.payload.clone()),
            ..(*self.stream).clone()
        }
    }
}
