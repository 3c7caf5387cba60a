//! Series that have ended: their newest sample is a stale marker.
//!
//! They wait for their block like all others, unless so many have ended that
//! `maintain` writes them to a block early and takes them out of the head.

use headwater_model::{Timestamp, is_stale_nan};

use super::Head;
use super::batch::Batch;
use super::contents::{Entry, Section};
use super::open_chunk::Growing;
use super::series::Series;

/// A series that has ended, as it was when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) slot: u32,
    pub(crate) log_ref: u64,
    /// Time of the first sample.
    pub(crate) first: Timestamp,
    /// Time of the marker.
    pub(crate) newest: Timestamp,
}

impl Series {
    /// Whether the newest sample is a stale marker. It is always in the growing
    /// chunk: what follows it would end that chunk.
    pub(crate) fn has_ended(&self) -> bool {
        match &self.open.growing {
            Growing::None => false,
            Growing::Floats(it) => it.count() > 0 && is_stale_nan(it.last_value()),
            Growing::Floats2(it) => it.count() > 0 && is_stale_nan(it.last_value()),
            Growing::Integer(it) => it.last().is_some_and(|last| is_stale_nan(last.sum)),
            Growing::Float(it) => it.last().is_some_and(|last| is_stale_nan(last.sum)),
        }
    }

    /// Forgets all samples and goes on under another number: what comes next has
    /// nothing to do with what was.
    pub(crate) fn begin_again(&mut self, log_ref: u64) {
        let metadata = self.rare.as_mut().and_then(|rare| rare.metadata.take());
        let labels = std::mem::take(&mut self.labels);
        self.begin(labels, log_ref, true);
        if metadata.is_some() {
            self.rare.get_or_insert_default().metadata = metadata;
        }
    }
}

impl Head {
    /// How many series have ended.
    pub(crate) fn ended_count(&self) -> u64 {
        let cells = (0..self.slots.len()).filter_map(|slot| self.slots.get(slot));
        cells.filter(|cell| cell.lock().has_ended()).count() as u64
    }

    /// The series that have ended and have no late samples, which have a way of their own. No
    /// commit is under way while they are looked for, so that a reader who comes next sees all
    /// of them.
    pub(crate) fn ended(&self) -> Vec<Ended> {
        let _order = self.order.lock();
        let ended = |slot: u32| {
            let series = self.slots.get(slot)?.lock();
            if !series.has_ended() || series.late().is_some() || series.pending.batch != 0 {
                return None;
            }
            Some(Ended {
                slot,
                log_ref: series.log_ref,
                first: series.times()?.start,
                newest: series.newest,
            })
        };
        (0..self.slots.len()).filter_map(ended).collect()
    }

    /// Forgets a series unless something has come since it was looked at; says whether it did.
    /// `segment` is the last log segment that may name it. Commits must not be under way.
    pub(crate) fn forget_ended(&self, ended: Ended, segment: u64) -> bool {
        // What says so in the log may open the next segment.
        self.forget(ended.slot, segment + 1, |series| {
            series.log_ref == ended.log_ref && series.newest == ended.newest
        })
    }
}

impl Batch<'_> {
    /// Whether all series of the batch are still there. Most are claimed, so that they cannot go;
    /// those of late samples, and those that two batches are at, are not.
    pub(super) fn has_its_series(&self) -> bool {
        let sections = self.contents.sections.iter();
        sections
            .chain([&self.contents.late])
            .all(|section| self.has_series_of(section))
    }

    fn has_series_of(&self, section: &Section) -> bool {
        self.are_there(&section.floats)
            && self.are_there(&section.integers)
            && self.are_there(&section.float_histograms)
    }

    fn are_there<V>(&self, entries: &[Entry<V>]) -> bool {
        entries.iter().all(|entry| {
            let cell = self.head.slots.get(entry.slot);
            cell.is_some_and(|cell| {
                let series = cell.lock();
                series.alive && series.log_ref == entry.log_ref
            })
        })
    }
}
