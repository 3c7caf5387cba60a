//! What a batch holds before it is committed.

use std::sync::Arc;

use headwater_model::{
    Exemplar, FloatHistogram, Histogram, HistogramRef, Labels, Metadata, TimeRange, Timestamp,
};

use super::late::{Late, LateSample, LateValue};

/// A sample on its way into the head.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) slot: u32,
    pub(crate) log_ref: u64,
    pub(crate) time: Timestamp,
    pub(crate) value: V,
}

/// Samples that may be logged and applied kind by kind: no series changes
/// its kind within a section.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) floats: Vec<Entry<f64>>,
    pub(crate) integers: Vec<Entry<Arc<Histogram>>>,
    pub(crate) float_histograms: Vec<Entry<Arc<FloatHistogram>>>,
    pub(crate) float_starts: Starts,
    pub(crate) integer_starts: Starts,
    pub(crate) float_histogram_starts: Starts,
}

/// Start timestamps beside entries, 0 for none. Stores that keep none, and
/// samples that have none, pay nothing.
#[derive(Debug, Default)]
pub(crate) struct Starts(Vec<Timestamp>);

impl Starts {
    /// Notes the start of entry `at`, the last one.
    #[inline]
    pub(crate) fn note(&mut self, at: usize, start: Timestamp) {
        if start != 0 {
            self.0.resize(at, 0);
            self.0.push(start);
        }
    }

    #[inline]
    pub(crate) fn at(&self, at: usize) -> Timestamp {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Whether any entry has one.
    pub(crate) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Section {
    /// Adds the late samples of a series in a range.
    pub(crate) fn add_late(&mut self, slot: u32, log_ref: u64, late: &Late, range: TimeRange) {
        for sample in late.iter().filter(|sample| range.contains(sample.time)) {
            self.push_late(slot, log_ref, sample.clone());
        }
    }

    /// Adds a histogram; says where.
    pub(crate) fn push_histogram(
        &mut self,
        slot: u32,
        log_ref: u64,
        (time, start): (Timestamp, Timestamp),
        value: HistogramRef<'_>,
    ) -> u32 {
        match value {
            HistogramRef::Integer(value) => {
                self.integer_starts.note(self.integers.len(), start);
                self.integers.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value: Arc::new(value.clone()),
                });
                self.integers.len() as u32 - 1
            }
            HistogramRef::Float(value) => {
                self.float_histogram_starts
                    .note(self.float_histograms.len(), start);
                self.float_histograms.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value: Arc::new(value.clone()),
                });
                self.float_histograms.len() as u32 - 1
            }
        }
    }

    /// Adds a late sample.
    pub(crate) fn push_late(&mut self, slot: u32, log_ref: u64, sample: LateSample) {
        let LateSample { time, start, value } = sample;
        match value {
            LateValue::Float(value) => {
                self.float_starts.note(self.floats.len(), start);
                self.floats.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value,
                });
            }
            LateValue::Integer(value) => {
                self.integer_starts.note(self.integers.len(), start);
                self.integers.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value,
                });
            }
            LateValue::FloatHistogram(value) => {
                self.float_histogram_starts
                    .note(self.float_histograms.len(), start);
                self.float_histograms.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value,
                });
            }
        }
    }
}

/// What a batch will log and apply.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Series that the log does not know yet.
    pub(crate) new_series: Vec<(u64, Labels)>,
    pub(crate) sections: Vec<Section>,
    /// Samples older than the newest of their series.
    pub(crate) late: Section,
    pub(crate) exemplars: Vec<Entry<(Labels, Exemplar)>>,
    pub(crate) metadata: Vec<Entry<Arc<Metadata>>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_stand_beside_their_entries() {
        let mut starts = Starts::default();
        for (at, start) in [0, 0, 7, 0, 9].into_iter().enumerate() {
            starts.note(at, start);
        }
        let read: Vec<_> = (0..6).map(|at| starts.at(at)).collect();
        assert_eq!((read, starts.any()), (vec![0, 0, 7, 0, 9, 0], true));
        assert!(!Starts::default().any());
    }
}
