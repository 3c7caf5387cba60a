//! Floats that nothing is to be said about, on their way into a batch.
//!
//! Nearly every sample of a scrape or of a remote write is a float that is newer
//! than all of its series, and the first of it in the batch or behind the one
//! before. Of these a batch takes many in a row without a look at anything else;
//! whatever is different goes the long way.

use headwater_model::{TimeRange, Timestamp};
use headwater_storage::FloatSample;

use super::batch::Batch;
use super::contents::Entry;
use super::series::{Kind, Pending, Place, Series};

/// The floats of a batch's last section, taken out of it while it grows.
pub(super) struct FloatRun {
    floats: Vec<Entry<f64>>,
    section: u16,
    batch: u32,
    oldest: Timestamp,
    times: TimeRange,
}

impl FloatRun {
    /// Takes the floats of the last section out, with room for `more`. They must
    /// come back, by [`FloatRun::end`], before the batch is used again.
    pub(super) fn begin(batch: &mut Batch<'_>, more: usize) -> FloatRun {
        let sections = &mut batch.contents.sections;
        let section = sections.len().saturating_sub(1);
        let floats = sections.last_mut().map(|last| &mut last.floats);
        let mut floats = floats.map(std::mem::take).unwrap_or_default();
        floats.reserve(more);
        FloatRun {
            floats,
            section: section as u16,
            batch: batch.number,
            oldest: batch.oldest_accepted,
            times: batch.times,
        }
    }

    /// Puts the floats back.
    pub(super) fn end(self, batch: &mut Batch<'_>) {
        batch.times = self.times;
        if let Some(last) = batch.contents.sections.last_mut() {
            last.floats = self.floats;
        }
    }

    /// Takes a sample of the series in `slot`; false if it has to go the long way.
    #[inline(always)]
    pub(super) fn take(&mut self, series: &mut Series, slot: u32, sample: &FloatSample) -> bool {
        let (time, at) = (sample.time, self.floats.len());
        let newest = match series.pending.batch {
            0 => series.newest,
            batch if batch == self.batch => match self.floats.last() {
                Some(last) if series.pending.place == self.place(at - 1) => last.time,
                _ => return false,
            },
            _ => return false,
        };
        if time <= newest || time < self.oldest || !series.logged {
            return false;
        }
        self.floats.push(Entry {
            slot,
            log_ref: series.log_ref,
            time,
            value: sample.value,
        });
        series.pending = Pending {
            batch: self.batch,
            place: self.place(at),
        };
        self.times.start = self.times.start.min(time);
        self.times.end = self.times.end.max(time);
        true
    }

    #[inline(always)]
    fn place(&self, at: usize) -> Place {
        Place {
            section: self.section,
            kind: Kind::Float,
            at: at as u32,
        }
    }
}
