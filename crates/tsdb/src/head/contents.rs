//! What a batch holds before it is committed.

use std::sync::Arc;

use headwater_model::{
    Exemplar, FloatHistogram, Histogram, HistogramRef, Labels, Metadata, TimeRange, Timestamp,
};

use super::late::{Late, LateValue};

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
}

impl Section {
    /// Adds the late samples of a series in a range.
    pub(crate) fn add_late(&mut self, slot: u32, log_ref: u64, late: &Late, range: TimeRange) {
        for (time, value) in late.iter().filter(|(time, _)| range.contains(*time)) {
            self.push_late(slot, log_ref, time, value.clone());
        }
    }

    /// Adds a histogram; says where.
    pub(crate) fn push_histogram(
        &mut self,
        slot: u32,
        log_ref: u64,
        time: Timestamp,
        value: HistogramRef<'_>,
    ) -> u32 {
        match value {
            HistogramRef::Integer(value) => {
                self.integers.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value: Arc::new(value.clone()),
                });
                self.integers.len() as u32 - 1
            }
            HistogramRef::Float(value) => {
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
    pub(crate) fn push_late(&mut self, slot: u32, log_ref: u64, time: Timestamp, value: LateValue) {
        match value {
            LateValue::Float(value) => self.floats.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
            LateValue::Integer(value) => self.integers.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
            LateValue::FloatHistogram(value) => self.float_histograms.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
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
