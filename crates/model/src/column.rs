//! Samples of one series in columns: times beside values.
//!
//! Floats and histograms stand in columns of their own, each in ascending order of time, because
//! nearly every series has only one kind and loops over floats must not branch. A series that
//! changes kind has samples in both; merging by time gives back the order in which they came.

use std::sync::Arc;

use crate::histogram::{FloatHistogram, Histogram, HistogramRef};
use crate::sample::Timestamp;

/// All samples of one series in a range of time. Meant to be reused: [`SeriesColumns::clear`] keeps the memory.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesColumns {
    /// The float samples.
    pub floats: FloatColumn,
    /// The histogram samples.
    pub histograms: HistogramColumn,
}

impl SeriesColumns {
    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.floats.clear();
        self.histograms.clear();
    }

    /// Number of samples of either kind.
    pub fn len(&self) -> usize {
        self.floats.times.len() + self.histograms.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Float samples: `times[i]` and `values[i]` belong together.
#[derive(Clone, Debug, Default)]
pub struct FloatColumn {
    /// Milliseconds, ascending.
    pub times: Vec<Timestamp>,
    /// One value a time; stale markers are left in.
    pub values: Vec<f64>,
    /// Start timestamps: empty if no sample has one, else one a sample, 0 for "none".
    pub starts: Vec<Timestamp>,
}

/// Values are compared bit by bit, so that NaN equals itself and the stale marker does not equal another NaN.
impl PartialEq for FloatColumn {
    fn eq(&self, other: &Self) -> bool {
        self.times == other.times
            && self.starts == other.starts
            && self.values.len() == other.values.len()
            && self
                .values
                .iter()
                .zip(&other.values)
                .all(|(a, b)| a.to_bits() == b.to_bits())
    }
}

impl FloatColumn {
    /// Appends a sample without a start timestamp.
    pub fn push(&mut self, time: Timestamp, value: f64) {
        self.push_with_start(time, value, 0);
    }

    /// Appends a sample; `start` is 0 if it has no start timestamp.
    pub fn push_with_start(&mut self, time: Timestamp, value: f64, start: Timestamp) {
        push_start(&mut self.starts, self.times.len(), start);
        self.times.push(time);
        self.values.push(value);
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.starts.clear();
    }
}

/// Histogram samples. How they are held may change (flat bucket columns are planned), so
/// fields other than the times are private.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramColumn {
    times: Vec<Timestamp>,
    starts: Vec<Timestamp>,
    values: Vec<Cell>,
}

#[derive(Clone, Debug)]
enum Cell {
    Integer(Arc<Histogram>),
    Float(Arc<FloatHistogram>),
}

impl PartialEq for Cell {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

impl Cell {
    fn as_ref(&self) -> HistogramRef<'_> {
        match self {
            Self::Integer(histogram) => HistogramRef::Integer(histogram),
            Self::Float(histogram) => HistogramRef::Float(histogram),
        }
    }
}

impl HistogramColumn {
    /// Appends an integer histogram; `start` is 0 if it has no start timestamp.
    pub fn push_integer(
        &mut self,
        time: Timestamp,
        histogram: impl Into<Arc<Histogram>>,
        start: Timestamp,
    ) {
        self.push_cell(time, Cell::Integer(histogram.into()), start);
    }

    /// Appends a float histogram; `start` is 0 if it has no start timestamp.
    pub fn push_float(
        &mut self,
        time: Timestamp,
        histogram: impl Into<Arc<FloatHistogram>>,
        start: Timestamp,
    ) {
        self.push_cell(time, Cell::Float(histogram.into()), start);
    }

    /// Appends a copy of sample `at` of another column.
    pub fn push_from(&mut self, other: &HistogramColumn, at: usize) {
        self.push_cell(other.times[at], other.values[at].clone(), other.start(at));
    }

    /// Times in milliseconds, ascending.
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Start timestamp of sample `at`, 0 for "none".
    pub fn start(&self, at: usize) -> Timestamp {
        self.starts.get(at).copied().unwrap_or(0)
    }

    /// The histogram of sample `at`.
    ///
    /// # Panics
    /// `at` is not below [`HistogramColumn::len`].
    pub fn get(&self, at: usize) -> HistogramRef<'_> {
        self.values[at].as_ref()
    }

    /// The histogram of sample `at` with float counts, shared if it is stored so.
    ///
    /// # Panics
    /// `at` is not below [`HistogramColumn::len`].
    pub fn float(&self, at: usize) -> Arc<FloatHistogram> {
        match &self.values[at] {
            Cell::Integer(histogram) => Arc::new(histogram.to_float()),
            Cell::Float(histogram) => histogram.clone(),
        }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Forgets all samples.
    pub fn clear(&mut self) {
        self.times.clear();
        self.starts.clear();
        self.values.clear();
    }

    /// Keeps the first `len` samples.
    pub fn truncate(&mut self, len: usize) {
        self.times.truncate(len);
        self.starts.truncate(len);
        self.values.truncate(len);
    }

    fn push_cell(&mut self, time: Timestamp, cell: Cell, start: Timestamp) {
        push_start(&mut self.starts, self.times.len(), start);
        self.times.push(time);
        self.values.push(cell);
    }
}

/// Start timestamps cost nothing until the first sample has one.
fn push_start(starts: &mut Vec<Timestamp>, before: usize, start: Timestamp) {
    if start != 0 && starts.is_empty() {
        starts.resize(before, 0);
    }
    if start != 0 || !starts.is_empty() {
        starts.push(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_appear_with_the_first_one() {
        let mut column = FloatColumn::default();
        column.push(1, 1.0);
        assert!(column.starts.is_empty());
        column.push_with_start(2, 2.0, 1);
        column.push(3, 3.0);
        assert_eq!(column.starts, [0, 1, 0]);
    }

    #[test]
    fn histograms_keep_their_kind() {
        let mut column = HistogramColumn::default();
        column.push_integer(1, Histogram::default(), 0);
        column.push_float(2, FloatHistogram::default(), 1);
        assert!(matches!(column.get(0), HistogramRef::Integer(_)));
        assert!(matches!(column.get(1), HistogramRef::Float(_)));
        assert_eq!((column.start(0), column.start(1)), (0, 1));
    }
}
