//! Series that have ended leave the head before their time.
//!
//! Where many series come and go, such as those of programs that are deployed often, the head would
//! hold them for hours after their end. So once a share of its series have ended, these become
//! blocks with the hint `from-stale-series`, one for each block range, which stand beside those
//! that the others get later. Then the log says that all time of these series is deleted, which is
//! how a replay knows that they are gone, and the head forgets them. A crash in between leaves them
//! in both places, which readers do not mind. Source: Prometheus, `CompactStaleHead` in
//! `tsdb/db.go`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use headwater_blockfmt::meta::HINT_STALE_SERIES;
use headwater_model::{Labels, TimeRange};
use headwater_storage::Result;
use parking_lot::Mutex;

use super::head_block;
use crate::block::new_meta;
use crate::db::{Db, Inner};
use crate::head::cursor::View;
use crate::head::ended::Ended;
use crate::log::Log;

/// If the head spans nearly as many ranges as make it write a block, ended series go with all others.
const SOON: f64 = 1.45;

/// Series that one record of the log names.
const RECORD_ENTRIES: usize = 16 << 10;

/// When ended series leave the head, and how often they did.
#[derive(Debug, Default)]
pub(crate) struct Early {
    /// A share of all series, as the bits of a float; 0 for never.
    threshold: AtomicU64,
    counts: Mutex<Counts>,
}

/// How often ended series were written to blocks, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) triggered: u64,
    pub(crate) failed: u64,
    pub(crate) millis: u64,
    /// Those that took up to 1, 2, 4 and so on seconds.
    pub(crate) within: [u64; 14],
}

impl Early {
    pub(crate) fn new(threshold: f64) -> Early {
        let early = Early::default();
        early.set_threshold(threshold);
        early
    }

    fn set_threshold(&self, share: f64) {
        self.threshold.store(share.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    fn is_due(&self, ended: usize, series: u32) -> bool {
        let threshold = f64::from_bits(self.threshold.load(Ordering::Relaxed));
        threshold > 0.0 && ended > 0 && ended as f64 >= threshold * f64::from(series)
    }

    fn is_off(&self) -> bool {
        f64::from_bits(self.threshold.load(Ordering::Relaxed)) <= 0.0
    }

    fn note(&self, took: Duration, failed: bool) {
        let mut counts = self.counts.lock();
        counts.triggered += 1;
        counts.failed += u64::from(failed);
        counts.millis += took.as_millis() as u64;
        for (power, count) in counts.within.iter_mut().enumerate() {
            *count += u64::from(took <= Duration::from_secs(1 << power));
        }
    }
}

impl Db {
    /// Changes [`Options::stale_series_threshold`](crate::Options::stale_series_threshold).
    pub fn set_stale_series_threshold(&self, share: f64) {
        self.inner.early.set_threshold(share);
    }
}

impl Inner {
    /// Makes blocks of series that have ended, if they are many; says how many blocks.
    pub(super) fn ended_to_blocks(&self) -> Result<usize> {
        // What waits for its readers is still in the head, and would be written once more.
        if self.early.is_off() || self.is_retiring() || self.next_range(SOON).is_some() {
            return Ok(0);
        }
        let ended = self.head.ended();
        let (count, all) = (ended.len(), self.head.series_count());
        if !self.early.is_due(count, all) {
            return Ok(0);
        }
        let started = self.env.clock.monotonic();
        let made = self.write_ended(ended);
        let took = self.env.clock.monotonic().saturating_sub(started);
        self.early.note(took, made.is_err());
        let blocks = made?;
        tracing::info!(
            series = count,
            of = all,
            blocks,
            "ended series are in blocks"
        );
        Ok(blocks)
    }

    fn write_ended(&self, ended: Vec<Ended>) -> Result<usize> {
        let mut blocks = 0;
        for range in ranges(&ended, self.options.block_range.max(1)) {
            let view = View::new(&self.head, range);
            let there = ended
                .iter()
                .filter(|e| TimeRange::new(e.first, e.newest).overlaps(&range));
            let labels = |ended: &Ended| Some((view.labels(ended.slot)?, ended.slot));
            let series: Vec<(Labels, u32)> = there.filter_map(labels).collect();
            let mut meta = new_meta(&self.env, range);
            meta.compaction.hints.push(HINT_STALE_SERIES.to_owned());
            let place = (&view, range);
            let (meta, _) = head_block::write_series(self, &self.dir, meta, place, &series)?;
            if let Some(meta) = meta {
                self.serve(&[meta.ulid], &[])?;
                blocks += 1;
            }
        }
        self.retire(Vec::new(), ended)?;
        Ok(blocks)
    }

    /// Forgets series that are in blocks, unless they have come back.
    pub(super) fn forget_ended(&self, ended: &[Ended]) -> Result<()> {
        if ended.is_empty() {
            return Ok(());
        }
        // What comes back from here on gets another number, and the log says so behind these.
        let _order = self.head.order.lock();
        let segment = self.log.wal.position().segment;
        let gone = ended
            .iter()
            .filter(|e| self.head.forget_ended(**e, segment));
        let gone: Vec<(u64, TimeRange)> = gone.map(|e| (e.log_ref, TimeRange::ALL)).collect();
        let records = gone.chunks(RECORD_ENTRIES).map(Log::encode_tombstones);
        let records: Vec<Vec<u8>> = records.collect();
        tracing::debug!(series = gone.len(), "ended series have left the head");
        // Until it is durable, a replay may bring them back: the blocks have the same.
        self.log.write(&records, &[]).map(drop)
    }
}

/// The block ranges that ended series have samples in, each no longer than these are.
fn ranges(ended: &[Ended], block: i64) -> Vec<TimeRange> {
    let first = ended.iter().map(|ended| ended.first).min();
    let last = ended.iter().map(|ended| ended.newest).max();
    let mut ranges = Vec::new();
    let (Some(mut start), Some(last)) = (first, last) else {
        return ranges;
    };
    while start <= last {
        let next = start
            .div_euclid(block)
            .saturating_add(1)
            .saturating_mul(block);
        ranges.push(TimeRange::new(start, last.min(next.saturating_sub(1))));
        if next <= start {
            break;
        }
        start = next;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_blocks_do() {
        let ended = |first, newest| Ended {
            slot: 0,
            log_ref: 0,
            first,
            newest,
        };
        let range = TimeRange::new;
        assert_eq!(ranges(&[], 10), []);
        assert_eq!(ranges(&[ended(12, 17)], 10), [range(12, 17)]);
        assert_eq!(
            ranges(&[ended(15, 20), ended(-3, 0)], 10),
            [range(-3, -1), range(0, 9), range(10, 19), range(20, 20)]
        );
    }

    #[test]
    fn a_share_decides() {
        let early = Early::new(0.25);
        assert!(!early.is_due(0, 0) && !early.is_due(24, 100) && early.is_due(25, 100));
        early.set_threshold(0.0);
        assert!(early.is_off() && !early.is_due(100, 100));
        early.note(Duration::from_secs(3), false);
        early.note(Duration::ZERO, true);
        let counts = early.counts();
        assert_eq!(
            (counts.triggered, counts.failed, counts.millis),
            (2, 1, 3000)
        );
        assert_eq!(counts.within[..3], [1, 1, 2]);
    }
}
