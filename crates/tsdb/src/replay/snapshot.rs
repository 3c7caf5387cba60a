//! From a chunk snapshot back to the head.

use headwater_blockfmt::snapshot::{SnapshotChunk, SnapshotRecord, SnapshotSeries, unknown_type};
use headwater_blockfmt::{DecodeError, decode};
use headwater_model::{SeriesColumns, TimeRange, Timestamp};
use headwater_wal::{Compression, Framing, SegmentReader, list_segments};

use super::Replay;
use crate::chunk_snapshot::Usable;
use crate::head::open_chunk::OpenChunk;
use crate::head::rules::Rules;
use crate::head::series::Series;

/// Why a snapshot cannot be used. What it is does not matter: the log has
/// everything.
#[derive(Debug)]
pub(crate) struct Damaged(pub(crate) String);

impl<E: std::error::Error> From<E> for Damaged {
    fn from(error: E) -> Damaged {
        Damaged(error.to_string())
    }
}

/// What has been read of a snapshot.
#[derive(Debug, Default)]
struct Progress {
    records: u64,
    series: u64,
    /// Every snapshot has one such record, behind the series.
    tombstones: bool,
}

impl Replay<'_> {
    /// Fills the head from a snapshot. If that fails, says why; the head is
    /// half full then, and has to be thrown away.
    pub(super) fn snapshot(&mut self, snapshot: &Usable) -> Result<(), Damaged> {
        let files = self.files.as_ref();
        let segments = list_segments(files, &snapshot.dir)?;
        let mut progress = Progress::default();
        for (expected, segment) in segments.into_iter().enumerate() {
            if segment != expected as u64 {
                return Err(Damaged(format!("segment {expected:08} is missing")));
            }
            let framing = Framing::Pages(Compression::None);
            let mut reader = SegmentReader::open(files, &snapshot.dir, framing, segment)?;
            while let Some(record) = reader.next_record()? {
                self.snapshot_record(record, &mut progress)?;
            }
            if let Some(damage) = reader.take_damage().first() {
                return Err(Damaged(damage.to_string()));
            }
        }
        let wanted = snapshot.contents.as_ref().map(|contents| contents.records);
        if !progress.tombstones || wanted.is_some_and(|wanted| wanted != progress.records) {
            let records = progress.records;
            return Err(Damaged(format!("it ends after {records} records")));
        }
        tracing::info!(series = progress.series, "chunk snapshot loaded");
        Ok(())
    }

    fn snapshot_record(&mut self, record: &[u8], progress: &mut Progress) -> Result<(), Damaged> {
        progress.records += 1;
        match SnapshotRecord::parse(record)? {
            SnapshotRecord::Series(series) => {
                progress.series += 1;
                self.snapshot_series(&series)?;
            }
            SnapshotRecord::Tombstones(stones) => {
                progress.tombstones = true;
                for stone in stones {
                    let slot = self.refs.get(stone.reference);
                    if let Some(cell) = slot.and_then(|slot| self.head.slots.get(slot)) {
                        cell.lock().delete(stone.range);
                    }
                }
            }
            SnapshotRecord::Exemplars(exemplars) => self.exemplars(exemplars)?,
            SnapshotRecord::Unknown(number) => {
                return Err(unknown_type(number).into());
            }
            _ => {}
        }
        Ok(())
    }

    fn snapshot_series(&mut self, series: &SnapshotSeries<'_>) -> Result<(), Damaged> {
        let slot = self.introduce(series.reference, &series.labels);
        match (slot, &series.chunk) {
            (Some(slot), Some(chunk)) => self.growing_chunk(slot, chunk),
            _ => Ok(()),
        }
    }

    /// Gives a series its growing chunk, or what it has of it that neither
    /// files nor blocks have.
    fn growing_chunk(&mut self, slot: u32, chunk: &SnapshotChunk<'_>) -> Result<(), Damaged> {
        let Some(cell) = self.head.slots.get(slot) else {
            return Ok(());
        };
        let mut series = cell.lock();
        let rules = self.head.rules();
        let from = self.min_valid.max(series.newest.saturating_add(1));
        if chunk.max_time < from {
            return Ok(());
        }
        if chunk.min_time >= from && series.open.growing.count() == 0 {
            let open = OpenChunk::resume(chunk.encoding, chunk.data, chunk.min_time, rules)?;
            if open.growing.count() == 0 || open.growing.last_time() != chunk.max_time {
                return Err(Damaged("a chunk does not end when it should".to_owned()));
            }
            series.open = open;
            series.newest = chunk.max_time;
        } else {
            append_from(&mut series, chunk, from, rules)?;
        }
        self.times.start = self.times.start.min(chunk.min_time.max(from));
        self.times.end = self.times.end.max(chunk.max_time);
        cell.note_chunk(&series);
        Ok(())
    }
}

/// Appends the samples of a chunk that are not older than `from`.
fn append_from(
    series: &mut Series,
    chunk: &SnapshotChunk<'_>,
    from: Timestamp,
    rules: Rules,
) -> Result<(), DecodeError> {
    let mut columns = SeriesColumns::default();
    let range = TimeRange::new(from, Timestamp::MAX);
    decode(chunk.encoding, chunk.data, range, &mut columns)?;
    let floats = &columns.floats;
    for (at, time) in floats.times.iter().enumerate() {
        let start = floats.starts.get(at).copied().unwrap_or(0);
        series.push_float_with_start((*time, floats.values[at], start), rules);
    }
    let histograms = &columns.histograms;
    for (at, time) in histograms.times().iter().enumerate() {
        let start = histograms.start(at);
        match histograms.get(at) {
            headwater_model::HistogramRef::Integer(value) => {
                series.push_integer(*time, value, start, rules)
            }
            headwater_model::HistogramRef::Float(value) => {
                series.push_float_histogram(*time, value, start, rules)
            }
        };
    }
    Ok(())
}
