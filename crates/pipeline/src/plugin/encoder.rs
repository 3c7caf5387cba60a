//! Turning messages into bytes.

use std::fmt;

use crate::event::Event;

/// Writes messages in some form. Each output has an encoder of its own.
///
/// # Contract
///
/// * The encoded message is appended to `out`.
/// * On an error `out` is as it was; the message is reported and dropped.
/// * Appending nothing means that this message has no output.
pub trait Encoder: Send + fmt::Debug {
    /// Encodes one message.
    ///
    /// # Errors
    ///
    /// What is wrong with the message, in words for the log.
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String>;

    /// Whether what is written are heka's own message bytes, so that framing
    /// defaults to on and frames that came in can go out unchanged.
    fn writes_messages(&self) -> bool {
        false
    }
}
