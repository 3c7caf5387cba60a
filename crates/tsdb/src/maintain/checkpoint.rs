//! Shortening the log.
//!
//! The older two thirds of the segments are read once more; what is still
//! needed of them becomes a checkpoint, and they are removed. A crash at any
//! point leaves a log that says the same.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::record::{
    AnyHistogramEntry as HistogramOf, AnyHistograms, AnyHistogramsWriter, ExemplarsWriter,
    FloatHistogramEntry, FloatHistogramsWriter, HistogramEntry, HistogramsWriter, LabelPairs,
    MetadataEntry, MetadataWriter, Record, RecordedHistogram, SampleEntry, SamplesWriter,
    SeriesWriter, TombstonesWriter,
};
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{Labels, Metadata, TimeRange, Timestamp};
use headwater_storage::Result;
use headwater_wal::{
    CheckpointWriter, SegmentReader, list_checkpoints, list_segments, remove_checkpoints_before,
};
use roaring::RoaringTreemap;

use crate::db::Inner;
use crate::{error, log};

/// Bytes of records that are written together.
const BATCH: usize = 1 << 20;

impl Inner {
    /// Replaces the older two thirds of the log by a checkpoint.
    pub(super) fn shorten_log(&self) -> Result<()> {
        let wal = &self.log.wal;
        let segments = wal.segments().map_err(error::log)?;
        wal.cut().map_err(error::log)?;
        let (Some(&first), Some(&last)) = (segments.first(), segments.last()) else {
            return Ok(());
        };
        let upto = first + (last - first) * 2 / 3;
        if upto <= first {
            return Ok(());
        }
        self.write_checkpoint(upto)?;
        wal.truncate_before(upto + 1).map_err(error::log)?;
        remove_checkpoints_before(self.env.files.as_ref(), wal.dir(), upto).map_err(error::log)?;
        // The log does not name these any more.
        let mut departed = self.head.departed.lock();
        departed.retain(|_, departed| departed.until > upto);
        Ok(())
    }

    fn write_checkpoint(&self, upto: u64) -> Result<()> {
        let files = &self.env.files;
        let dir = self.log.wal.dir();
        let writer = CheckpointWriter::create(
            Arc::clone(files),
            dir,
            upto,
            log::framing(&self.options),
            self.options.segment_bytes,
        );
        let mut filter = Filter {
            needed: self.needed_refs(upto),
            renamed: self.renamed(),
            min_time: self.head.times.end_of_blocks(),
            writer: writer.map_err(error::log)?,
            batch: Vec::new(),
            batch_bytes: 0,
        };
        let old = list_checkpoints(files.as_ref(), dir)
            .map_err(error::log)?
            .pop();
        if let Some(old) = &old {
            self.read_log(&old.dir, 0..=u64::MAX, &mut filter)?;
        }
        let from = old.map_or(0, |old| old.upto + 1);
        self.read_log(dir, from..=upto, &mut filter)?;
        filter.flush()?;
        filter.writer.finish().map_err(error::log)?;
        Ok(())
    }

    fn read_log(
        &self,
        dir: &Path,
        segments: std::ops::RangeInclusive<u64>,
        filter: &mut Filter,
    ) -> Result<()> {
        let files = self.env.files.as_ref();
        let all = list_segments(files, dir).map_err(error::log)?;
        for segment in all.into_iter().filter(|s| segments.contains(s)) {
            // A stretch at a time: all of a mapped segment would count as memory.
            let framing = log::framing(&self.options);
            let records = SegmentReader::open(files, dir, framing, segment);
            let mut records = records.map_err(error::log)?;
            while let Some(record) = records.next_record().map_err(error::log)? {
                filter.record(record)?;
            }
        }
        Ok(())
    }

    /// Numbers whose series have come back under others.
    fn renamed(&self) -> HashMap<u64, u64> {
        let departed = self.head.departed.lock();
        let renamed = departed.iter().filter_map(|(old, d)| Some((*old, d.now?)));
        renamed.collect()
    }

    /// The numbers of series that the log must still introduce: those in the
    /// head, and those that later segments name.
    fn needed_refs(&self, upto: u64) -> RoaringTreemap {
        let departed = self.head.departed.lock();
        let mut needed: RoaringTreemap = departed
            .iter()
            .filter(|(_, departed)| departed.until > upto)
            .map(|(log_ref, _)| *log_ref)
            .collect();
        drop(departed);
        for slot in 0..self.head.slots.len() {
            if let Some(cell) = self.head.slots.get(slot) {
                let series = cell.lock();
                if series.alive {
                    needed.insert(series.log_ref);
                }
            }
        }
        needed
    }
}

/// Keeps what is needed of records.
struct Filter {
    needed: RoaringTreemap,
    /// The checkpoint says everything of a series under its newest number.
    renamed: HashMap<u64, u64>,
    min_time: Timestamp,
    writer: CheckpointWriter,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
}

impl Filter {
    fn record(&mut self, record: &[u8]) -> Result<()> {
        // What cannot be read any more was reported when the store was
        // opened; what this version does not know is not its to throw away.
        match Record::parse(record) {
            Ok(Record::Unknown(_)) => self.put(record.to_vec()),
            Ok(parsed) => {
                let kept = self.keep(parsed);
                kept.into_iter().try_for_each(|record| self.put(record))
            }
            Err(_) => Ok(()),
        }
    }

    fn put(&mut self, record: Vec<u8>) -> Result<()> {
        self.batch_bytes += record.len();
        self.batch.push(record);
        match self.batch_bytes >= BATCH {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let batch = std::mem::take(&mut self.batch);
        self.writer.append(&batch).map_err(error::log)
    }

    /// The number under which something of this time is kept, if it is.
    fn kept(&self, reference: u64, time: Timestamp) -> Option<u64> {
        let now = self.renamed.get(&reference).copied().unwrap_or(reference);
        (time >= self.min_time && self.needed.contains(now)).then_some(now)
    }

    /// The histograms that are needed, under their newest numbers.
    fn kept_histograms<H: RecordedHistogram>(
        &self,
        entries: AnyHistograms<'_, H>,
    ) -> Vec<HistogramOf<H>> {
        let kept = entries.flatten().filter_map(|entry| {
            let reference = self.kept(entry.reference, entry.time)?;
            Some(HistogramOf { reference, ..entry })
        });
        kept.collect()
    }

    /// The record without what is not needed; a record of histograms may
    /// become one of each type.
    fn keep(&self, record: Record<'_>) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let mut custom = Vec::new();
        let any = match record {
            Record::Series(mut it) => {
                let mut writer = SeriesWriter::new(&mut out);
                let (mut pairs, mut any) = (LabelPairs::new(), false);
                while let Ok(Some(reference)) = it.next_into(&mut pairs) {
                    if self.needed.contains(reference) {
                        writer.push(reference, &Labels::from_pairs(pairs.iter().copied()));
                        any = true;
                    }
                }
                any
            }
            Record::Samples(it) => {
                let kept = it.flatten().filter_map(|sample| {
                    let reference = self.kept(sample.reference, sample.time)?;
                    Some(SampleEntry {
                        reference,
                        ..sample
                    })
                });
                let kept: Vec<SampleEntry> = kept.collect();
                let mut writer = match kept.iter().any(|sample| sample.start != 0) {
                    true => SamplesWriter::with_starts(&mut out),
                    false => SamplesWriter::new(&mut out),
                };
                kept.iter().for_each(|sample| writer.push(*sample));
                !kept.is_empty()
            }
            Record::Histograms(it) => {
                let kept: Vec<HistogramEntry> = self.kept_histograms(it);
                if kept.iter().any(|entry| entry.start != 0) {
                    put_all(HistogramsWriter::with_starts(&mut out), &kept);
                    true
                } else {
                    let (bounds, plain) = by_bounds(kept, |h| h.schema);
                    put_all(HistogramsWriter::new(&mut out), &plain);
                    put_all(HistogramsWriter::custom(&mut custom), &bounds);
                    !plain.is_empty()
                }
            }
            Record::FloatHistograms(it) => {
                let kept: Vec<FloatHistogramEntry> = self.kept_histograms(it);
                if kept.iter().any(|entry| entry.start != 0) {
                    put_all(FloatHistogramsWriter::with_starts(&mut out), &kept);
                    true
                } else {
                    let (bounds, plain) = by_bounds(kept, |h| h.schema);
                    put_all(FloatHistogramsWriter::new(&mut out), &plain);
                    put_all(FloatHistogramsWriter::custom(&mut custom), &bounds);
                    !plain.is_empty()
                }
            }
            Record::Tombstones(it) => {
                let mut writer = TombstonesWriter::new(&mut out);
                let kept = it.flatten().filter_map(|stone| {
                    let reference = self.kept(stone.reference, stone.range.end)?;
                    Some((reference, stone.range))
                });
                let write = |(reference, range): (u64, TimeRange)| {
                    writer.push(reference, range.start, range.end);
                };
                kept.map(write).count() > 0
            }
            Record::Exemplars(mut it) => {
                let mut writer = ExemplarsWriter::new(&mut out);
                let (mut pairs, mut any) = (LabelPairs::new(), false);
                while let Ok(Some(mut exemplar)) = it.next_into(&mut pairs) {
                    if let Some(reference) = self.kept(exemplar.reference, exemplar.time) {
                        exemplar.reference = reference;
                        writer.push(exemplar, &Labels::from_pairs(pairs.iter().copied()));
                        any = true;
                    }
                }
                any
            }
            Record::Metadata(it) => {
                let mut writer = MetadataWriter::new(&mut out);
                let kept = it.flatten().filter_map(|m| {
                    let reference = self.kept(m.reference, Timestamp::MAX)?;
                    Some(MetadataEntry { reference, ..m })
                });
                let write = |entry: MetadataEntry<'_>| {
                    let metadata = Metadata {
                        metric_type: entry.metric_type,
                        unit: entry.unit.to_owned(),
                        help: entry.help.to_owned(),
                    };
                    writer.push(entry.reference, &metadata);
                };
                kept.map(write).count() > 0
            }
            _ => false,
        };
        let custom = (custom.len() > 1).then_some(custom);
        any.then_some(out).into_iter().chain(custom).collect()
    }
}

fn put_all<H: RecordedHistogram>(
    mut writer: AnyHistogramsWriter<'_, H>,
    entries: &[HistogramOf<H>],
) {
    for entry in entries {
        writer.push(entry.reference, entry.time, entry.start, &entry.histogram);
    }
}

/// Histograms with custom bounds and those without: each have a record type.
fn by_bounds<H>(
    entries: Vec<HistogramOf<H>>,
    schema: impl Fn(&H) -> i32,
) -> (Vec<HistogramOf<H>>, Vec<HistogramOf<H>>) {
    entries
        .into_iter()
        .partition(|entry| schema(&entry.histogram) == CUSTOM_BUCKETS_SCHEMA)
}
