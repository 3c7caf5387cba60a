use std::io;
use std::io::{Read, Write};

use crate::{File, Result};

/// Buffered sequential writing to a [`File`].
///
/// Call [`FileWriter::finish`] to write out and sync; dropping the writer
/// discards what is still buffered, because a destructor cannot report errors.
#[derive(Debug)]
pub struct FileWriter {
    file: Box<dyn File>,
    buf: Vec<u8>,
    capacity: usize,
    flushed: u64,
}

impl FileWriter {
    /// A writer that starts at `offset` and collects up to `capacity` bytes.
    pub fn new(file: Box<dyn File>, offset: u64, capacity: usize) -> FileWriter {
        FileWriter {
            file,
            buf: Vec::with_capacity(capacity),
            capacity,
            flushed: offset,
        }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> u64 {
        self.flushed + self.buf.len() as u64
    }

    /// Appends bytes.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buf.len() + bytes.len() > self.capacity {
            self.write_out()?;
        }
        if bytes.len() >= self.capacity {
            self.file.write_at(self.flushed, bytes)?;
            self.flushed += bytes.len() as u64;
        } else {
            self.buf.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Hands the buffered bytes to the file.
    pub fn write_out(&mut self) -> Result<()> {
        if !self.buf.is_empty() {
            self.file.write_at(self.flushed, &self.buf)?;
            self.flushed += self.buf.len() as u64;
            self.buf.clear();
        }
        Ok(())
    }

    /// Writes out, syncs and gives the file back.
    pub fn finish(mut self) -> Result<Box<dyn File>> {
        self.write_out()?;
        self.file.sync()?;
        Ok(self.file)
    }
}

impl Write for FileWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.put(buf)?;
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.write_out()?)
    }
}

/// Sequential reading from a [`File`], without a buffer of its own.
#[derive(Debug)]
pub struct FileReader {
    file: Box<dyn File>,
    offset: u64,
}

impl FileReader {
    /// A reader that starts at `offset`.
    pub fn new(file: Box<dyn File>, offset: u64) -> FileReader {
        FileReader { file, offset }
    }

    /// The offset of the next byte.
    pub fn position(&self) -> u64 {
        self.offset
    }
}

impl Read for FileReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(self.offset, buf)?;
        self.offset += n as u64;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Files, FilesExt, MemoryFiles, OpenMode};

    #[test]
    fn small_and_large_writes_keep_their_order() {
        let files = MemoryFiles::new();
        let path = Path::new("f");
        let file = files.open(path, OpenMode::CreateNew).unwrap();
        let mut writer = FileWriter::new(file, 0, 8);
        for part in [&b"abc"[..], b"defghijklmnop", b"q", b"rstuvw", b"xyz"] {
            writer.put(part).unwrap();
        }
        assert_eq!(writer.position(), 26);
        writer.finish().unwrap();
        assert_eq!(files.read(path).unwrap(), b"abcdefghijklmnopqrstuvwxyz");

        let mut text = String::new();
        let file = files.open(path, OpenMode::Read).unwrap();
        FileReader::new(file, 20).read_to_string(&mut text).unwrap();
        assert_eq!(text, "uvwxyz");
    }
}
