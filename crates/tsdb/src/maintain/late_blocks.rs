//! Late samples find their way into blocks.
//!
//! Those of a range that the head still has wait until the head writes it, and
//! go into its block. Those of older ranges get blocks of their own, with the
//! hint `from-out-of-order`; the next merge makes one of such a block and the
//! one it overlaps. Samples are forgotten, and the log that has them, only
//! then: a crash in between leaves them twice, which readers and merges do
//! not mind.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use headwater_blockfmt::meta::HINT_OUT_OF_ORDER;
use headwater_blockfmt::{BlockMeta, encode_columns_with};
use headwater_model::{Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::Result;

use crate::block::new_meta;
use crate::block::write::BlockWriter;
use crate::db::Inner;
use crate::error;
use crate::head::contents::Contents;
use crate::head::late::Late;
use crate::head::series::remove_deleted;

/// The late samples of a series that a block takes.
#[derive(Debug)]
pub(crate) struct Taken {
    labels: Labels,
    slot: u32,
    log_ref: u64,
    times: Vec<Timestamp>,
}

impl Inner {
    /// Makes blocks of the late samples of ranges that the head does not have
    /// any more; says how many.
    pub(super) fn late_to_blocks(&self) -> Result<usize> {
        // Even if all late samples have found their place, the log still has
        // them, under numbers that the other log will forget.
        if !self.log.has_late().map_err(error::log)? || !self.try_retire()? {
            return Ok(0);
        }
        let (segment, taken) = {
            // No commit may come between the cut and the look.
            let _order = self.head.order.lock();
            let segment = self.log.cut_late().map_err(error::log)?;
            let end = self.head.times.end_of_blocks();
            self.log_again(TimeRange::new(end, Timestamp::MAX))?;
            (
                segment,
                self.take_late(TimeRange::new(Timestamp::MIN, end.saturating_sub(1))),
            )
        };
        let mut blocks = 0;
        for range in ranges_with_samples(&taken, self.options.block_range.max(1)) {
            if let Some(meta) = self.write_late(&taken, range)? {
                self.serve(&[meta.ulid], &[])?;
                blocks += 1;
            }
        }
        self.retire(taken, Vec::new())?;
        self.log.sync().map_err(error::log)?;
        self.log.truncate_late(segment).map_err(error::log)?;
        tracing::info!(blocks, "late samples are in blocks");
        Ok(blocks)
    }

    fn take_late(&self, range: TimeRange) -> Vec<Taken> {
        let slots = 0..self.head.slots.len();
        let mut taken: Vec<Taken> = slots.filter_map(|s| self.late_of(s, range)).collect();
        taken.sort_by(|a, b| a.labels.cmp(&b.labels));
        taken
    }

    /// The late samples of one series in a range, if there are any.
    pub(super) fn late_of(&self, slot: u32, range: TimeRange) -> Option<Taken> {
        let series = self.head.slots.get(slot)?.lock();
        let late = series.late()?;
        let times: Vec<Timestamp> = late.times().filter(|time| range.contains(*time)).collect();
        (!times.is_empty()).then(|| Taken {
            labels: series.labels.clone(),
            slot,
            log_ref: series.log_ref,
            times,
        })
    }

    /// Logs late samples once more that stay, so that older segments are not
    /// needed for them.
    fn log_again(&self, range: TimeRange) -> Result<()> {
        let mut contents = Contents::default();
        for slot in 0..self.head.slots.len() {
            if let Some(cell) = self.head.slots.get(slot) {
                let series = cell.lock();
                if let Some(late) = series.late() {
                    contents.late.add_late(slot, series.log_ref, late, range);
                }
            }
        }
        let records = self.log.encode_late(&contents);
        self.log.write(&[], &records)?.wait()
    }

    fn write_late(&self, taken: &[Taken], range: TimeRange) -> Result<Option<BlockMeta>> {
        let symbols: BTreeSet<&str> = taken
            .iter()
            .flat_map(|series| &series.labels)
            .flat_map(|(name, value)| [name, value])
            .collect();
        let files = Arc::clone(&self.env.files);
        let mut meta = new_meta(&self.env, range);
        meta.compaction.hints.push(HINT_OUT_OF_ORDER.to_owned());
        let mut writer = BlockWriter::create(files, &self.dir, meta, symbols)?;
        for series in taken {
            let mut columns = SeriesColumns::default();
            if let Some(cell) = self.head.slots.get(series.slot) {
                let state = cell.lock();
                if state.log_ref == series.log_ref
                    && let Some(late) = state.late()
                {
                    late.copy_to(range, &mut columns);
                    remove_deleted(&mut columns, state.deleted());
                }
            }
            let options = self.head.rules().encode_options();
            let chunks = encode_columns_with(&columns, options);
            if !chunks.is_empty() {
                writer.add(&series.labels, &chunks)?;
            }
        }
        writer.finish()
    }

    /// Forgets late samples that are in blocks.
    pub(super) fn forget_late(&self, taken: &[Taken]) {
        if taken.is_empty() {
            return;
        }
        let count = taken.iter().map(|series| series.times.len() as u64).sum();
        self.head.counters.late_in_blocks.add(count);
        let _order = self.head.order.lock();
        for series in taken {
            if let Some(cell) = self.head.slots.get(series.slot) {
                let mut state = cell.lock();
                if state.log_ref == series.log_ref
                    && let Some(rare) = &mut state.rare
                {
                    rare.late.remove(&series.times);
                }
            }
        }
        // What is left came in the meantime.
        self.head.late_times.begin_with(Timestamp::MAX);
        for slot in 0..self.head.slots.len() {
            let left = self.head.slots.get(slot).and_then(|cell| {
                let series = cell.lock();
                series.late().and_then(Late::range)
            });
            if let Some(range) = left {
                self.head.late_times.cover(range);
            }
        }
    }
}

/// The block ranges that late samples lie in.
fn ranges_with_samples(taken: &[Taken], block: i64) -> Vec<TimeRange> {
    let mut ranges = BTreeMap::new();
    for time in taken.iter().flat_map(|series| &series.times) {
        let start = time.div_euclid(block).saturating_mul(block);
        let end = start.saturating_add(block - 1);
        ranges.entry(start).or_insert(TimeRange::new(start, end));
    }
    ranges.into_values().collect()
}
