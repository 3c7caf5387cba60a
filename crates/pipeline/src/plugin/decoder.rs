//! Turning records into messages.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::message::Message;

/// What a decoder is given.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// An encoded message, not yet looked at.
    Encoded {
        /// The frame, or the bare message.
        bytes: Bytes,
        /// Where the message starts.
        start: usize,
        /// Who signed it, if that was verified.
        signer: Option<Arc<str>>,
    },
    /// A message: made by the input from a record, or left by the decoder
    /// before this one.
    Event(Event),
}

impl Incoming {
    /// The message, for decoders that change one. Bytes that were never
    /// decoded count as an empty message, as in heka.
    pub fn into_event(self) -> Event {
        match self {
            Incoming::Event(event) => event,
            Incoming::Encoded { signer, .. } => Event::from(Message::default()).signed_by(signer),
        }
    }
}

/// What a decoder made of it.
#[derive(Debug)]
pub enum Decoding {
    /// Messages, if any, were appended.
    Done,
    /// Not for this decoder, and not worth a word. Alone it means that the
    /// message is dropped; in a MultiDecoder the next one is asked.
    Skipped(Incoming),
    /// Not understood, with the reason.
    Failed(Incoming, String),
}

/// Makes messages from records. Each stream has a decoder of its own.
///
/// # Contract
///
/// * Every message made is appended to `out`; what is already there stays.
/// * On [`Decoding::Skipped`] and [`Decoding::Failed`] nothing was appended
///   and what came in is handed back, unchanged.
pub trait Decoder: Send + fmt::Debug {
    /// Decodes one record.
    fn decode(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding;
}
