//! One stream of an input: bytes in, messages out.
//!
//! A session owns the splitter and the decoder of its stream. Each read
//! becomes one batch: its records are cut out of the read buffer without
//! copying, decoded, and handed over before the next read, so nothing waits
//! in a session for more data to come, except the start of a record.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::event::Event;
use crate::flow::{Finalizer, Stopped};
use crate::message::{Field, Message, RawMessage, UuidSource};

use super::cut::cut;
use super::decoder::{Decoder, Decoding, Incoming};
use super::emitter::Emitter;
use super::splitter::{Content, Splitter};
use super::stats::Counter;

/// How much is read at once when records are small.
const READ_BYTES: usize = 64 * 1024;
/// Below this share of a buffer, its content is copied out so that a few
/// small messages do not keep a large buffer alive.
const COPY_BELOW: usize = 8;
/// Spare buffers a session keeps.
const SPARE_BUFFERS: usize = 4;
/// A decode error is cut to this length in messages, as in heka.
const ERROR_MAX: usize = 500;

/// What a session does besides splitting and decoding.
#[derive(Debug, Clone)]
pub struct SessionOptions {
    /// The largest record, in bytes.
    pub record_max: usize,
    /// Cut records that are too large instead of dropping them.
    pub keep_truncated: bool,
    /// Whether records hold encoded messages; `None` leaves it to the
    /// splitter.
    pub use_message_bytes: Option<bool>,
    /// Deliver what is left when the stream ends.
    pub deliver_incomplete_final: bool,
    /// Log what cannot be decoded.
    pub log_decode_failures: bool,
    /// Deliver what cannot be decoded, with two fields that say so.
    pub send_decode_failures: bool,
}

impl SessionOptions {
    /// heka's defaults, for records of at most `record_max` bytes.
    pub fn new(record_max: usize) -> SessionOptions {
        SessionOptions {
            record_max,
            keep_truncated: false,
            use_message_bytes: None,
            deliver_incomplete_final: false,
            log_decode_failures: true,
            send_decode_failures: false,
        }
    }
}

type Confirm = Box<dyn FnMut(u64) -> Option<Finalizer> + Send>;

/// A stream with its splitter and decoder.
pub struct Session {
    name: Arc<str>,
    splitter: Box<dyn Splitter>,
    decoder: Option<Box<dyn Decoder>>,
    options: SessionOptions,
    template: Message,
    emitter: Emitter,
    uuids: UuidSource,
    spares: Spares,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the stream that need not be read again.
    consumed: u64,
    found: Vec<(usize, usize)>,
    confirm: Option<Confirm>,
    counts: Counts,
}

#[derive(Debug)]
struct Counts {
    skipped_bytes: Counter,
    oversize: Counter,
    rejected: Counter,
    undecoded: Counter,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({})", self.name)
    }
}

impl Session {
    /// A session named for logs. Messages made from plain records start as
    /// copies of `template`.
    pub fn new(
        name: impl Into<Arc<str>>,
        splitter: Box<dyn Splitter>,
        decoder: Option<Box<dyn Decoder>>,
        options: SessionOptions,
        template: Message,
        emitter: Emitter,
    ) -> Session {
        let stats = emitter.stats();
        let counts = Counts {
            skipped_bytes: stats.counter("SkippedBytes"),
            oversize: stats.counter("OversizeRecords"),
            rejected: stats.counter("RejectedSignatures"),
            undecoded: stats.counter("DecodeFailures"),
        };
        let spares = Spares::default();
        let size = READ_BYTES.max(options.record_max + 1);
        Session {
            name: name.into(),
            splitter,
            decoder,
            buffer: spares.take(size),
            options,
            template,
            emitter,
            uuids: UuidSource::new(),
            spares,
            filled: 0,
            consumed: 0,
            found: Vec::new(),
            confirm: None,
            counts,
        }
    }

    /// Asks `confirm` for a finalizer for each batch. It is given how many
    /// bytes of the stream need not be read again once the batch arrived.
    pub fn confirm_with(&mut self, confirm: impl FnMut(u64) -> Option<Finalizer> + Send + 'static) {
        self.confirm = Some(Box::new(confirm));
    }

    /// What messages made from plain records start as.
    pub fn template_mut(&mut self) -> &mut Message {
        &mut self.template
    }

    /// Bytes of the stream behind which nothing needs to be read again.
    pub fn consumed(&self) -> u64 {
        self.consumed
    }

    /// Bytes read that are no whole record yet.
    pub fn pending(&self) -> usize {
        self.filled
    }

    /// Reads once and hands over the records that are whole then. Returns
    /// how many bytes were read; 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the reader, and [`Stopped`] as
    /// [`io::ErrorKind::BrokenPipe`].
    pub fn read_from(&mut self, source: &mut dyn Read) -> io::Result<usize> {
        let read = source.read(&mut self.buffer[self.filled..])?;
        self.filled += read;
        self.advance(false).map_err(stopped)?;
        Ok(read)
    }

    /// Takes bytes as if they had been read.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the pipeline gives up.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), Stopped> {
        while !bytes.is_empty() {
            let room = &mut self.buffer[self.filled..];
            let count = room.len().min(bytes.len());
            room[..count].copy_from_slice(&bytes[..count]);
            self.filled += count;
            bytes = &bytes[count..];
            self.advance(false)?;
        }
        Ok(())
    }

    /// The stream paused: a record that is complete as it stands need not
    /// wait for the next one.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the pipeline gives up.
    pub fn pause(&mut self) -> Result<(), Stopped> {
        if self.filled == 0 {
            return Ok(());
        }
        self.advance(true)
    }

    /// The stream ended. What is left is delivered if the settings say so,
    /// and otherwise dropped.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the pipeline gives up.
    pub fn finish(&mut self) -> Result<(), Stopped> {
        self.advance(true)?;
        if self.filled > 0 {
            if self.options.deliver_incomplete_final {
                self.found.push((0, self.filled));
            }
            return self.hand_over(self.filled);
        }
        Ok(())
    }

    /// The stream ended, and what is left is a record whatever the settings
    /// say: the last line of a file that will not grow.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the pipeline gives up.
    pub fn finish_with_rest(&mut self) -> Result<(), Stopped> {
        let settings = std::mem::replace(&mut self.options.deliver_incomplete_final, true);
        let finished = self.finish();
        self.options.deliver_incomplete_final = settings;
        finished
    }

    /// Forgets what is left of a stream, for the next one to begin.
    pub fn reset(&mut self, consumed: u64) {
        self.filled = 0;
        self.consumed = consumed;
    }

    fn advance(&mut self, end: bool) -> Result<(), Stopped> {
        let used = self.split(end);
        if used == 0 {
            return Ok(());
        }
        self.hand_over(used)
    }

    /// Fills `found` with the records in the buffer. Returns how many bytes
    /// are done with.
    fn split(&mut self, end: bool) -> usize {
        let cut = cut(
            &mut *self.splitter,
            &self.buffer[..self.filled],
            end,
            self.options.record_max,
            self.options.keep_truncated,
            &mut self.found,
        );
        self.counts.skipped_bytes.add(cut.skipped as u64);
        self.counts.oversize.add(cut.oversize as u64);
        cut.used
    }

    /// Decodes and sends the records found in the first `used` bytes.
    fn hand_over(&mut self, used: usize) -> Result<(), Stopped> {
        let bytes = self.cut_off(used);
        self.consumed += used as u64;
        let now = now_nanos();
        let found = std::mem::take(&mut self.found);
        let mut events = Vec::with_capacity(found.len());
        for &(start, end) in &found {
            self.record(bytes.slice(start..end), now, &mut events);
        }
        self.found = found;
        self.found.clear();
        let finalizer = match &mut self.confirm {
            Some(confirm) => confirm(self.consumed),
            None => None,
        };
        if events.is_empty() && finalizer.is_none() {
            return Ok(());
        }
        self.emitter.emit(events, finalizer)
    }

    /// Shares the first `used` bytes of the buffer and moves the rest to the
    /// front of another one.
    fn cut_off(&mut self, used: usize) -> Bytes {
        let size = self.buffer.len();
        if used < size / COPY_BELOW {
            let bytes = Bytes::copy_from_slice(&self.buffer[..used]);
            self.buffer.copy_within(used..self.filled, 0);
            self.filled -= used;
            return bytes;
        }
        let mut next = self.spares.take(size);
        let rest = self.filled - used;
        next[..rest].copy_from_slice(&self.buffer[used..self.filled]);
        self.filled = rest;
        let full = std::mem::replace(&mut self.buffer, next);
        self.spares.share(full, used)
    }

    fn record(&mut self, record: Bytes, now: i64, events: &mut Vec<Event>) {
        let incoming = match self.splitter.content(record) {
            Content::Rejected => {
                self.counts.rejected.add(1);
                tracing::debug!(session = %self.name, "frame with a wrong or unknown signature");
                return;
            }
            Content::Message {
                bytes,
                start,
                signer,
            } => {
                if self.options.use_message_bytes == Some(false) {
                    self.plain(bytes.slice(start..), now)
                } else {
                    Incoming::Encoded {
                        bytes,
                        start,
                        signer,
                    }
                }
            }
            Content::Payload(bytes) if self.options.use_message_bytes == Some(true) => {
                Incoming::Encoded {
                    bytes,
                    start: 0,
                    signer: None,
                }
            }
            Content::Payload(bytes) => self.plain(bytes, now),
        };
        self.decode(incoming, events);
    }

    fn plain(&mut self, payload: Bytes, now: i64) -> Incoming {
        let mut message = self.template.clone();
        message.uuid = Some(self.uuids.next_uuid());
        message.timestamp = Some(now);
        message.payload = Some(payload);
        Incoming::Event(message.into())
    }

    fn decode(&mut self, incoming: Incoming, events: &mut Vec<Event>) {
        let outcome = match &mut self.decoder {
            Some(decoder) => decoder.decode(incoming, events),
            None => decode_plainly(incoming, events),
        };
        match outcome {
            Decoding::Done => {}
            Decoding::Skipped(_) => self.counts.undecoded.add(1),
            Decoding::Failed(incoming, reason) => {
                self.counts.undecoded.add(1);
                if self.options.log_decode_failures {
                    tracing::warn!(session = %self.name, "cannot decode: {reason}");
                }
                if self.options.send_decode_failures {
                    events.push(mark_failed(incoming, &reason));
                }
            }
        }
    }
}

/// Without a decoder, encoded messages are taken as they are.
fn decode_plainly(incoming: Incoming, events: &mut Vec<Event>) -> Decoding {
    match incoming {
        Incoming::Event(event) => events.push(event),
        Incoming::Encoded {
            bytes,
            start,
            signer,
        } => match RawMessage::index(bytes, start) {
            Ok(raw) => events.push(Event::from(raw).signed_by(signer)),
            Err((error, bytes)) => {
                let incoming = Incoming::Encoded {
                    bytes,
                    start,
                    signer,
                };
                return Decoding::Failed(incoming, error.to_string());
            }
        },
    }
    Decoding::Done
}

fn mark_failed(incoming: Incoming, reason: &str) -> Event {
    let mut event = incoming.into_event();
    let mut end = reason.len().min(ERROR_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let message = event.message_mut();
    message.fields.push(Field::bool("decode_failure", true, ""));
    let text = Bytes::copy_from_slice(&reason.as_bytes()[..end]);
    message.fields.push(Field::string("decode_error", text, ""));
    event
}

fn stopped(stopped: Stopped) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, stopped)
}

/// The time of the wall clock in nanoseconds since 1970.
pub(crate) fn now_nanos() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Buffers that come back when the last message cut out of them is gone.
#[derive(Debug, Clone, Default)]
struct Spares(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spares {
    fn take(&self, size: usize) -> Vec<u8> {
        let spare = self.0.lock().pop();
        spare.unwrap_or_else(|| vec![0; size])
    }

    fn share(&self, buffer: Vec<u8>, used: usize) -> Bytes {
        let owner = Lent {
            buffer,
            home: self.clone(),
        };
        Bytes::from_owner(owner).slice(..used)
    }
}

/// A buffer on loan to messages.
#[derive(Debug)]
struct Lent {
    buffer: Vec<u8>,
    home: Spares,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spares = self.home.0.lock();
        if spares.len() < SPARE_BUFFERS {
            spares.push(std::mem::take(&mut self.buffer));
        }
    }
}
