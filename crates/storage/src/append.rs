//! Writing: batches that become visible as a whole.

use headwater_model::{Exemplar, FloatHistogram, Histogram, Labels, Metadata, Timestamp};

use crate::error::{AppendError, Result};
use crate::ticket::Ticket;

/// Stands for a series within one store and one run of the process. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesRef(pub u64);

/// The value of a sample, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum SampleValue<'a> {
    /// A float, the stale marker included.
    Float(f64),
    /// A histogram with integer counts.
    Histogram(&'a Histogram),
    /// A histogram with float counts.
    FloatHistogram(&'a FloatHistogram),
}

/// One float sample of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FloatSample {
    /// The series.
    pub series: SeriesRef,
    /// Milliseconds.
    pub time: Timestamp,
    /// The value.
    pub value: f64,
}

/// How a batch is to be treated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppendOptions {
    /// Refuse samples older than the newest of their series even where the store has an
    /// out-of-order window: rules want this.
    pub discard_out_of_order: bool,
}

/// A store that takes samples.
pub trait Append: Send + Sync {
    /// Begins a batch. Several batches may be open at once; each belongs to one thread at a time.
    ///
    /// # Errors
    /// The store is not ready, is closed, or cannot take writes at all.
    fn appender(&self, options: AppendOptions) -> Result<Box<dyn Appender + '_>>;
}

/// One batch. Nothing of it is seen by readers before [`Appender::commit`]; dropping it rolls back.
///
/// # Contract
/// * `series` creates the series if it is new and is idempotent; the reference stays good for
///   later batches until the store forgets the series.
/// * A call that fails leaves the batch as it was before the call.
/// * Samples of one series are given in ascending time; equal time with an equal value is
///   accepted silently, with another value it is [`AppendError::DuplicateTimestamp`].
/// * A float and a histogram may follow each other in one series.
pub trait Appender: Send {
    /// The reference of the series with these labels.
    ///
    /// # Errors
    /// The labels are not valid, or no new series are taken.
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError>;

    /// Appends a sample; `start` is the start timestamp in milliseconds, 0 for none.
    ///
    /// # Errors
    /// The sample was not taken; others are unaffected.
    fn append(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        start: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError>;

    /// Appends many float samples; `refused` learns the position and the reason of each that was not
    /// taken. Stores override this where a batch lets them fetch memory ahead.
    fn append_floats(
        &mut self,
        samples: &[FloatSample],
        refused: &mut dyn FnMut(usize, AppendError),
    ) {
        for (at, sample) in samples.iter().enumerate() {
            if let Err(error) = self.append(
                sample.series,
                sample.time,
                0,
                SampleValue::Float(sample.value),
            ) {
                refused(at, error);
            }
        }
    }

    /// Adds an exemplar; `exemplar.time` is set. Stores without exemplars accept and forget.
    ///
    /// # Errors
    /// The exemplar was not taken; others are unaffected.
    fn exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError>;

    /// Sets the metadata of a series. Stores without metadata accept and forget.
    ///
    /// # Errors
    /// The series is not known.
    fn metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError>;

    /// Makes the batch visible to readers, all of it, and returns a ticket that resolves once the
    /// batch is as durable as the store was configured to make it.
    ///
    /// # Errors
    /// Nothing of the batch was taken.
    fn commit(self: Box<Self>) -> Result<Ticket>;

    /// Forgets the batch. Series that it created may stay, without samples.
    fn rollback(self: Box<Self>);
}

impl dyn Appender + '_ {
    /// Appends a float sample without a start timestamp.
    ///
    /// # Errors
    /// As [`Appender::append`].
    pub fn append_float(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        value: f64,
    ) -> Result<(), AppendError> {
        self.append(series, time, 0, SampleValue::Float(value))
    }
}
