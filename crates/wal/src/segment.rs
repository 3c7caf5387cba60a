use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{File, Files, FilesExt, OpenMode};

use crate::compress::{Compressor, MAX_RECORD};
use crate::{Compression, Framing, Position, Result, WalError, frames, list_segments, pages};

/// Writes segments from one thread, in order. [`Wal`](crate::Wal) puts
/// sharing and durability on top; checkpoints and repairs use it bare.
#[derive(Debug)]
pub struct SegmentWriter {
    files: Arc<dyn Files>,
    dir: PathBuf,
    framing: Framing,
    segment_bytes: u64,
    compressor: Compressor,
    file: Arc<dyn File>,
    at: Position,
    buf: Vec<u8>,
}

impl SegmentWriter {
    /// Begins the segment after the last one in `dir`, which is made if
    /// missing. Old segments are never written to again.
    pub fn create(
        files: Arc<dyn Files>,
        dir: &Path,
        framing: Framing,
        segment_bytes: u64,
    ) -> Result<SegmentWriter> {
        files.create_dir_durable(dir)?;
        let next = list_segments(files.as_ref(), dir)?
            .last()
            .map_or(0, |last| last + 1);
        SegmentWriter::create_at(files, dir, framing, segment_bytes, next)
    }

    pub(crate) fn create_at(
        files: Arc<dyn Files>,
        dir: &Path,
        framing: Framing,
        segment_bytes: u64,
        segment: u64,
    ) -> Result<SegmentWriter> {
        let file = create_segment(files.as_ref(), dir, segment)?;
        Ok(SegmentWriter {
            file,
            dir: dir.to_path_buf(),
            framing,
            segment_bytes: segment_bytes.max(pages::PAGE as u64),
            compressor: Compressor::new(match framing {
                Framing::Pages(compression) => compression,
                Framing::Frames => Compression::None,
            }),
            at: Position::start_of(segment),
            buf: Vec::new(),
            files,
        })
    }

    /// Where the next record goes.
    pub fn position(&self) -> Position {
        self.at
    }

    /// The file of the segment that is written to.
    pub(crate) fn file(&self) -> &Arc<dyn File> {
        &self.file
    }

    /// Writes records together: one write for all that fit into the segment.
    /// On an error none of the records of the last write are kept.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<Position> {
        self.append_with(records, &mut |_| {})
    }

    /// As `append`; `ended` is given every segment file that was finished.
    pub(crate) fn append_with<R: AsRef<[u8]>>(
        &mut self,
        records: &[R],
        ended: &mut dyn FnMut(Arc<dyn File>),
    ) -> Result<Position> {
        if let Some(record) = records.iter().find(|r| r.as_ref().len() > MAX_RECORD) {
            return Err(WalError::TooLarge {
                size: record.as_ref().len(),
                limit: MAX_RECORD,
            });
        }
        self.buf.clear();
        for record in records {
            let record = record.as_ref();
            if !self.fits(record.len()) {
                self.write_out()?;
                ended(self.next_segment()?);
            }
            let base = self.at.offset;
            match self.framing {
                Framing::Pages(_) => {
                    pages::encode(record, &mut self.compressor, base, &mut self.buf);
                }
                Framing::Frames => frames::encode(record, &mut self.buf),
            }
        }
        self.write_out()?;
        Ok(self.at)
    }

    fn fits(&self, len: usize) -> bool {
        let used = self.at.offset + self.buf.len() as u64;
        let need = match self.framing {
            Framing::Pages(_) => pages::encoded_len(len),
            Framing::Frames => (len + frames::HEADER) as u64,
        };
        // A record larger than a segment gets one of its own.
        used == 0 || used + need <= self.segment_bytes
    }

    fn write_out(&mut self) -> Result<()> {
        if self.buf.is_empty() {
            return Ok(());
        }
        if let Err(err) = self.file.write_at(self.at.offset, &self.buf) {
            self.buf.clear();
            // What a failed write left behind would look like damage to a
            // reader. If it cannot be cut off, the segment ends here and the
            // reader will skip its tail.
            if self.file.set_len(self.at.offset).is_err() {
                self.next_segment()?;
            }
            return Err(err.into());
        }
        self.at.offset += self.buf.len() as u64;
        self.buf.clear();
        Ok(())
    }

    /// Ends the segment, as if it were full, and gives its file to be synced.
    pub(crate) fn next_segment(&mut self) -> Result<Arc<dyn File>> {
        if matches!(self.framing, Framing::Pages(_)) {
            let padding = pages::padding(self.at.offset);
            self.file.write_at(self.at.offset, &vec![0; padding])?;
        }
        let next = self.at.segment + 1;
        let file = create_segment(self.files.as_ref(), &self.dir, next)?;
        self.at = Position::start_of(next);
        Ok(std::mem::replace(&mut self.file, file))
    }

    /// Makes everything written to the current segment durable. Segments
    /// that ended in `append` were synced then only by [`Wal`](crate::Wal).
    pub fn sync(&self) -> Result<()> {
        Ok(self.file.sync()?)
    }
}

fn create_segment(files: &dyn Files, dir: &Path, segment: u64) -> Result<Arc<dyn File>> {
    let path = crate::segment_path(dir, segment);
    let file = files.open(&path, OpenMode::CreateNew)?;
    // The name must be durable before anything in the file can be.
    files.sync_dir(dir)?;
    Ok(Arc::from(file))
}
