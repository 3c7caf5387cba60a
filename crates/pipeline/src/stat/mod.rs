//! Statistics on their way from where they are read to the accumulator that
//! adds them up.

mod accumulator;
mod statsd;

pub use accumulator::{Accumulator, Naming, Number};
pub use statsd::parse_line;

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// Samples an accumulator may have waiting. Beyond that they are dropped and
/// counted: statistics are sent without a reply and must never hold back
/// messages.
const WAITING_MAX: usize = 64 * 1024;

/// What kind of number a sample is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatKind {
    /// Adds up.
    Counter,
    /// A duration in milliseconds, of which percentiles are wanted.
    Timer,
    /// The last one counts.
    Gauge,
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Stat {
    /// Name of the bucket, dots separate its parts.
    pub bucket: String,
    /// The number.
    pub value: f64,
    /// What kind of number.
    pub kind: StatKind,
    /// Which share of the samples was sent: 0.1 means one in ten.
    pub rate: f64,
}

/// Where to send samples. Clones share it.
#[derive(Debug, Clone)]
pub struct StatSink(SyncSender<Stat>);

impl StatSink {
    /// A sink and the end where samples come out.
    pub fn new() -> (StatSink, Receiver<Stat>) {
        let (sender, receiver) = sync_channel(WAITING_MAX);
        (StatSink(sender), receiver)
    }

    /// Sends a sample. False if the accumulator is behind or gone.
    pub fn send(&self, stat: Stat) -> bool {
        match self.0.try_send(stat) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }
}
