//! Writing a snapshot.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::record::{ExemplarEntry, MetadataWriter, TombstoneEntry};
use headwater_blockfmt::snapshot::{self, LastValue, MAX_EXEMPLARS_PER_RECORD, SnapshotChunk};
use headwater_env::FilesExt;
use headwater_model::Labels;
use headwater_storage::Result;
use headwater_wal::WholeLogWriter;

use super::{CONTENTS, Contents, PREFIX, find};
use crate::db::Inner;
use crate::head::Head;
use crate::head::open_chunk::{Growing, OpenChunk};
use crate::{error, log};

/// Bytes of records that are written together.
const BATCH: usize = 1 << 20;
/// Series whose metadata goes into one record of the log.
const METADATA_ENTRIES: usize = 4096;

impl Inner {
    /// Writes the head down. The caller sees to it that nothing is committed
    /// meanwhile, nor any block made.
    ///
    /// What the snapshot relies on is durable before it has its name.
    pub(crate) fn write_chunk_snapshot(&self) -> Result<()> {
        let chunk_files = self.chunk_files.lock().make_durable(&self.head)?;
        let wal = &self.log.wal;
        // It stands for whole segments, so that any reader may begin behind
        // it without looking at pages.
        let segment = wal.cut().map_err(error::log)?;
        self.log_metadata()?;
        self.log.sync().map_err(error::log)?;
        let dir = self.dir.join(format!("{PREFIX}{segment:06}.{:010}", 0));
        let mut out = Out::create(self, &dir)?;
        self.put_series(&mut out)?;
        self.put_exemplars(&mut out)?;
        let contents = Contents {
            records: out.finish_records()?,
            chunk_files,
        };
        let path = out.log.unfinished_dir().join(CONTENTS);
        let files = self.env.files.as_ref();
        files
            .write_atomic(&path, contents.to_text().as_bytes())
            .map_err(error::file)?;
        out.log.finish().map_err(error::log)?;
        find::remove_others(files, &self.dir, Some(&dir))?;
        tracing::info!(
            records = contents.records,
            segment,
            "chunk snapshot written"
        );
        Ok(())
    }

    /// Snapshots have no place for metadata: the log says it once more, behind
    /// the place that the snapshot stands for.
    fn log_metadata(&self) -> Result<()> {
        let mut entries = Vec::new();
        for slot in 0..self.head.slots.len() {
            let Some(cell) = self.head.slots.get(slot) else {
                continue;
            };
            let series = cell.lock();
            let metadata = series.rare.as_ref().and_then(|rare| rare.metadata.clone());
            if let Some(metadata) = metadata.filter(|_| series.alive && series.logged) {
                entries.push((series.log_ref, metadata));
            }
        }
        for entries in entries.chunks(METADATA_ENTRIES) {
            let mut record = Vec::new();
            let mut writer = MetadataWriter::new(&mut record);
            for (log_ref, metadata) in entries {
                writer.push(*log_ref, metadata);
            }
            self.log.wal.append(&[record]).map_err(error::log)?;
        }
        Ok(())
    }

    /// All series, then what is deleted of them.
    fn put_series(&self, out: &mut Out) -> Result<()> {
        let aliases = aliases(&self.head);
        let mut stones = Vec::new();
        for slot in 0..self.head.slots.len() {
            let Some(cell) = self.head.slots.get(slot) else {
                continue;
            };
            let series = cell.lock();
            // What the log does not know, nobody has relied on yet.
            if !series.alive || !series.logged {
                continue;
            }
            let data = series.open.growing.to_bytes();
            let chunk = growing_chunk(&series.open, &data);
            out.put(|record| {
                snapshot::put_series(record, series.log_ref, &series.labels, chunk.as_ref());
            })?;
            for old in aliases.get(&series.log_ref).into_iter().flatten() {
                out.put(|record| snapshot::put_series(record, *old, &series.labels, None))?;
            }
            let reference = series.log_ref;
            let deleted = series.deleted().iter();
            stones.extend(deleted.map(|range| TombstoneEntry {
                reference,
                range: *range,
            }));
        }
        // There is always one such record: if it is missing, so is more.
        out.put(|record| snapshot::put_tombstones(record, stones))
    }

    fn put_exemplars(&self, out: &mut Out) -> Result<()> {
        let ring = self.head.exemplars.lock();
        let mut entries: Vec<(ExemplarEntry, &Labels)> = Vec::new();
        for (labels, exemplar) in ring.iter() {
            let Some(reference) = self.log_ref_of(labels) else {
                continue;
            };
            let entry = ExemplarEntry {
                reference,
                time: exemplar.time.unwrap_or_default(),
                value: exemplar.value,
            };
            entries.push((entry, &exemplar.labels));
        }
        for entries in entries.chunks(MAX_EXEMPLARS_PER_RECORD) {
            out.put(|record| snapshot::put_exemplars(record, entries.iter().copied()))?;
        }
        Ok(())
    }

    fn log_ref_of(&self, labels: &Labels) -> Option<u64> {
        let slot = self.head.find(labels)?;
        let series = self.head.slots.get(slot)?.lock();
        (series.alive && series.logged && series.labels == *labels).then_some(series.log_ref)
    }
}

/// Earlier numbers of series, by their present one: the log of late samples
/// may name them.
fn aliases(head: &Head) -> HashMap<u64, Vec<u64>> {
    let mut aliases: HashMap<u64, Vec<u64>> = HashMap::new();
    for (old, departed) in head.departed.lock().iter() {
        if let Some(now) = departed.now {
            aliases.entry(now).or_default().push(*old);
        }
    }
    aliases
}

fn growing_chunk<'d>(open: &OpenChunk, data: &'d [u8]) -> Option<SnapshotChunk<'d>> {
    let last = match &open.growing {
        Growing::None => return None,
        Growing::Floats(it) => LastValue::Float(it.last_value()),
        Growing::Floats2(it) => LastValue::Float(it.last_value()),
        Growing::Integer(it) => LastValue::Histogram(Box::new(it.last()?)),
        Growing::Float(it) => LastValue::FloatHistogram(Box::new(it.last()?)),
    };
    Some(SnapshotChunk {
        min_time: open.min_time,
        max_time: open.growing.last_time(),
        encoding: open.growing.encoding(),
        data,
        last,
    })
}

/// The records of a snapshot on their way to its file.
struct Out {
    log: WholeLogWriter,
    batch: Vec<Vec<u8>>,
    batch_bytes: usize,
    records: u64,
}

impl Out {
    fn create(inner: &Inner, dir: &Path) -> Result<Out> {
        let log = WholeLogWriter::create(
            Arc::clone(&inner.env.files),
            dir,
            log::framing(&inner.options),
            inner.options.segment_bytes,
        );
        Ok(Out {
            log: log.map_err(error::log)?,
            batch: Vec::new(),
            batch_bytes: 0,
            records: 0,
        })
    }

    fn put(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut record = Vec::new();
        write(&mut record);
        self.batch_bytes += record.len();
        self.batch.push(record);
        self.records += 1;
        match self.batch_bytes >= BATCH {
            true => self.write_out(),
            false => Ok(()),
        }
    }

    fn write_out(&mut self) -> Result<()> {
        self.batch_bytes = 0;
        let done = self.log.append(&self.batch).map_err(error::log);
        self.batch.clear();
        done
    }

    /// Writes what is left; says how many records there are.
    fn finish_records(&mut self) -> Result<u64> {
        self.write_out()?;
        Ok(self.records)
    }
}
