//! Shortening the log.
//!
//! The older two thirds of the segments are read once more; what is still
//! needed of them becomes a checkpoint, and they are removed. A crash at any
//! point leaves a log that says the same.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::record::{
    ExemplarsWriter, FloatHistogramsWriter, HistogramsWriter, LabelPairs, MetadataEntry,
    MetadataWriter, Record, SampleEntry, SamplesWriter, SeriesWriter, TombstonesWriter,
};
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{Labels, Metadata, TimeRange, Timestamp};
use headwater_storage::Result;
use headwater_wal::{
    CheckpointWriter, SegmentDecoder, list_checkpoints, list_segments, remove_checkpoints_before,
    segment_path,
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
            min_time: self.head.times.min_valid(),
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
            let bytes = files
                .map(&segment_path(dir, segment))
                .map_err(error::file)?;
            let framing = log::framing(&self.options);
            let mut records = SegmentDecoder::new(framing, segment, &bytes);
            while let Some(record) = records.next_record() {
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
                let mut writer = SamplesWriter::new(&mut out);
                let kept = it.flatten().filter_map(|sample| {
                    let reference = self.kept(sample.reference, sample.time)?;
                    Some(SampleEntry {
                        reference,
                        ..sample
                    })
                });
                kept.map(|sample| writer.push(sample)).count() > 0
            }
            Record::Histograms(it) => {
                let (mut plain, mut bounds) = (
                    HistogramsWriter::new(&mut out),
                    HistogramsWriter::custom(&mut custom),
                );
                let mut any = false;
                for entry in it.flatten() {
                    let Some(reference) = self.kept(entry.reference, entry.time) else {
                        continue;
                    };
                    any |= entry.histogram.schema != CUSTOM_BUCKETS_SCHEMA;
                    let writer = match entry.histogram.schema {
                        CUSTOM_BUCKETS_SCHEMA => &mut bounds,
                        _ => &mut plain,
                    };
                    writer.push(reference, entry.time, 0, &entry.histogram);
                }
                any
            }
            Record::FloatHistograms(it) => {
                let (mut plain, mut bounds) = (
                    FloatHistogramsWriter::new(&mut out),
                    FloatHistogramsWriter::custom(&mut custom),
                );
                let mut any = false;
                for entry in it.flatten() {
                    let Some(reference) = self.kept(entry.reference, entry.time) else {
                        continue;
                    };
                    any |= entry.histogram.schema != CUSTOM_BUCKETS_SCHEMA;
                    let writer = match entry.histogram.schema {
                        CUSTOM_BUCKETS_SCHEMA => &mut bounds,
                        _ => &mut plain,
                    };
                    writer.push(reference, entry.time, 0, &entry.histogram);
                }
                any
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
