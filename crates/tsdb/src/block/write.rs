//! Making a block.
//!
//! A block is written under a name that no store opens, synced file by file,
//! and renamed: a crash leaves the whole block or leftovers that the next
//! start removes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_blockfmt::index::{ChunkMeta, IndexWriter};
use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{BlockMeta, EncodedChunk, chunk, tombstones};
use headwater_env::{FileWriter, Files, FilesExt, OpenMode, release_regions};
use headwater_model::Labels;
use headwater_storage::{Error, ErrorKind, Result};

use super::chunk_path;
use crate::{error, strays};

/// The end of the name of a block that is being written.
pub(crate) const CREATING: &str = ".tmp-for-creation";
/// The end of the name of a block that is being removed.
pub(crate) const DELETING: &str = ".tmp-for-deletion";
/// What stands behind the name of a damaged block that a sound one has replaced. Neither this crate
/// nor Prometheus takes such a directory for a block, or for something to tidy up.
pub(crate) const ASIDE: &str = ".damaged";

const BUFFER: usize = 1 << 20;
/// After so many bytes of chunks, pages of the files that they came from are
/// given back: each is read once, and all of them would count as memory.
const RELEASE_EVERY: u64 = 8 << 20;

/// Writes one block: series in ascending order of labels.
pub(crate) struct BlockWriter {
    files: Arc<dyn Files>,
    /// The directory that holds blocks.
    root: PathBuf,
    tmp: PathBuf,
    meta: BlockMeta,
    chunks: Option<FileWriter>,
    chunk_files: u32,
    index: IndexWriter,
    index_file: FileWriter,
    buf: Vec<u8>,
}

fn bug(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!("cannot write a block: {cause}"),
    )
    .because(cause)
}

impl BlockWriter {
    /// Begins a block in `root`. `meta` says everything but the statistics;
    /// `symbols` are all texts of labels, ascending, each once.
    pub(crate) fn create<'s>(
        files: Arc<dyn Files>,
        root: &Path,
        meta: BlockMeta,
        symbols: impl IntoIterator<Item = &'s str>,
    ) -> Result<BlockWriter> {
        let tmp = root.join(format!("{}{CREATING}", meta.ulid));
        files
            .create_dir_all(&tmp.join("chunks"))
            .map_err(error::file)?;
        let index = files
            .open(&tmp.join("index"), OpenMode::CreateNew)
            .map_err(error::file)?;
        Ok(BlockWriter {
            files,
            root: root.to_path_buf(),
            tmp,
            meta,
            chunks: None,
            chunk_files: 0,
            index: IndexWriter::new(symbols).map_err(bug)?,
            index_file: FileWriter::new(index, 0, BUFFER),
            buf: Vec::new(),
        })
    }

    /// Adds a series with its chunks, which must not be empty.
    pub(crate) fn add(&mut self, labels: &Labels, chunks: &[EncodedChunk]) -> Result<()> {
        let metas = self.put_chunks(chunks)?;
        self.index.add_series(labels, &metas).map_err(bug)?;
        self.count_series()
    }

    /// The same with labels as numbers of symbols, counted from 0.
    pub(crate) fn add_numbered(
        &mut self,
        pairs: &[(u32, u32)],
        chunks: &[EncodedChunk],
    ) -> Result<()> {
        let metas = self.put_chunks(chunks)?;
        self.index.add_series_symbols(pairs, &metas).map_err(bug)?;
        self.count_series()
    }

    fn put_chunks(&mut self, chunks: &[EncodedChunk]) -> Result<Vec<ChunkMeta>> {
        chunks.iter().map(|chunk| self.put_chunk(chunk)).collect()
    }

    fn count_series(&mut self) -> Result<()> {
        self.meta.stats.num_series += 1;
        if self.index.pending() >= BUFFER {
            let part = self.index.take();
            self.index_file.put(&part).map_err(error::file)?;
        }
        Ok(())
    }

    fn put_chunk(&mut self, new: &EncodedChunk) -> Result<ChunkMeta> {
        let len = segment::encoded_len(new.data.len()) as u64;
        let full = |file: &FileWriter| file.position() + len > segment::MAX_SEGMENT_BYTES;
        if self.chunks.as_ref().is_none_or(full) {
            self.next_chunk_file()?;
        }
        let Some(file) = &mut self.chunks else {
            return Err(Error::new(ErrorKind::Internal, "a block has no chunk file"));
        };
        let place = ChunkRef {
            segment: self.chunk_files - 1,
            offset: file.position() as u32,
        };
        self.buf.clear();
        segment::put_chunk(&mut self.buf, new.encoding, &new.data);
        let before = file.position();
        file.put(&self.buf).map_err(error::file)?;
        if before / RELEASE_EVERY != file.position() / RELEASE_EVERY {
            release_regions();
        }
        self.count(new)?;
        Ok(ChunkMeta {
            min_time: new.min_time,
            max_time: new.max_time,
            reference: place.to_u64(),
        })
    }

    fn count(&mut self, new: &EncodedChunk) -> Result<()> {
        let samples = chunk::sample_count(new.encoding, &new.data).map_err(bug)? as u64;
        let stats = &mut self.meta.stats;
        stats.num_chunks += 1;
        stats.num_samples += samples;
        match new.encoding.is_histogram() {
            true => stats.num_histogram_samples += samples,
            false => stats.num_float_samples += samples,
        }
        Ok(())
    }

    fn next_chunk_file(&mut self) -> Result<()> {
        if let Some(file) = self.chunks.take() {
            file.finish().map_err(error::file)?;
        }
        self.chunk_files += 1;
        let path = chunk_path(&self.tmp.join("chunks"), self.chunk_files);
        let file = self
            .files
            .open(&path, OpenMode::CreateNew)
            .map_err(error::file)?;
        let mut file = FileWriter::new(file, 0, BUFFER);
        file.put(&segment::header()).map_err(error::file)?;
        self.chunks = Some(file);
        Ok(())
    }

    /// Gives the block its name, once all of it is durable. A block without
    /// series is not made.
    pub(crate) fn finish(mut self) -> Result<Option<BlockMeta>> {
        if self.meta.stats.num_series == 0 {
            self.files.remove_dir_all(&self.tmp).map_err(error::file)?;
            return Ok(None);
        }
        if let Some(file) = self.chunks.take() {
            file.finish().map_err(error::file)?;
        }
        let rest = self.index.finish().map_err(bug)?;
        self.index_file.put(&rest).map_err(error::file)?;
        self.index_file.finish().map_err(error::file)?;
        let files = &*self.files;
        let write = |name: &str, bytes: &[u8]| files.write_atomic(&self.tmp.join(name), bytes);
        write("tombstones", &tombstones::encode([])).map_err(error::file)?;
        write("meta.json", &self.meta.encode()).map_err(error::file)?;
        files
            .sync_dir(&self.tmp.join("chunks"))
            .and_then(|()| files.sync_dir(&self.tmp))
            .and_then(|()| files.rename(&self.tmp, &self.root.join(&self.meta.ulid)))
            .and_then(|()| files.sync_dir(&self.root))
            .map_err(error::file)?;
        release_regions();
        Ok(Some(self.meta))
    }
}

/// Removes a block, so that a crash in between leaves it whole or not at all.
pub(crate) fn remove_block(files: &dyn Files, dir: &Path) -> Result<()> {
    let mut gone = dir.as_os_str().to_owned();
    gone.push(DELETING);
    let gone = PathBuf::from(gone);
    files
        .rename(dir, &gone)
        .and_then(|()| files.remove_dir_all(&gone))
        .map_err(error::file)
}

/// Moves a damaged block out of the way, for good once this returns; answers where it is.
pub(crate) fn set_aside(files: &dyn Files, dir: &Path) -> Result<PathBuf> {
    // The same block may have been restored, and damaged once more.
    strays::rename(files, dir, ASIDE)
}

/// The block whose damaged directory this is the name of, if it is one that was set aside.
pub(crate) fn aside_of(name: &str) -> Option<&str> {
    let (ulid, count) = name.split_once(ASIDE)?;
    let numbered = |count: &str| {
        let digits = count.strip_prefix('.');
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
    };
    (super::ulid::is_ulid(ulid) && (count.is_empty() || numbered(count))).then_some(ulid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_are_set_aside() {
        let ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(aside_of(&format!("{ulid}.damaged")), Some(ulid));
        assert_eq!(aside_of(&format!("{ulid}.damaged.12")), Some(ulid));
        for name in [
            "wal.damaged",
            ulid,
            &format!("{ulid}.damagedish"),
            &format!("{ulid}.damaged.x"),
        ] {
            assert_eq!(aside_of(name), None, "{name}");
        }
    }
}
