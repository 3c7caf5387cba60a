//! Samples of a store that keeps start timestamps.
//!
//! They are appended one by one: what is collected has no room for a start,
//! and must not grow for stores that keep none.

use headwater_blockfmt::record::{FloatHistogramEntry, HistogramEntry, SampleEntry};
use headwater_model::Timestamp;

use super::Replay;
use crate::head::rules::Rules;
use crate::head::series::Series;

impl Replay<'_> {
    pub(super) fn float_with_start(&mut self, sample: SampleEntry) {
        self.append_now(sample.reference, sample.time, |series, rules| {
            series.push_float_with_start((sample.time, sample.value, sample.start), rules)
        });
    }

    pub(super) fn integer_with_start(&mut self, entry: &HistogramEntry) {
        if entry.histogram.validate().is_ok() {
            self.append_now(entry.reference, entry.time, |series, rules| {
                series.push_integer(entry.time, &entry.histogram, entry.start, rules)
            });
        }
    }

    pub(super) fn float_histogram_with_start(&mut self, entry: &FloatHistogramEntry) {
        if entry.histogram.validate().is_ok() {
            self.append_now(entry.reference, entry.time, |series, rules| {
                series.push_float_histogram(entry.time, &entry.histogram, entry.start, rules)
            });
        }
    }

    fn append_now(
        &mut self,
        reference: u64,
        time: Timestamp,
        push: impl FnOnce(&mut Series, Rules) -> bool,
    ) {
        let slot = self.slot_of(reference, time);
        let Some(cell) = slot.and_then(|slot| self.head.slots.get(slot)) else {
            return;
        };
        let mut series = cell.lock();
        self.report.samples += u64::from(push(&mut series, self.head.rules()));
        cell.note_chunk(&series);
    }
}
