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

use crate::event::Event;
use crate::flow::{Finalizer, Spares, Stopped};
use crate::message::{Field, Message, PlainMessage, RawMessage, UuidSource};

use super::cut::cut;
use super::decoder::{Decoder, Decoding, Incoming};
use super::emitter::Emitter;
use super::splitter::{Content, Splitter};
use super::stats::Counter;

/// How much is read at once, unless records are larger: of a stream that
/// trickles, and of one that always has more.
const READ_FIRST: usize = 64 * 1024;
const READ_MOST: usize = 128 * 1024;
/// Below this share of a buffer, its content is copied out so that a few
/// small messages do not keep a large buffer alive.
const COPY_BELOW: usize = 8;
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

type Confirm = Box<dyn FnMut(u64, &[u8]) -> Option<Finalizer> + Send>;

/// A stream with its splitter and decoder.
pub struct Session {
    name: Arc<str>,
    splitter: Box<dyn Splitter>,
    decoder: Option<Box<dyn Decoder>>,
    options: SessionOptions,
    template: Arc<Message>,
    emitter: Emitter,
    uuids: UuidSource,
    spares: Spares,
    buffer: Vec<u8>,
    filled: usize,
    /// Bytes of the next buffer.
    size: usize,
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
        let size = READ_FIRST.max(options.record_max + 1);
        Session {
            name: name.into(),
            splitter,
            decoder,
            buffer: spares.take(size),
            options,
            template: Arc::new(template),
            emitter,
            uuids: UuidSource::new(),
            spares,
            filled: 0,
            size,
            consumed: 0,
            found: Vec::new(),
            confirm: None,
            counts,
        }
    }

    /// Asks `confirm` for a finalizer for each batch. It is given how many
    /// bytes of the stream need not be read again once the batch arrived,
    /// and those of them that came since it was last asked.
    pub fn confirm_with(
        &mut self,
        confirm: impl FnMut(u64, &[u8]) -> Option<Finalizer> + Send + 'static,
    ) {
        self.confirm = Some(Box::new(confirm));
    }

    /// What messages made from plain records start as.
    pub fn template_mut(&mut self) -> &mut Message {
        Arc::make_mut(&mut self.template)
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
        self.adapt(read);
        self.advance(false).map_err(stopped)?;
        Ok(read)
    }

    /// Reads that fill a buffer ask for larger ones: fewer calls, fewer
    /// batches. Reads that would leave most of it empty do not need it.
    fn adapt(&mut self, read: usize) {
        let least = self.options.record_max + 1;
        if self.filled == self.buffer.len() {
            self.size = READ_MOST.max(least);
        } else if read < READ_FIRST / 4 {
            self.size = READ_FIRST.max(least);
        }
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
        let (bytes, held) = self.cut_off(used);
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
            Some(confirm) => confirm(self.consumed, &bytes),
            None => None,
        };
        if events.is_empty() && finalizer.is_none() {
            return Ok(());
        }
        self.emitter.emit_from(events, finalizer, held)
    }

    /// Shares the first `used` bytes of the buffer and moves the rest to the
    /// front of another one. Also says how many bytes the share keeps alive.
    fn cut_off(&mut self, used: usize) -> (Bytes, usize) {
        let held = self.buffer.len();
        let rest = self.filled - used;
        if used < held / COPY_BELOW && held <= self.size {
            let bytes = Bytes::copy_from_slice(&self.buffer[..used]);
            self.buffer.copy_within(used..self.filled, 0);
            self.filled = rest;
            return (bytes, used);
        }
        // A smaller buffer must still have room to read more.
        let mut next = self.spares.take(self.size.max(rest + 1));
        next[..rest].copy_from_slice(&self.buffer[used..self.filled]);
        self.filled = rest;
        let full = std::mem::replace(&mut self.buffer, next);
        (self.spares.share(full, used), held)
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
        let uuid = self.uuids.next_uuid();
        let plain = PlainMessage::new(self.template.clone(), uuid, now, payload);
        Incoming::Event(plain.into())
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
