//! Blocks: immutable ranges of time on disk.
//!
//! `ulid` names them, `set` is the blocks of a store, `select` finds series in
//! one, `write` makes a new one.

pub(crate) mod select;
pub(crate) mod set;
pub(crate) mod ulid;
pub(crate) mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use headwater_blockfmt::index::ChunkMeta;
use headwater_blockfmt::meta::{Compaction, HINT_OUT_OF_ORDER};
use headwater_blockfmt::record::TombstoneEntry;
use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{BlockMeta, DecodeError, EncodedChunk, Index, tombstones};
use headwater_env::{Files, FilesExt, Region};
use headwater_model::{Labels, TimeRange};
use headwater_storage::{Error, ErrorKind, Result};
use parking_lot::RwLock;

use crate::error;
use crate::head::series::add_range;

/// Deleted ranges by series reference.
pub(crate) type Stones = BTreeMap<u32, Vec<TimeRange>>;

/// A block that is open for reading.
pub(crate) struct Block {
    pub(crate) dir: PathBuf,
    pub(crate) meta: BlockMeta,
    pub(crate) index: Index<Region>,
    /// The chunk files, in order.
    chunks: Vec<Bytes>,
    stones: RwLock<Arc<Stones>>,
    pub(crate) bytes: u64,
    /// A merge has failed: it would fail again.
    pub(crate) merge_failed: AtomicBool,
    /// What is damaged and does not keep the rest from being served.
    pub(crate) damage: Vec<String>,
}

fn damaged(path: &Path, cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = format!("{} is damaged: {cause}", path.display());
    Error::new(ErrorKind::Corrupt, message)
        .at_path(path)
        .because(cause)
}

impl Block {
    /// Opens the block in `dir`. Without an index there is nothing to serve;
    /// damage of other files is noted.
    pub(crate) fn open(files: &dyn Files, dir: &Path) -> Result<Block> {
        let index_path = dir.join("index");
        let index = files.map(&index_path).map_err(error::file)?;
        let index = Index::open(index).map_err(|e| damaged(&index_path, e))?;
        let mut damage = Vec::new();
        let meta = match read_meta(files, &dir.join("meta.json")) {
            Ok(meta) => meta,
            Err(error) => {
                damage.push(format!("{error}; the index says enough to serve the block"));
                meta_of_index(dir, &index).map_err(|e| damaged(&index_path, e))?
            }
        };
        let chunks = open_chunks(files, &dir.join("chunks"), &mut damage)?;
        let stones = read_stones(files, &dir.join("tombstones"), &mut damage)?;
        Ok(Block {
            meta,
            index,
            chunks,
            stones: RwLock::new(Arc::new(stones)),
            bytes: files.dir_size(dir).map_err(error::file)?,
            dir: dir.to_path_buf(),
            merge_failed: AtomicBool::new(false),
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

    /// First to last millisecond that the block may have samples of.
    pub(crate) fn range(&self) -> TimeRange {
        TimeRange::new(self.meta.min_time, self.meta.max_time.saturating_sub(1))
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
        Ok(Labels::from_pairs(pairs))
    }

    pub(crate) fn bad_index(&self, cause: DecodeError) -> Error {
        damaged(&self.dir.join("index"), cause)
    }

    /// Reads a chunk, without copying it.
    pub(crate) fn chunk(&self, meta: &ChunkMeta) -> Result<EncodedChunk> {
        let place = ChunkRef::from_u64(meta.reference);
        let path = || chunk_path(&self.dir.join("chunks"), place.segment + 1);
        let file = self.chunks.get(place.segment as usize).ok_or_else(|| {
            let message = format!("{} is missing", path().display());
            Error::new(ErrorKind::Corrupt, message).at_path(path())
        })?;
        let raw =
            segment::read_chunk(file, place.offset as usize).map_err(|e| damaged(&path(), e))?;
        Ok(EncodedChunk {
            encoding: raw.encoding,
            min_time: meta.min_time,
            max_time: meta.max_time,
            data: file.slice_ref(raw.data),
        })
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
        let file = encode_stones(&stones);
        files.write_atomic(&path, &file).map_err(error::file)?;
        *current = Arc::new(stones);
        Ok(())
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block")
            .field("meta", &self.meta)
            .finish_non_exhaustive()
    }
}

/// The file of chunks with this number, counted from 1.
pub(crate) fn chunk_path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:06}"))
}

fn read_meta(files: &dyn Files, path: &Path) -> Result<BlockMeta> {
    let bytes = files.read(path).map_err(error::file)?;
    BlockMeta::decode(&bytes).map_err(|e| damaged(path, e))
}

/// What can be told of a block without its `meta.json`.
fn meta_of_index(dir: &Path, index: &Index<Region>) -> Result<BlockMeta, DecodeError> {
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let ulid = name.unwrap_or_default();
    let mut meta = BlockMeta {
        compaction: Compaction {
            level: 1,
            sources: vec![ulid.clone()],
            ..Compaction::default()
        },
        ulid,
        min_time: i64::MAX,
        max_time: i64::MIN,
        version: headwater_blockfmt::meta::VERSION,
        ..BlockMeta::default()
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
fn read_stones(files: &dyn Files, path: &Path, damage: &mut Vec<String>) -> Result<Stones> {
    let mut stones = Stones::new();
    if files.file_len(path).map_err(error::file)?.is_none() {
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
