//! Remote write: from a compressed body to the store.
//!
//! `gather` walks over the decompressed body once: every series gets a key from its labels as they
//! were sent, and `cache` knows most of them from earlier requests, so that labels are neither parsed
//! nor looked up in the store. `message1` and `message2` know the two messages. `append` asks the
//! store for the rest and gives it all samples in one batch; `fault` words what it does not take.

mod append;
mod cache;
mod fault;
mod gather;
mod message1;
mod message2;

use std::sync::Arc;

use headwater_exposition::Registry;
use headwater_exposition::registry::Counter;
use headwater_model::Timestamp;
use headwater_storage::{Append, Ticket};
use headwater_wire::{MAX_DECOMPRESSED, WireError, snappy};
use parking_lot::Mutex;

use cache::SeriesCache;
use gather::Gathered;

pub(crate) use fault::{Fault, Faults};

/// The most series of one request.
pub const MAX_SERIES_PER_WRITE: usize = 1 << 19;
/// The most samples of one request. A histogram counts as 16, an exemplar as 8: that is about what
/// they cost.
pub const MAX_SAMPLES_PER_WRITE: usize = 1 << 21;
/// The most labels of one series that is written.
pub const MAX_LABELS_PER_SERIES: usize = 1024;
/// The most symbols of one request.
pub const MAX_SYMBOLS_PER_WRITE: usize = 1 << 20;
/// Samples may be this many milliseconds ahead of the clock. Source: Prometheus's receiver.
const MAX_AHEAD: i64 = 10 * 60 * 1000;
/// Buffers that grew beyond this many bytes for one large request are not kept.
const KEPT_BYTES: usize = 4 << 20;
/// Buffers that are kept.
const KEPT_BUFFERS: usize = 8;

/// A message of remote write that the receiver may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteMessage {
    /// `prometheus.WriteRequest`, remote write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`, remote write 2.0.
    V2,
}

impl WriteMessage {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V1, Self::V2];

    /// The name in the content type and in flags.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1 => "prometheus.WriteRequest",
            Self::V2 => "io.prometheus.write.v2.Request",
        }
    }

    /// The message of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|message| message.name() == name)
    }
}

/// What became of a request.
pub(crate) struct Written {
    pub(crate) samples: usize,
    pub(crate) histograms: usize,
    pub(crate) exemplars: usize,
    /// What was not taken although the rest was.
    pub(crate) faults: Faults,
    pub(crate) ticket: Ticket,
}

/// Why nothing of a request was taken.
pub(crate) enum Refusal {
    /// It cannot be decoded.
    Malformed(WireError),
    /// A sample of it cannot be taken, and the protocol does not know parts of a request.
    Sample(Fault),
    /// The store failed: try again.
    Store(headwater_storage::Error),
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::Malformed(error)
    }
}

impl From<headwater_storage::Error> for Refusal {
    fn from(error: headwater_storage::Error) -> Self {
        Self::Store(error)
    }
}

/// Takes requests of remote write.
pub(crate) struct Receiver {
    store: Arc<dyn Append>,
    cache: SeriesCache,
    buffers: Mutex<Vec<Buffers>>,
    invalid: Counter,
    without_metadata: Counter,
}

/// Memory of one request at a time, kept for the next one.
#[derive(Default)]
struct Buffers {
    body: Vec<u8>,
    gathered: Gathered,
}

impl Receiver {
    pub(crate) fn new(store: Arc<dyn Append>, registry: &Registry) -> Self {
        Self {
            store,
            cache: SeriesCache::new(),
            buffers: Mutex::default(),
            invalid: registry.counter(
                "prometheus_api_remote_write_invalid_labels_samples_total",
                "The total number of received remote write samples and histogram samples which were rejected due to invalid labels.",
            ),
            without_metadata: registry.counter(
                "prometheus_api_remote_write_without_metadata_appended_samples_total",
                "The total number of received remote write samples (and histogram samples) which were ingested without corresponding metadata.",
            ),
        }
    }

    /// Decodes and appends a request. Takes as long as it takes: to be called where that is fine.
    ///
    /// # Errors
    /// Nothing was taken.
    pub(crate) fn receive(
        &self,
        message: WriteMessage,
        compressed: &[u8],
        now: Timestamp,
    ) -> Result<Written, Refusal> {
        let mut buffers = self.buffers.lock().pop().unwrap_or_default();
        let outcome = self.receive_with(&mut buffers, message, compressed, now);
        self.keep(buffers);
        outcome
    }

    fn receive_with(
        &self,
        Buffers { body, gathered }: &mut Buffers,
        message: WriteMessage,
        compressed: &[u8],
        now: Timestamp,
    ) -> Result<Written, Refusal> {
        snappy::decompress(compressed, MAX_DECOMPRESSED, body)?;
        gathered.reset(now.saturating_add(MAX_AHEAD));
        match message {
            WriteMessage::V1 => {
                message1::gather(body, &self.cache, gathered)?;
                self.append(&message1::Messages { body }, gathered)
            }
            WriteMessage::V2 => {
                let messages = message2::Messages::new(body)?;
                messages.gather(&self.cache, gathered)?;
                self.append(&messages, gathered)
            }
        }
    }

    fn keep(&self, buffers: Buffers) {
        let mut kept = self.buffers.lock();
        if kept.len() < KEPT_BUFFERS && buffers.bytes() <= KEPT_BYTES {
            kept.push(buffers);
        }
    }
}

impl Buffers {
    fn bytes(&self) -> usize {
        self.body.capacity() + self.gathered.bytes()
    }
}
