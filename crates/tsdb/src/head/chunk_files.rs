//! Finished chunks of the head on disk, so that they need not stay in memory.
//!
//! From time to time all finished chunks that are new are written to a file of
//! `chunks_head`, in Prometheus's format. A file that is full is synced and
//! mapped, and from then on its chunks are read from the map. Nothing relies
//! on these files: the log has every sample, so what is damaged or missing
//! here is replayed from there. A start takes the chunks from the files and
//! skips their samples in the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use hashbrown::HashMap;
use headwater_blockfmt::head_chunks::{self, NewChunk};
use headwater_blockfmt::{DecodeError, EncodedChunk};
use headwater_env::{FileWriter, Files, FilesExt, OpenMode};
use headwater_model::{TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result};

use super::Head;
use super::finished::{Finished, MappedFile};
use crate::chunk_snapshot::{self, ChunkFile};
use crate::error;

/// A file of this size is full. Prometheus's are eight times as large; what is
/// in a file that is not full takes memory.
const FILE_BYTES: u64 = 16 << 20;
const BUFFER: usize = 256 << 10;

/// The directory of head chunk files in a data directory.
pub(crate) fn dir(data: &Path) -> PathBuf {
    data.join("chunks_head")
}

pub(crate) fn file_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

/// Numbers of the files that there are, in order.
fn list(files: &dyn Files, dir: &Path) -> Result<Vec<u32>> {
    if !files.is_dir(dir) {
        return Ok(Vec::new());
    }
    let entries = files.list(dir).map_err(error::file)?;
    let numbers = entries.iter().filter(|e| !e.is_dir);
    let mut numbers: Vec<u32> = numbers.filter_map(|e| e.name.parse().ok()).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Chunks that files have of series, by the number of the series in the log.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) chunks: HashMap<u64, Vec<Finished>>,
    /// What is damaged. Its samples are in the log, too.
    pub(crate) damage: Vec<String>,
    full: Vec<FullFile>,
    next: u32,
}

/// Reads the chunks that end at `min_time` or later, several files at a time. At
/// the first damage the rest is given up and removed: a series of which one chunk
/// is lost must get the later ones from the log, too.
pub(crate) fn read(
    files: &dyn Files,
    dir: &Path,
    min_time: Timestamp,
    threads: usize,
) -> Result<Found> {
    let mut found = Found {
        next: 1,
        ..Found::default()
    };
    let numbers = list(files, dir)?;
    for (nth, together) in numbers.chunks(threads.max(1)).enumerate() {
        let all = read_together(files, dir, together, min_time);
        for (at, (number, one)) in together.iter().zip(all).enumerate() {
            let at = nth * threads.max(1) + at;
            let path = file_path(dir, *number);
            let missing = at > 0 && *number != found.next;
            let damage = match missing {
                true => Some((0, format!("the file before {} is missing", path.display()))),
                false => found.add(path, one?),
            };
            found.next = numbers.last().map_or(1, |last| last + 1);
            if let Some((sound_bytes, damage)) = damage {
                found.damage.push(damage);
                // A snapshot relies on what is now given up, also at a later start.
                chunk_snapshot::remove_all(files, dir.parent().unwrap_or(dir))?;
                give_up(files, dir, &numbers[at..], sound_bytes)?;
                return Ok(found);
            }
            found.next = number + 1;
        }
    }
    Ok(found)
}

/// Reads files side by side.
fn read_together(
    files: &dyn Files,
    dir: &Path,
    numbers: &[u32],
    min_time: Timestamp,
) -> Vec<Result<OneFile>> {
    let read = |number: &u32| read_file(files, &file_path(dir, *number), min_time);
    let [here, elsewhere @ ..] = numbers else {
        return Vec::new();
    };
    std::thread::scope(|scope| {
        let others = elsewhere.iter().map(|number| scope.spawn(|| read(number)));
        let others: Vec<_> = others.collect();
        let mut all = vec![read(here)];
        for (other, number) in others.into_iter().zip(elsewhere) {
            // A thread that could not do it has told why; here it may be told again.
            all.push(other.join().unwrap_or_else(|_| read(number)));
        }
        all
    })
}

/// Keeps the sound beginning of the first file, if it has one, and removes
/// the rest. The file is written anew: the old one is mapped.
fn give_up(files: &dyn Files, dir: &Path, numbers: &[u32], sound_bytes: usize) -> Result<()> {
    for (at, number) in numbers.iter().enumerate() {
        let path = file_path(dir, *number);
        if at == 0 && sound_bytes > head_chunks::HEADER_LEN {
            let bytes = files.map(&path).map_err(error::file)?;
            files
                .write_atomic(&path, &bytes[..sound_bytes])
                .map_err(error::file)?;
        } else {
            files.remove_file(&path).map_err(error::file)?;
        }
    }
    Ok(())
}

/// What is in a file.
#[derive(Debug, Default)]
struct OneFile {
    /// The numbers of series, and their chunks.
    chunks: Vec<(u64, Finished)>,
    max_time: Timestamp,
    sound_bytes: usize,
    /// What is wrong behind the sound bytes.
    damage: Option<String>,
}

impl Found {
    /// Adds what is in a file. If it is damaged, says how many bytes are sound
    /// and what is wrong behind them.
    fn add(&mut self, path: PathBuf, file: OneFile) -> Option<(usize, String)> {
        for (reference, chunk) in file.chunks {
            let chunks = self.chunks.entry(reference).or_default();
            // They become those of a series: few, and many lists of them.
            if chunks.len() == chunks.capacity() {
                chunks.reserve_exact(1 + chunks.len() / 4);
            }
            chunks.push(chunk);
        }
        if file.damage.is_none() || file.sound_bytes > 0 {
            let max_time = file.max_time;
            self.full.push(FullFile { path, max_time });
        }
        Some((file.sound_bytes, file.damage?))
    }
}

fn read_file(files: &dyn Files, path: &Path, min_time: Timestamp) -> Result<OneFile> {
    let region = files.map(path).map_err(error::file)?;
    let file = Bytes::from_owner(region.clone());
    let mapped = MappedFile::new(file.clone());
    let mut found = OneFile {
        max_time: Timestamp::MIN,
        ..OneFile::default()
    };
    let told = |error: DecodeError| Some(format!("{}: {error}", path.display()));
    let chunks = match head_chunks::chunks(&file) {
        Ok(chunks) => chunks,
        Err(error) => {
            found.damage = told(error);
            return Ok(found);
        }
    };
    for chunk in chunks {
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                found.damage = told(error);
                break;
            }
        };
        found.max_time = found.max_time.max(chunk.max_time);
        found.sound_bytes = chunk.end;
        // The log of late samples has what came out of order.
        if !chunk.out_of_order && chunk.max_time >= min_time {
            let times = TimeRange::new(chunk.min_time, chunk.max_time);
            let finished = Finished::in_file(&mapped, chunk.encoding, times, chunk.data);
            found.chunks.push((chunk.reference, finished));
        }
    }
    // All of it was read to see whether it is sound; queries want little of it.
    region.release();
    Ok(found)
}

/// A file that is not written to any more.
#[derive(Debug)]
struct FullFile {
    path: PathBuf,
    max_time: Timestamp,
}

/// A chunk that is in the file which is being written.
#[derive(Debug)]
struct Written {
    slot: u32,
    log_ref: u64,
    min_time: Timestamp,
    offset: usize,
    len: usize,
}

#[derive(Debug)]
struct Growing {
    path: PathBuf,
    writer: FileWriter,
    written: Vec<Written>,
    max_time: Timestamp,
    /// Of chunks, which are still in memory as well.
    bytes: u64,
}

/// Writes finished chunks to files and takes them out of memory.
#[derive(Debug)]
pub(crate) struct ChunkFiles {
    files: Arc<dyn Files>,
    dir: PathBuf,
    next: u32,
    full: Vec<FullFile>,
    growing: Option<Growing>,
    /// A file could not be written. No later ones are: a start would believe
    /// that nothing is missing before them.
    given_up: bool,
}

impl ChunkFiles {
    /// Goes on behind what was read.
    pub(crate) fn new(files: Arc<dyn Files>, dir: &Path, found: Found) -> ChunkFiles {
        ChunkFiles {
            files,
            dir: dir.to_path_buf(),
            next: found.next,
            full: found.full,
            growing: None,
            given_up: false,
        }
    }

    /// Writes all finished chunks of the head that are in no file yet.
    pub(crate) fn write_new(&mut self, head: &Head) -> Result<()> {
        if self.given_up {
            return Ok(());
        }
        let done = self.try_write_new(head);
        self.given_up = done.is_err();
        done
    }

    fn try_write_new(&mut self, head: &Head) -> Result<()> {
        for slot in 0..head.slots.len() {
            for (log_ref, chunk) in new_chunks(head, slot) {
                self.put(slot, log_ref, &chunk)?;
                let full = |g: &Growing| g.writer.position() >= FILE_BYTES;
                if self.growing.as_ref().is_some_and(full) {
                    self.finish(head)?;
                }
            }
        }
        let in_memory = self.growing.as_ref().map_or(0, |growing| growing.bytes);
        head.memory.written.store(in_memory, Ordering::Relaxed);
        match &mut self.growing {
            Some(growing) => growing.writer.write_out().map_err(error::file),
            None => Ok(()),
        }
    }

    fn put(&mut self, slot: u32, log_ref: u64, chunk: &EncodedChunk) -> Result<()> {
        if self.growing.is_none() {
            self.growing = Some(self.begin()?);
        }
        let Some(growing) = &mut self.growing else {
            return Ok(());
        };
        let mut bytes = Vec::with_capacity(chunk.data.len() + head_chunks::MAX_OVERHEAD);
        head_chunks::put_chunk(
            &mut bytes,
            &NewChunk {
                reference: log_ref,
                min_time: chunk.min_time,
                max_time: chunk.max_time,
                encoding: chunk.encoding,
                out_of_order: false,
                data: &chunk.data,
            },
        );
        growing.written.push(Written {
            slot,
            log_ref,
            min_time: chunk.min_time,
            offset: growing.writer.position() as usize,
            len: bytes.len(),
        });
        growing.max_time = growing.max_time.max(chunk.max_time);
        growing.bytes += chunk.data.len() as u64;
        growing.writer.put(&bytes).map_err(error::file)
    }

    fn begin(&mut self) -> Result<Growing> {
        self.files
            .create_dir_durable(&self.dir)
            .map_err(error::file)?;
        let path = file_path(&self.dir, self.next);
        self.next += 1;
        let file = self
            .files
            .open(&path, OpenMode::CreateNew)
            .map_err(error::file)?;
        let mut writer = FileWriter::new(file, 0, BUFFER);
        writer.put(&head_chunks::header()).map_err(error::file)?;
        Ok(Growing {
            path,
            writer,
            written: Vec::new(),
            max_time: Timestamp::MIN,
            bytes: 0,
        })
    }

    /// Syncs and maps the file; its chunks are read from the map from now on.
    fn finish(&mut self, head: &Head) -> Result<()> {
        let Some(growing) = self.growing.take() else {
            return Ok(());
        };
        growing.writer.finish().map_err(error::file)?;
        self.files.sync_dir(&self.dir).map_err(error::file)?;
        let region = self.files.map(&growing.path).map_err(error::file)?;
        let file = Bytes::from_owner(region.clone());
        let mapped = MappedFile::new(file.clone());
        for written in &growing.written {
            // What cannot be read back stays in memory.
            let end = written.offset + written.len;
            if file.len() >= end
                && let Ok(chunk) = head_chunks::read_chunk(&file, written.offset)
            {
                let times = TimeRange::new(chunk.min_time, chunk.max_time);
                let chunk = Finished::in_file(&mapped, chunk.encoding, times, chunk.data);
                replace(head, written, chunk);
            }
        }
        region.release();
        self.full.push(FullFile {
            path: growing.path,
            max_time: growing.max_time,
        });
        head.memory.written.store(0, Ordering::Relaxed);
        head.memory.has_shrunk();
        Ok(())
    }

    /// Writes all finished chunks that are in no file yet, and makes all files
    /// durable; says which there are. For a snapshot, which leaves out what is
    /// in them.
    pub(crate) fn make_durable(&mut self, head: &Head) -> Result<Vec<ChunkFile>> {
        self.write_new(head)?;
        if self.given_up {
            let what = "finished chunks could not be written to files";
            return Err(Error::new(ErrorKind::Io, what).at_path(&self.dir));
        }
        self.finish(head)?;
        let mut all = Vec::new();
        for file in &self.full {
            // One that an earlier process has left may never have been synced.
            let opened = self.files.open(&file.path, OpenMode::Write);
            let opened = opened.map_err(error::file)?;
            opened.sync().map_err(error::file)?;
            let name = file.path.file_name().unwrap_or_default();
            all.push(ChunkFile {
                number: name.to_string_lossy().parse().unwrap_or(0),
                bytes: opened.len().map_err(error::file)?,
                max_time: file.max_time,
            });
        }
        if !all.is_empty() {
            self.files.sync_dir(&self.dir).map_err(error::file)?;
        }
        Ok(all)
    }

    /// Removes files whose samples are all older than `time`.
    pub(crate) fn truncate_before(&mut self, time: Timestamp) -> Result<()> {
        // Oldest first and without gaps: a gap would look like damage.
        let old = self.full.iter().take_while(|file| file.max_time < time);
        let count = old.count();
        for file in self.full.drain(..count) {
            self.files.remove_file(&file.path).map_err(error::file)?;
        }
        Ok(())
    }
}

/// The finished chunks of a series that are in no file; they count as written
/// from now on.
fn new_chunks(head: &Head, slot: u32) -> Vec<(u64, EncodedChunk)> {
    let Some(cell) = head.slots.get(slot) else {
        return Vec::new();
    };
    let mut series = cell.lock();
    // A file may name a series only if the log introduces it.
    if !series.alive || !series.logged {
        return Vec::new();
    }
    let from = (series.in_files as usize).min(series.closed.len());
    let new = series.closed[from..].iter().map(Finished::encoded);
    let new: Vec<_> = new.collect();
    series.in_files = series.closed.len() as u32;
    let log_ref = series.log_ref;
    new.into_iter().map(|chunk| (log_ref, chunk)).collect()
}

fn replace(head: &Head, written: &Written, chunk: Finished) {
    let Some(cell) = head.slots.get(written.slot) else {
        return;
    };
    let mut series = cell.lock();
    if series.log_ref != written.log_ref {
        return;
    }
    let at = series
        .closed
        .binary_search_by_key(&written.min_time, Finished::min_time);
    if let Ok(at) = at
        && series.closed[at].data() == chunk.data()
    {
        series.closed[at] = chunk;
    }
}
