//! Log files, plain and compressed, from a place on.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use super::journal::{HASHED, Position, hash};

/// A file being read.
#[derive(Debug)]
pub(super) enum Reader {
    Plain(File),
    Gzip(Box<MultiGzDecoder<File>>),
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Reader::Plain(file) => file.read(buffer),
            Reader::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

impl Reader {
    /// Opens a file; what ends in `.gz` is unpacked.
    pub(super) fn open(path: &Path) -> io::Result<Reader> {
        let file = File::open(path)?;
        Ok(
            if path.extension().is_some_and(|extension| extension == "gz") {
                Reader::Gzip(Box::new(MultiGzDecoder::new(file)))
            } else {
                Reader::Plain(file)
            },
        )
    }

    /// Goes to a place and returns the up to 500 bytes before it. `None` if
    /// the file is not that long.
    pub(super) fn seek_to(&mut self, place: u64) -> io::Result<Option<Vec<u8>>> {
        let before = place.min(HASHED as u64);
        let skipped = match self {
            Reader::Plain(file) => {
                file.seek(SeekFrom::Start(place - before))?;
                place - before
            }
            Reader::Gzip(decoder) => io::copy(&mut decoder.take(place - before), &mut io::sink())?,
        };
        let mut bytes = Vec::with_capacity(before as usize);
        self.take(before).read_to_end(&mut bytes)?;
        let whole = skipped == place - before && bytes.len() as u64 == before;
        Ok(whole.then_some(bytes))
    }

    /// Device and inode of the open file, and its length if it is plain.
    pub(super) fn state(&self) -> io::Result<((u64, u64), Option<u64>)> {
        let (file, plain) = match self {
            Reader::Plain(file) => (file, true),
            Reader::Gzip(decoder) => (decoder.get_ref(), false),
        };
        let metadata = file.metadata()?;
        Ok((
            (metadata.dev(), metadata.ino()),
            plain.then_some(metadata.len()),
        ))
    }
}

/// Opens `path` at a position of an earlier run, if it is the file that was
/// read then.
pub(super) fn open_at(path: &Path, position: &Position) -> Option<(Reader, Vec<u8>)> {
    let mut reader = Reader::open(path).ok()?;
    let before = reader.seek_to(position.seek).ok()??;
    (hash(&before) == position.last_hash).then_some((reader, before))
}
