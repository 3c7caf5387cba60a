//! From a chunk snapshot back to the head.
//!
//! Series are made in the order of the snapshot; workers give them their growing
//! chunks and put them into the index.

use std::ops::Range;
use std::thread::Scope;

use headwater_blockfmt::snapshot::{SnapshotChunk, SnapshotRecord, SnapshotSeries, unknown_type};
use headwater_blockfmt::{DecodeError, Encoding, decode};
use headwater_model::{SeriesColumns, TimeRange, Timestamp};
use headwater_wal::list_segments;

use super::Replay;
use super::source::{Block, Blocks};
use super::workers::Job;
use crate::chunk_snapshot::Usable;
use crate::head::Head;
use crate::head::open_chunk::OpenChunk;
use crate::head::rules::Rules;
use crate::head::series::Series;

/// Bytes of growing chunks that go to a worker together.
const CHUNKS_BYTES: usize = 128 << 10;

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
    /// half full then, and has to be thrown away. `scope` is where threads may
    /// read ahead.
    pub(super) fn snapshot<'s>(
        &mut self,
        snapshot: &Usable,
        scope: Option<&'s Scope<'s, '_>>,
    ) -> Result<(), Damaged> {
        let numbers = list_segments(self.files.as_ref(), &snapshot.dir)?;
        for (expected, segment) in numbers.into_iter().enumerate() {
            if segment != expected as u64 {
                return Err(Damaged(format!("segment {expected:08} is missing")));
            }
        }
        let segments = self.segments(&snapshot.dir, 0)?;
        let mut blocks = Blocks::new(self.files, segments, scope);
        let (mut block, mut progress) = (Block::default(), Progress::default());
        let mut chunks = GrowingChunks::new(self.min_valid);
        while blocks.next(&mut block)? {
            for record in block.records() {
                self.snapshot_record(record, &mut progress, &mut chunks)?;
            }
            if let Some((_, damage)) = block.damage.first() {
                return Err(Damaged(damage.to_string()));
            }
        }
        self.hand_over_chunks(&mut chunks);
        self.apply_samples();
        if let Some(damaged) = self.pending.workers.take_damaged() {
            return Err(damaged);
        }
        let wanted = snapshot.contents.as_ref().map(|contents| contents.records);
        if !progress.tombstones || wanted.is_some_and(|wanted| wanted != progress.records) {
            let records = progress.records;
            return Err(Damaged(format!("it ends after {records} records")));
        }
        tracing::info!(series = progress.series, "chunk snapshot loaded");
        Ok(())
    }

    fn snapshot_record(
        &mut self,
        record: &[u8],
        progress: &mut Progress,
        chunks: &mut GrowingChunks,
    ) -> Result<(), Damaged> {
        progress.records += 1;
        match SnapshotRecord::parse(record)? {
            SnapshotRecord::Series(series) => {
                progress.series += 1;
                self.snapshot_series(&series, chunks);
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

    fn snapshot_series(&mut self, series: &SnapshotSeries<'_>, chunks: &mut GrowingChunks) {
        let slot = self.introduce(series.reference, &series.labels);
        if let (Some(slot), Some(chunk)) = (slot, &series.chunk) {
            chunks.push(slot, chunk);
            if chunks.data.len() >= CHUNKS_BYTES {
                self.hand_over_chunks(chunks);
            }
        }
    }

    fn hand_over_chunks(&mut self, chunks: &mut GrowingChunks) {
        let empty = GrowingChunks::new(chunks.min_valid);
        let full = std::mem::replace(chunks, empty);
        self.pending.workers.other(Job::Chunks(full));
    }
}

/// Growing chunks of some series.
#[derive(Debug)]
pub(super) struct GrowingChunks {
    /// Samples before this are in blocks.
    min_valid: Timestamp,
    data: Vec<u8>,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    slot: u32,
    encoding: Encoding,
    min_time: Timestamp,
    max_time: Timestamp,
    data: Range<usize>,
}

impl GrowingChunks {
    fn new(min_valid: Timestamp) -> GrowingChunks {
        GrowingChunks {
            min_valid,
            data: Vec::new(),
            chunks: Vec::new(),
        }
    }

    fn push(&mut self, slot: u32, chunk: &SnapshotChunk<'_>) {
        let start = self.data.len();
        self.data.extend_from_slice(chunk.data);
        self.chunks.push(Chunk {
            slot,
            encoding: chunk.encoding,
            min_time: chunk.min_time,
            max_time: chunk.max_time,
            data: start..self.data.len(),
        });
    }

    /// Gives the series their chunks.
    pub(super) fn give(&self, head: &Head) -> Result<(), Damaged> {
        let rules = head.rules();
        let mut times = TimeRange::new(Timestamp::MAX, Timestamp::MIN);
        for chunk in &self.chunks {
            let Some(cell) = head.slots.get(chunk.slot) else {
                continue;
            };
            let mut series = cell.lock();
            let data = &self.data[chunk.data.clone()];
            if let Some(range) = chunk.give(data, &mut series, self.min_valid, rules)? {
                times.start = times.start.min(range.start);
                times.end = times.end.max(range.end);
                cell.note_chunk(&series);
            }
        }
        head.times.cover(times);
        Ok(())
    }
}

impl Chunk {
    /// Gives a series its growing chunk, or what it has of it that neither
    /// files nor blocks have. Says of what times that is.
    fn give(
        &self,
        data: &[u8],
        series: &mut Series,
        min_valid: Timestamp,
        rules: Rules,
    ) -> Result<Option<TimeRange>, Damaged> {
        let from = min_valid.max(series.newest.saturating_add(1));
        if self.max_time < from {
            return Ok(None);
        }
        if self.min_time >= from && series.open.growing.count() == 0 {
            let open = OpenChunk::resume(self.encoding, data, self.min_time, rules)?;
            if open.growing.count() == 0 || open.growing.last_time() != self.max_time {
                return Err(Damaged("a chunk does not end when it should".to_owned()));
            }
            series.open = open;
            series.newest = self.max_time;
        } else {
            append_from(series, self.encoding, data, from, rules)?;
        }
        Ok(Some(TimeRange::new(self.min_time.max(from), self.max_time)))
    }
}

/// Appends the samples of a chunk that are not older than `from`.
fn append_from(
    series: &mut Series,
    encoding: Encoding,
    data: &[u8],
    from: Timestamp,
    rules: Rules,
) -> Result<(), DecodeError> {
    let mut columns = SeriesColumns::default();
    let range = TimeRange::new(from, Timestamp::MAX);
    decode(encoding, data, range, &mut columns)?;
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
