//! Blocks: immutable ranges of time on disk.
//!
//! `ulid` names them, `set` is the blocks of a store, `select` finds series in
//! one, `write` makes a new one, `salvage` reads a damaged one, `check`
//! compares what a block says of itself with what it has, `verify` reads all of
//! it.

mod check;
mod salvage;
pub(crate) mod select;
pub(crate) mod set;
pub(crate) mod ulid;
mod verify;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use headwater_blockfmt::index::ChunkMeta;
use headwater_blockfmt::meta::{Compaction, HINT_OUT_OF_ORDER, PARTIAL_HINTS};
use headwater_blockfmt::record::TombstoneEntry;
use headwater_blockfmt::segment::{self, ChunkRef, RawChunk};
use headwater_blockfmt::{BlockMeta, DecodeError, EncodedChunk, Index, tombstones};
use headwater_env::{Env, Files, FilesExt, Region};
use headwater_model::{Labels, TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result};
use parking_lot::{Mutex, RwLock};

use crate::error;
use crate::head::series::add_range;

/// Deleted ranges by series reference.
pub(crate) type Stones = BTreeMap<u32, Vec<TimeRange>>;

/// A block that is open for reading.
pub(crate) struct Block {
    pub(crate) dir: PathBuf,
    pub(crate) meta: BlockMeta,
    /// The first millisecond behind the samples, as far as a look at some series tells.
    data_end: Timestamp,
    pub(crate) index: Index<Region>,
    /// The chunk files, in order.
    chunks: Vec<Bytes>,
    stones: RwLock<Arc<Stones>>,
    pub(crate) bytes: u64,
    /// A merge has failed: it would fail again.
    merge_failed: AtomicBool,
    /// What is damaged and does not keep the rest from being served.
    pub(crate) damage: Vec<String>,
    /// Series that are lost with the index.
    pub(crate) lost_series: u64,
    /// What the index on disk calls the series, if `index` was built anew.
    originals: Option<BTreeMap<u32, u32>>,
    /// The block with an index built anew, once damage was found in this one; `None` if nothing
    /// could be saved.
    salvaged: OnceLock<Option<Arc<Block>>>,
    /// Chunks that were found to be damaged.
    bad_chunks: Mutex<BTreeSet<u64>>,
}

/// A hint of blocks that were made of what was sound in a damaged one, which is their parent.
pub(crate) const HINT_MENDED: &str = "mended";

/// Damaged chunks that a block remembers by their places.
const MOST_BAD_CHUNKS: usize = 10_000;

/// A block of which something is damaged, for people who look after a store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DamagedBlock {
    /// Its name.
    pub ulid: String,
    /// Its directory, which is left as it is until the block is mended.
    pub dir: PathBuf,
    /// Whether queries are answered from it.
    pub served: bool,
    /// Series that are served.
    pub series: u64,
    /// Series that are known to be lost.
    pub lost_series: u64,
    /// Chunks that reading has found to be damaged so far.
    pub damaged_chunks: u64,
    /// What is damaged.
    pub damage: Vec<String>,
}

fn damaged(path: &Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("{} is damaged: {cause}", path.display());
    Error::new(ErrorKind::Corrupt, message)
        .at_path(path)
        .because(cause)
}

impl Block {
    /// Opens the block in `dir`. Damage is noted; without any sound series there is nothing to
    /// serve, and that is an error.
    pub(crate) fn open(files: &dyn Files, dir: &Path) -> Result<Block> {
        let index_path = dir.join("index");
        let mut damage = Vec::new();
        let chunks = open_chunks(files, &dir.join("chunks"), &mut damage)?;
        let bytes = files.map(&index_path).map_err(error::file)?;
        let (mut originals, mut lost_series) = (None, 0);
        let index = match Index::open(bytes.clone()) {
            Ok(index) => index,
            Err(error) => {
                let rebuilt = salvage::rebuild(&bytes, &chunks);
                let rebuilt = rebuilt.ok_or_else(|| damaged(&index_path, error))?;
                damage.push(describe(&index_path, &rebuilt));
                (originals, lost_series) = (Some(rebuilt.originals), rebuilt.lost);
                rebuilt.index
            }
        };
        let mut meta = match read_meta(files, &dir.join("meta.json")) {
            Ok(meta) => meta,
            Err(error) => {
                damage.push(format!("{error}; the index says enough to serve the block"));
                meta_of_index(dir, &index).map_err(|e| damaged(&index_path, e))?
            }
        };
        let data_end = check::mend(&mut meta, dir, &index, &mut damage);
        check::lengths(dir, &index, &chunks, &mut damage);
        if originals.is_some() {
            let served = index.all_postings().map_or(0, |all| all.len() as u64);
            lost_series = lost_series.max(meta.stats.num_series.saturating_sub(served));
        }
        let deleted = meta.stats.num_tombstones > 0;
        let stones = read_stones(files, &dir.join("tombstones"), deleted, &mut damage)?;
        let stones = match &originals {
            Some(originals) => renamed(&stones, originals),
            None => stones,
        };
        Ok(Block {
            meta,
            data_end,
            index,
            chunks,
            stones: RwLock::new(Arc::new(stones)),
            bytes: files.dir_size(dir).map_err(error::file)?,
            dir: dir.to_path_buf(),
            // A merge would make for good what may still be mended.
            merge_failed: AtomicBool::new(!damage.is_empty()),
            damage,
            lost_series,
            originals,
            salvaged: OnceLock::new(),
            bad_chunks: Mutex::default(),
        })
    }

    /// The block as it is read best: with an index built anew, if damage was found in its own.
    pub(crate) fn best(self: &Arc<Block>) -> Arc<Block> {
        match self.salvaged.get() {
            Some(Some(salvaged)) => Arc::clone(salvaged),
            _ => Arc::clone(self),
        }
    }

    /// The block with an index built anew, after damage was found in its own. `None` if that was
    /// done already or saves nothing.
    pub(crate) fn salvage(&self) -> Option<Arc<Block>> {
        if self.originals.is_some() {
            return None;
        }
        let salvaged = self.salvaged.get_or_init(|| {
            self.leave_out_of_merges();
            let path = self.dir.join("index");
            let rebuilt = salvage::rebuild(self.index.bytes(), &self.chunks)?;
            let line = describe(&path, &rebuilt);
            tracing::error!("{line}");
            let mut damage = self.damage.clone();
            damage.push(line);
            let stones = renamed(&self.stones(), &rebuilt.originals);
            Some(Arc::new(Block {
                dir: self.dir.clone(),
                meta: self.meta.clone(),
                data_end: self.data_end,
                index: rebuilt.index,
                chunks: self.chunks.clone(),
                stones: RwLock::new(Arc::new(stones)),
                bytes: self.bytes,
                merge_failed: AtomicBool::new(true),
                damage,
                lost_series: rebuilt.lost,
                originals: Some(rebuilt.originals),
                salvaged: OnceLock::new(),
                bad_chunks: Mutex::default(),
            }))
        });
        salvaged.clone()
    }

    /// Asks the block; if its index turns out to be damaged, asks once more what can be saved of it.
    pub(crate) fn ask<T>(
        self: &Arc<Block>,
        warnings: &mut Vec<String>,
        question: impl Fn(&Arc<Block>) -> Result<T>,
    ) -> Result<T> {
        let best = self.best();
        best.warn_of_loss(warnings);
        match question(&best) {
            Err(error) if error.kind() == ErrorKind::Corrupt => match best.salvage() {
                Some(salvaged) => {
                    salvaged.warn_of_loss(warnings);
                    question(&salvaged)
                }
                None => Err(error),
            },
            answer => answer,
        }
    }

    fn warn_of_loss(&self, warnings: &mut Vec<String>) {
        if self.lost_series > 0 {
            let path = self.dir.join("index");
            let lost = self.lost_series;
            warnings.push(format!(
                "{} is damaged: {lost} series are lost",
                path.display()
            ));
        }
    }

    /// What is damaged, if anything is.
    pub(crate) fn state(self: &Arc<Block>) -> Option<DamagedBlock> {
        let best = self.best();
        let bad = |block: &Block| block.bad_chunks.lock().clone();
        let mut bad_chunks = bad(self);
        bad_chunks.extend(bad(&best));
        if best.damage.is_empty() && bad_chunks.is_empty() {
            return None;
        }
        let mut damage = best.damage.clone();
        if let Some(first) = bad_chunks.first() {
            let place = ChunkRef::from_u64(*first);
            let path = chunk_path(&self.dir.join("chunks"), place.segment + 1);
            let (count, at) = (bad_chunks.len(), place.offset);
            damage.push(format!(
                "{}: {count} damaged chunks, the first at byte {at}",
                path.display()
            ));
        }
        Some(DamagedBlock {
            ulid: self.meta.ulid.clone(),
            dir: self.dir.clone(),
            served: true,
            series: best.index.all_postings().map_or(0, |all| all.len() as u64),
            lost_series: best.lost_series,
            damaged_chunks: bad_chunks.len() as u64,
            damage,
        })
    }

    /// Where two blocks have a sample at the same time, that of the lower rank
    /// counts: what came in order before what came late, then what is older.
    pub(crate) fn rank(&self) -> (bool, i64, &str) {
        match self.meta.has_hint(HINT_OUT_OF_ORDER) {
            true => (true, 0, &self.meta.ulid),
            false => (false, self.meta.min_time, &self.meta.ulid),
        }
    }

    /// The hint of a block that has some series only, if it is one.
    pub(crate) fn part_of(&self) -> Option<&'static str> {
        let hints = PARTIAL_HINTS.into_iter();
        hints.into_iter().find(|hint| self.meta.has_hint(hint))
    }

    /// First to last millisecond that the block may have samples of.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.min_time, self.meta.max_time.saturating_sub(1))
    }

    /// The first millisecond of which the log may have samples that the block has not.
    pub(crate) fn end(&self, block_range: i64) -> Timestamp {
        let ranges = self.data_end.saturating_sub(1).div_euclid(block_range);
        let full = ranges.saturating_add(1).saturating_mul(block_range);
        self.meta.max_time.min(full)
    }

    /// Labels and chunks of a series.
    pub(crate) fn series(&self, reference: u32, chunks: &mut Vec<ChunkMeta>) -> Result<Labels> {
        let entry = self
            .index
            .series(reference)
            .map_err(|e| self.bad_index(e))?;
        let mut pairs = Vec::new();
        entry
            .read_into(&mut pairs, chunks)
            .map_err(|e| self.bad_index(e))?;
        Ok(Labels::from_ascending(&pairs))
    }

    /// The chunks of a series.
    pub(crate) fn chunks_of(&self, reference: u32, into: &mut Vec<ChunkMeta>) -> Result<()> {
        let entry = self.index.series(reference);
        let read = entry.and_then(|entry| entry.chunks_into(into));
        read.map_err(|e| self.bad_index(e))
    }

    pub(crate) fn bad_index(&self, cause: DecodeError) -> Error {
        damaged(&self.dir.join("index"), cause)
    }

    /// Reads a chunk, without copying it.
    pub(crate) fn chunk(&self, meta: &ChunkMeta) -> Result<EncodedChunk> {
        let (file, raw) = self.raw_chunk(meta)?;
        Ok(EncodedChunk {
            encoding: raw.encoding,
            min_time: meta.min_time,
            max_time: meta.max_time,
            data: file.slice_ref(raw.data),
        })
    }

    /// The same as it lies in its file, for one who is done with it at once: those who count users of
    /// one file on several cores wait for each other.
    pub(crate) fn raw_chunk(&self, meta: &ChunkMeta) -> Result<(&Bytes, RawChunk<'_>)> {
        self.read_chunk(meta)
            .inspect_err(|_| self.has_bad_chunk(meta))
    }

    fn has_bad_chunk(&self, meta: &ChunkMeta) {
        let mut bad = self.bad_chunks.lock();
        if bad.len() < MOST_BAD_CHUNKS && bad.insert(meta.reference) {
            drop(bad);
            self.leave_out_of_merges();
        }
    }

    /// Merges are made without this block from now on, until it is mended.
    pub(crate) fn leave_out_of_merges(&self) {
        if !self.merge_failed.swap(true, Ordering::Relaxed) {
            let ulid = &self.meta.ulid;
            tracing::warn!(%ulid, "a damaged block is left out of merges until it is mended");
        }
    }

    /// Whether merges are made without this block.
    pub(crate) fn is_left_out_of_merges(&self) -> bool {
        self.meta.compaction.failed || self.merge_failed.load(Ordering::Relaxed)
    }

    fn read_chunk(&self, meta: &ChunkMeta) -> Result<(&Bytes, RawChunk<'_>)> {
        let place = ChunkRef::from_u64(meta.reference);
        let path = || chunk_path(&self.dir.join("chunks"), place.segment + 1);
        let file = self.chunks.get(place.segment as usize).ok_or_else(|| {
            let message = format!("{} is missing", path().display());
            Error::new(ErrorKind::Corrupt, message).at_path(path())
        })?;
        let raw = segment::read_chunk(file, place.offset as usize);
        Ok((file, raw.map_err(|e| damaged(&path(), e))?))
    }

    /// What is deleted of the block's series.
    pub(crate) fn stones(&self) -> Arc<Stones> {
        Arc::clone(&self.stones.read())
    }

    /// Deletes ranges of series, for good once this returns.
    pub(crate) fn delete(
        &self,
        files: &dyn Files,
        deleted: impl IntoIterator<Item = (u32, TimeRange)>,
    ) -> Result<()> {
        let mut current = self.stones.write();
        let mut stones = (**current).clone();
        for (reference, range) in deleted {
            add_range(stones.entry(reference).or_default(), range);
        }
        let path = self.dir.join("tombstones");
        let file = match &self.originals {
            Some(originals) => encode_stones(&original(&stones, originals)),
            None => encode_stones(&stones),
        };
        files.write_atomic(&path, &file).map_err(error::file)?;
        self.count_stones(files, stones.values().map(Vec::len).sum());
        *current = Arc::new(stones);
        Ok(())
    }

    /// Notes in `meta.json` how much is deleted, so that the file that says what is missed if it is
    /// gone. What is deleted does not depend on it.
    fn count_stones(&self, files: &dyn Files, count: usize) {
        if !self.damage.is_empty() || self.originals.is_some() {
            return;
        }
        let mut meta = self.meta.clone();
        meta.stats.num_tombstones = count as u64;
        let path = self.dir.join("meta.json");
        if let Err(error) = files.write_atomic(&path, &meta.encode()) {
            tracing::warn!(%error, "the number of deletions cannot be noted");
        }
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

fn describe(index: &Path, rebuilt: &salvage::Rebuilt) -> String {
    let (path, lost) = (index.display(), rebuilt.lost);
    let (series, causes) = (rebuilt.originals.len(), rebuilt.damage.join("; "));
    let causes = match causes.is_empty() {
        true => "an entry".to_owned(),
        false => causes,
    };
    format!("{path} is damaged ({causes}): {series} series are served, {lost} are lost")
}

/// Deleted ranges by the names that series have in a new index.
fn renamed(stones: &Stones, originals: &BTreeMap<u32, u32>) -> Stones {
    let of = |(new, old): (&u32, &u32)| Some((*new, stones.get(old)?.clone()));
    originals.iter().filter_map(of).collect()
}

/// The way back from [`renamed`].
fn original(stones: &Stones, originals: &BTreeMap<u32, u32>) -> Stones {
    let of = |(new, ranges): (&u32, &Vec<TimeRange>)| Some((*originals.get(new)?, ranges.clone()));
    stones.iter().filter_map(of).collect()
}

/// The file of chunks with this number, counted from 1.
pub(crate) fn chunk_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

fn read_meta(files: &dyn Files, path: &Path) -> Result<BlockMeta> {
    let bytes = files.read(path).map_err(error::file)?;
    BlockMeta::decode(&bytes).map_err(|e| damaged(path, e))
}

/// A block of samples that were in no block before, all within `range`.
pub(crate) fn new_meta(env: &Env, range: TimeRange) -> BlockMeta {
    BlockMeta {
        min_time: range.start,
        max_time: range.end.saturating_add(1),
        ..first_level(ulid::new(env.clock.as_ref(), env.rng.as_ref()))
    }
}

/// A block that is its own source, and whose times are not known yet.
fn first_level(ulid: String) -> BlockMeta {
    BlockMeta {
        compaction: Compaction {
            level: 1,
            sources: vec![ulid.clone()],
            ..Compaction::default()
        },
        ulid,
        version: headwater_blockfmt::meta::VERSION,
        ..BlockMeta::default()
    }
}

/// What can be told of a block without its `meta.json`.
fn meta_of_index(dir: &Path, index: &Index<Region>) -> Result<BlockMeta, DecodeError> {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let mut meta = BlockMeta {
        min_time: i64::MAX,
        max_time: i64::MIN,
        ..first_level(name.unwrap_or_default())
    };
    let mut chunks = Vec::new();
    for reference in index.all_postings()?.iter() {
        index.series(reference)?.chunks_into(&mut chunks)?;
        for chunk in &chunks {
            meta.min_time = meta.min_time.min(chunk.min_time);
            meta.max_time = meta.max_time.max(chunk.max_time.saturating_add(1));
        }
        meta.stats.num_series += 1;
        meta.stats.num_chunks += chunks.len() as u64;
    }
    Ok(meta)
}

/// Opens chunk files 000001 and so on, up to the first that is missing.
fn open_chunks(files: &dyn Files, dir: &Path, damage: &mut Vec<String>) -> Result<Vec<Bytes>> {
    let mut out = Vec::new();
    for number in 1.. {
        let path = chunk_path(dir, number);
        if files.file_len(&path).map_err(error::file)?.is_none() {
            break;
        }
        let file = files.map(&path).map_err(error::file)?;
        // Every chunk has its own checksum, so the header is no reason to
        // distrust them.
        if let Err(error) = segment::check_header(&file) {
            damage.push(damaged(&path, error).to_string());
        }
        out.push(Bytes::from_owner(file));
    }
    if out.is_empty() {
        damage.push(format!("{} has no chunk files", dir.display()));
    }
    Ok(out)
}

/// Without its deletions a block shows what was deleted: that is better than
/// to show nothing, and it is said.
fn read_stones(
    files: &dyn Files,
    path: &Path,
    deleted: bool,
    damage: &mut Vec<String>,
) -> Result<Stones> {
    let mut stones = Stones::new();
    if files.is_dir(path) {
        let path = path.display();
        damage.push(format!(
            "{path} is a directory; deleted samples of this block are back"
        ));
        return Ok(stones);
    }
    if files.file_len(path).map_err(error::file)?.is_none() {
        let what = format!(
            "{} is missing; deleted samples of this block are back",
            path.display()
        );
        damage.extend(deleted.then_some(what));
        return Ok(stones);
    }
    let file = files.read(path).map_err(error::file)?;
    let entries = tombstones::decode(&file).unwrap_or_else(|error| {
        let error = damaged(path, error);
        damage.push(format!("{error}; deleted samples of this block are back"));
        Vec::new()
    });
    for entry in entries {
        // References of blocks have 32 bits; another one names no series.
        if let Ok(reference) = u32::try_from(entry.reference) {
            add_range(stones.entry(reference).or_default(), entry.range);
        }
    }
    Ok(stones)
}

pub(crate) fn encode_stones(stones: &Stones) -> Vec<u8> {
    let entries = stones.iter().flat_map(|(reference, ranges)| {
        ranges.iter().map(|range| TombstoneEntry {
            reference: u64::from(*reference),
            range: *range,
        })
    });
    tombstones::encode(entries)
}
