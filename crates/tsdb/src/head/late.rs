//! Samples that came late: older than the newest of their series.

use std::sync::Arc;

use headwater_model::{FloatHistogram, Histogram, SeriesColumns, TimeRange, Timestamp};

/// The value of a late sample.
#[derive(Clone, Debug)]
pub(crate) enum LateValue {
    Float(f64),
    Integer(Arc<Histogram>),
    FloatHistogram(Arc<FloatHistogram>),
}

impl PartialEq for LateValue {
    fn eq(&self, other: &LateValue) -> bool {
        match (self, other) {
            (LateValue::Float(a), LateValue::Float(b)) => a.to_bits() == b.to_bits(),
            (LateValue::Integer(a), LateValue::Integer(b)) => a == b,
            (LateValue::FloatHistogram(a), LateValue::FloatHistogram(b)) => a == b,
            _ => false,
        }
    }
}

/// The late samples of one series, by time. They wait here, uncompressed,
/// until a block is made of them: late samples are few.
#[derive(Debug, Default)]
pub(crate) struct Late {
    samples: Vec<LateSample>,
}

/// One of them; `start` is its start timestamp, 0 for none.
#[derive(Clone, Debug)]
pub(crate) struct LateSample {
    pub(crate) time: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) value: LateValue,
}

impl Late {
    fn place(&self, time: Timestamp) -> Result<usize, usize> {
        self.samples
            .binary_search_by_key(&time, |sample| sample.time)
    }

    /// The value at a time.
    pub(crate) fn get(&self, time: Timestamp) -> Option<&LateValue> {
        self.place(time).ok().map(|at| &self.samples[at].value)
    }

    /// Adds a sample, unless there is one at its time.
    pub(crate) fn insert(&mut self, time: Timestamp, start: Timestamp, value: LateValue) -> bool {
        match self.place(time) {
            Ok(_) => false,
            Err(at) => {
                self.samples.insert(at, LateSample { time, start, value });
                true
            }
        }
    }

    /// Bytes beside the struct itself, histograms not counted.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.samples.capacity() * size_of::<LateSample>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(crate) fn range(&self) -> Option<TimeRange> {
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        Some(TimeRange::new(first.time, last.time))
    }

    /// Appends the samples of a range to columns.
    pub(crate) fn copy_to(&self, range: TimeRange, into: &mut SeriesColumns) {
        let from = self
            .samples
            .partition_point(|sample| sample.time < range.start);
        for LateSample { time, start, value } in &self.samples[from..] {
            if *time > range.end {
                break;
            }
            match value {
                LateValue::Float(value) => into.floats.push_with_start(*time, *value, *start),
                LateValue::Integer(value) => {
                    into.histograms
                        .push_integer(*time, Arc::clone(value), *start);
                }
                LateValue::FloatHistogram(value) => {
                    into.histograms.push_float(*time, Arc::clone(value), *start);
                }
            }
        }
    }

    /// Forgets the samples at these times, which are sorted.
    pub(crate) fn remove(&mut self, times: &[Timestamp]) {
        self.samples
            .retain(|sample| times.binary_search(&sample.time).is_err());
    }

    /// Forgets the samples of a range.
    pub(crate) fn remove_range(&mut self, range: TimeRange) {
        self.samples.retain(|sample| !range.contains(sample.time));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &LateSample> {
        self.samples.iter()
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.samples.iter().map(|sample| sample.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_find_their_place() {
        let mut late = Late::default();
        for time in [30, 10, 20] {
            assert!(late.insert(time, 0, LateValue::Float(time as f64)));
        }
        assert!(!late.insert(20, 0, LateValue::Float(0.0)));
        assert!(late.insert(25, 7, LateValue::Integer(Arc::default())));
        assert_eq!(late.get(20), Some(&LateValue::Float(20.0)));
        assert_eq!(late.range(), Some(TimeRange::new(10, 30)));
        let mut columns = SeriesColumns::default();
        late.copy_to(TimeRange::new(15, 25), &mut columns);
        assert_eq!(columns.floats.times, [20]);
        assert_eq!(columns.histograms.times(), [25]);
        assert_eq!(columns.histograms.start(0), 7);
        late.remove(&[10, 25]);
        assert_eq!(late.times().collect::<Vec<_>>(), [20, 30]);
    }
}
