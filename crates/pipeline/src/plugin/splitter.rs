//! Cutting a stream of bytes into records.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

/// What a splitter found at the start of the bytes it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// No whole record. The first `discard` bytes belong to none; the rest
    /// will be shown again with more behind it.
    More {
        /// Bytes to throw away.
        discard: usize,
    },
    /// A record lies in `start..end`; the next may start at `next`.
    Record {
        /// First byte of the record; what lies before belongs to no record.
        start: usize,
        /// End of the record.
        end: usize,
        /// Where to go on; more than `start`, unless the record is empty.
        next: usize,
    },
}

/// What a record holds.
#[derive(Debug, Clone)]
pub enum Content {
    /// The text of a message to be made.
    Payload(Bytes),
    /// An encoded message that starts at `start` of `bytes`.
    Message {
        /// The frame, or the bare message.
        bytes: Bytes,
        /// Where the message starts.
        start: usize,
        /// Who signed it, if that was verified.
        signer: Option<Arc<str>>,
    },
    /// A frame whose signature is wrong or unknown.
    Rejected,
}

/// Finds records in a stream. Each stream has a splitter of its own.
///
/// # Contract
///
/// * Records must not depend on how the stream was cut into reads. If more
///   bytes could change the record found, and `end` is false, the answer is
///   [`Found::More`].
/// * With `end` true the stream has ended or paused: a record that is
///   complete as it stands is to be returned. Bytes that are no complete
///   record stay; whether they are delivered is the caller's business.
/// * An answer with a `next` or `discard` of 0 makes no progress, and the
///   splitter is not asked again before there is more to see.
/// * The bytes shown are never more than the largest record allowed. If all
///   of them bring no record, the caller drops them (or cuts them off as a
///   record) and goes on behind them.
pub trait Splitter: Send + fmt::Debug {
    /// Looks for the first record in `bytes`.
    fn find(&mut self, bytes: &[u8], end: bool) -> Found;

    /// Says what a record found by [`Splitter::find`] holds.
    fn content(&mut self, record: Bytes) -> Content {
        Content::Payload(record)
    }

    /// Whether records hold encoded messages, so that a setting
    /// `use_message_bytes` defaults to true.
    fn yields_messages(&self) -> bool {
        false
    }
}

impl<S: Splitter + ?Sized> Splitter for Box<S> {
    fn find(&mut self, bytes: &[u8], end: bool) -> Found {
        (**self).find(bytes, end)
    }

    fn content(&mut self, record: Bytes) -> Content {
        (**self).content(record)
    }

    fn yields_messages(&self) -> bool {
        (**self).yields_messages()
    }
}
