//! From the log back to the head.
//!
//! Newest checkpoint first, then the segments behind it. `source` reads
//! records, this module takes them apart, `pending` collects their samples and
//! `batch` appends them sorted by series. With more than one thread all of this
//! goes on side by side: `source` has threads that read ahead, and `workers` bring
//! to the head what was read. `refs` leads from the numbers of the log to series.
//! What is on the way takes no more memory than the head will take for the rest of
//! the log.

mod batch;
mod pending;
mod progress;
mod refs;
mod snapshot;
mod source;
mod starts;
mod workers;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::Record;
use headwater_blockfmt::record::{Exemplars, LabelPairs, Samples, Series, Tombstones};
use headwater_env::Files;
use headwater_model::label::LabelsBuilder;
use headwater_model::{Exemplar, Labels, Metadata, TimeRange, Timestamp};
use headwater_storage::Result;
use headwater_wal::{Damage, list_checkpoints, list_segments};

use crate::chunk_snapshot::Usable;
use crate::head::finished::Finished;
use crate::head::late::LateValue;
use crate::head::{Departed, Head};
use crate::{error, log};
use pending::PendingSamples;
pub(crate) use progress::Progress;
use refs::{MappedUntil, Refs};
use snapshot::Damaged;
use source::{Block, Blocks, Segment};
use workers::{Job, Workers};

/// Series that go to the index together.
const INDEXED_TOGETHER: usize = 1024;

/// What a replay found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) records: u64,
    pub(crate) samples: u64,
    /// Samples, exemplars and so on of series that no record introduced.
    pub(crate) unknown_series: u64,
    /// Records whose body cannot be read to its end.
    pub(crate) bad_records: u64,
    /// Records of types that are not known here.
    pub(crate) unknown_records: u64,
    /// Series that were refused, for instance for want of room.
    pub(crate) refused_series: u64,
    /// The slots of series that have left the head for a block early, and did not come back.
    pub(crate) ended: HashSet<u32>,
    /// Why the snapshot cannot be used.
    pub(crate) bad_snapshot: Option<String>,
    /// Directories and what is damaged in them.
    pub(crate) damage: Vec<(PathBuf, Damage)>,
    /// Segments that should be there: the first and the one behind the last.
    pub(crate) missing: Vec<(PathBuf, u64, u64)>,
}

/// Reads the logs of the data directory `data` into an empty head. `chunks` are those
/// that files have of its series; a snapshot stands for what the log has before
/// it. If the snapshot is damaged the head is of no use, and the report says so.
pub(crate) fn replay(
    head: &Head,
    files: &Arc<dyn Files>,
    data: &Path,
    chunks: HashMap<u64, Vec<Finished>>,
    snapshot: Option<&Usable>,
    threads: usize,
    progress: &Progress,
) -> Result<Report> {
    let (dir, late_dir) = (&log::dir(data), &log::late_dir(data));
    let segments = list_segments(files.as_ref(), dir).map_err(error::log)?;
    let last_segment = segments.last().copied().unwrap_or(0);
    progress.begin(segments.first().copied().unwrap_or(0), last_segment);
    std::thread::scope(|scope| {
        let workers = if threads > 1 { threads } else { 0 };
        let ahead = (workers > 0).then_some(scope);
        let mut replay = Replay {
            head,
            files,
            refs: Refs::default(),
            mapped: MappedUntil::default(),
            chunks,
            labels: LabelsBuilder::new(),
            pending: PendingSamples::new(head, Workers::new(head, scope, workers)),
            new_series: Vec::new(),
            report: Report::default(),
            progress,
            min_valid: head.times.min_valid(),
            late: false,
            last_segment,
            times: TimeRange::new(Timestamp::MAX, Timestamp::MIN),
        };
        let in_order = match snapshot {
            Some(snapshot) => {
                if let Err(Damaged(why)) = replay.snapshot(snapshot, ahead) {
                    replay.report.bad_snapshot = Some(why);
                    return Ok(replay.report);
                }
                replay.segments(dir, snapshot.segment)?
            }
            None => replay.in_order(dir)?,
        };
        replay.read(Blocks::new(files, in_order, ahead))?;
        replay.apply_samples();
        head.times.cover(replay.times);
        // Late samples may be older than all blocks.
        replay.late = true;
        replay.min_valid = Timestamp::MIN;
        let late = replay.segments(late_dir, 0)?;
        replay.read(Blocks::new(files, late, None))?;
        replay.apply_samples();
        Ok(replay.report)
    })
}

struct Replay<'r> {
    head: &'r Head,
    files: &'r Arc<dyn Files>,
    refs: Refs,
    /// Chunks in files, by the number of their series.
    chunks: HashMap<u64, Vec<Finished>>,
    /// Which samples these have.
    mapped: MappedUntil,
    labels: LabelsBuilder,
    pending: PendingSamples<'r>,
    /// Those that are not in the index yet.
    new_series: Vec<(u32, Labels)>,
    report: Report,
    progress: &'r Progress,
    /// Samples before this are in blocks.
    min_valid: Timestamp,
    /// The log of late samples is read.
    late: bool,
    /// The last segment of the log.
    last_segment: u64,
    times: TimeRange,
}

impl Replay<'_> {
    /// The segments of the newest checkpoint and those behind it.
    fn in_order(&mut self, dir: &Path) -> Result<Vec<Segment>> {
        let checkpoint = list_checkpoints(self.files.as_ref(), dir)
            .map_err(error::log)?
            .pop();
        let mut all = match &checkpoint {
            Some(checkpoint) => self.segments(&checkpoint.dir, 0)?,
            None => Vec::new(),
        };
        all.extend(self.segments(dir, checkpoint.map_or(0, |c| c.upto + 1))?);
        Ok(all)
    }

    /// The segments of a directory from `first` on.
    fn segments(&mut self, dir: &Path, first: u64) -> Result<Vec<Segment>> {
        let numbers = list_segments(self.files.as_ref(), dir).map_err(error::log)?;
        // A log without a checkpoint may begin anywhere.
        let mut expected = (first > 0).then_some(first);
        let mut all = Vec::new();
        let dir: Arc<Path> = dir.into();
        for number in numbers.into_iter().filter(|number| *number >= first) {
            if let Some(expected) = expected.filter(|e| *e < number) {
                let gap = (dir.to_path_buf(), expected, number);
                self.report.missing.push(gap);
            }
            all.push(Segment {
                dir: Arc::clone(&dir),
                number,
            });
            expected = Some(number + 1);
        }
        Ok(all)
    }

    fn read(&mut self, mut blocks: Blocks) -> Result<()> {
        let mut block = Block::default();
        while blocks.next(&mut block)? {
            self.pending.bytes_left = block.bytes_left;
            for record in block.records() {
                self.report.records += 1;
                if self.record(record).is_err() {
                    self.report.bad_records += 1;
                }
            }
            self.report.damage.append(&mut block.damage);
            // The log of late samples counts apart.
            let reached = if self.late {
                self.last_segment
            } else {
                block.segment
            };
            self.progress.reached(reached)?;
        }
        Ok(())
    }

    fn record(&mut self, record: &[u8]) -> Result<(), headwater_blockfmt::DecodeError> {
        match Record::parse(record)? {
            Record::Series(series) => return self.series(series),
            Record::Samples(samples) => return self.floats(samples),
            Record::Histograms(histograms) => {
                for entry in histograms {
                    let entry = entry?;
                    if self.late {
                        let value = LateValue::Integer(Arc::new(entry.histogram));
                        self.late_sample(entry.reference, (entry.time, entry.start), value);
                    } else if self.head.choice.starts {
                        self.integer_with_start(&entry);
                    } else if let Some(slot) = self.slot_of(entry.reference, entry.time)
                        && entry.histogram.validate().is_ok()
                    {
                        self.pending.push_integer(slot, entry.time, entry.histogram);
                    }
                }
            }
            Record::FloatHistograms(histograms) => {
                for entry in histograms {
                    let entry = entry?;
                    if self.late {
                        let value = LateValue::FloatHistogram(Arc::new(entry.histogram));
                        self.late_sample(entry.reference, (entry.time, entry.start), value);
                    } else if self.head.choice.starts {
                        self.float_histogram_with_start(&entry);
                    } else if let Some(slot) = self.slot_of(entry.reference, entry.time)
                        && entry.histogram.validate().is_ok()
                    {
                        self.pending
                            .push_float_histogram(slot, entry.time, entry.histogram);
                    }
                }
            }
            Record::Tombstones(stones) => return self.tombstones(stones),
            Record::Exemplars(exemplars) => return self.exemplars(exemplars),
            Record::Metadata(entries) => {
                for entry in entries {
                    let entry = entry?;
                    let metadata = Metadata {
                        metric_type: entry.metric_type,
                        unit: entry.unit.to_owned(),
                        help: entry.help.to_owned(),
                    };
                    self.metadata(entry.reference, &metadata);
                }
            }
            Record::MinValidTime(time) => self.min_valid = self.min_valid.max(time),
            // Markers stand in the out-of-order log only.
            Record::MmapMarkers(_) => {}
            _ => self.report.unknown_records += 1,
        }
        Ok(())
    }

    fn floats(&mut self, samples: Samples<'_>) -> Result<(), headwater_blockfmt::DecodeError> {
        let starts = self.head.choice.starts;
        if !self.late && !starts {
            return samples.try_for_all(|sample| {
                if let Some(slot) = self.slot_of(sample.reference, sample.time) {
                    self.pending.push_float(slot, sample.time, sample.value);
                }
            });
        }
        samples.try_for_all(|sample| {
            if self.late {
                let value = LateValue::Float(sample.value);
                self.late_sample(sample.reference, (sample.time, sample.start), value);
            } else {
                self.float_with_start(sample);
            }
        })
    }

    /// The slot for a sample that is to be kept.
    #[inline]
    fn slot_of(&mut self, reference: u64, time: Timestamp) -> Option<u32> {
        if time < self.min_valid {
            return None;
        }
        let Some(slot) = self.refs.get(reference) else {
            self.report.unknown_series += 1;
            return None;
        };
        if self.mapped.has(slot, time) {
            return None;
        }
        self.times.start = self.times.start.min(time);
        self.times.end = self.times.end.max(time);
        Some(slot)
    }

    /// A series is known by one number from now on; as long as the log has
    /// records under another, a checkpoint must introduce that one, too.
    fn keep_other_number(&mut self, reference: u64, slot: u32) {
        let cell = self.head.slots.get(slot);
        if self.report.ended.remove(&slot)
            && let Some(cell) = cell
        {
            let (was, until) = (cell.lock().log_ref, self.last_segment);
            cell.lock().begin_again(reference);
            let mut departed = self.head.departed.lock();
            departed.insert(was, Departed { until, now: None });
            return;
        }
        let now = cell.map(|cell| cell.lock().log_ref);
        if now.is_some_and(|now| now != reference) {
            let until = self.last_segment;
            let mut departed = self.head.departed.lock();
            departed.insert(reference, Departed { until, now });
        }
    }

    /// Gives a series the chunks that files have of it; the samples in them
    /// are then skipped in the log, because they are not newer.
    fn take_chunks(&mut self, reference: u64, slot: u32) {
        let Some(chunks) = self.chunks.remove(&reference) else {
            return;
        };
        let head = self.head;
        let Some(cell) = head.slots.get(slot) else {
            return;
        };
        // Under an earlier number the series may have samples on the way
        // that are older than the chunks.
        if cell.lock().log_ref != reference {
            self.apply_samples();
        }
        for chunk in &chunks {
            self.times.start = self.times.start.min(chunk.min_time());
            self.times.end = self.times.end.max(chunk.max_time());
        }
        let mut series = cell.lock();
        series.push_chunks(chunks);
        self.mapped.note(slot, series.newest);
    }

    fn late_sample(
        &mut self,
        reference: u64,
        (time, start): (Timestamp, Timestamp),
        value: LateValue,
    ) {
        let start = if self.head.choice.starts { start } else { 0 };
        let cell = self.refs.get(reference);
        match cell.and_then(|slot| self.head.slots.get(slot)) {
            Some(cell) => {
                if cell.lock().push_late(time, start, value) {
                    self.report.samples += 1;
                    self.head.late_times.cover(TimeRange::new(time, time));
                }
            }
            None => self.report.unknown_series += 1,
        }
    }

    fn series(&mut self, mut series: Series<'_>) -> Result<(), headwater_blockfmt::DecodeError> {
        let mut pairs = LabelPairs::new();
        while let Some(reference) = series.next_into(&mut pairs)? {
            self.introduce(reference, &pairs);
        }
        Ok(())
    }

    /// The slot of a series that the log knows by a number.
    fn introduce(&mut self, reference: u64, pairs: &LabelPairs<'_>) -> Option<u32> {
        self.labels.clear();
        for (name, value) in pairs {
            self.labels.push(name, value);
        }
        let labels = self.labels.build();
        self.head.reserve_log_refs(reference);
        // The same labels may come back under another number after the
        // series was forgotten: both stand for one series here.
        match self.head.restore(&labels, reference) {
            Ok((slot, is_new)) => {
                if is_new {
                    self.index_later(slot, labels);
                }
                self.refs.insert(reference, slot);
                self.keep_other_number(reference, slot);
                self.take_chunks(reference, slot);
                Some(slot)
            }
            Err(_) => {
                self.report.refused_series += 1;
                None
            }
        }
    }

    fn tombstones(
        &mut self,
        stones: Tombstones<'_>,
    ) -> Result<(), headwater_blockfmt::DecodeError> {
        // What is deleted must be there first: later samples are not meant.
        self.apply_samples();
        for stone in stones {
            let stone = stone?;
            match self.refs.get(stone.reference) {
                Some(slot) if stone.range == TimeRange::ALL => self.has_ended(slot),
                Some(slot) => {
                    if let Some(cell) = self.head.slots.get(slot) {
                        cell.lock().delete(stone.range);
                    }
                }
                // A snapshot of the head does not know it any more.
                None if stone.range == TimeRange::ALL => {}
                None => self.report.unknown_series += 1,
            }
        }
        Ok(())
    }

    /// All of time is deleted, where deletions keep to the samples that are there: the series is in
    /// a block and has left the head. If it comes back, it does so under another number.
    fn has_ended(&mut self, slot: u32) {
        if let Some(cell) = self.head.slots.get(slot) {
            let mut series = cell.lock();
            let log_ref = series.log_ref;
            series.begin_again(log_ref);
            self.mapped.forget(slot);
            self.report.ended.insert(slot);
        }
    }

    fn exemplars(
        &mut self,
        mut exemplars: Exemplars<'_>,
    ) -> Result<(), headwater_blockfmt::DecodeError> {
        let mut pairs = LabelPairs::new();
        while let Some(entry) = exemplars.next_into(&mut pairs)? {
            // Prometheus forgets them with the range that became a block.
            if entry.time < self.min_valid {
                continue;
            }
            let cell = self.refs.get(entry.reference);
            let Some(cell) = cell.and_then(|slot| self.head.slots.get(slot)) else {
                self.report.unknown_series += 1;
                continue;
            };
            let labels = cell.lock().labels.clone();
            let exemplar = Exemplar {
                labels: Labels::from_pairs(pairs.iter().copied()),
                value: entry.value,
                time: Some(entry.time),
            };
            self.head.exemplars.lock().push(&labels, exemplar);
        }
        Ok(())
    }

    fn metadata(&mut self, reference: u64, metadata: &Metadata) {
        let cell = self.refs.get(reference);
        let Some(cell) = cell.and_then(|slot| self.head.slots.get(slot)) else {
            self.report.unknown_series += 1;
            return;
        };
        let shared = self.head.intern_metadata(metadata);
        cell.lock().rare.get_or_insert_default().metadata = Some(shared);
    }

    fn index_later(&mut self, slot: u32, labels: Labels) {
        self.new_series.push((slot, labels));
        if self.new_series.len() >= INDEXED_TOGETHER {
            self.index_new_series();
        }
    }

    fn index_new_series(&mut self) {
        let series = std::mem::take(&mut self.new_series);
        if !series.is_empty() {
            self.pending.workers.other(Job::Index(series));
        }
    }

    /// Hands over everything and waits until it is in the head.
    fn apply_samples(&mut self) {
        self.index_new_series();
        self.pending.hand_over_all();
        self.pending.workers.finish();
        self.report.samples += self.pending.workers.take_applied();
    }
}
