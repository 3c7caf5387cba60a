use std::path::Path;

use headwater_env::{File, Files, OpenMode};

use crate::decode::{Bytes, Scratch, Step, step, stored_step};
use crate::{Damage, Framing, Result, pages, segment_path};

/// How much is read at once; a record larger than this is read whole.
const READ_BYTES: usize = 256 << 10;

/// Reads the records of one segment from its file, skipping damage, with
/// memory for a stretch of it only: a segment may be larger than all that is
/// kept of it.
///
/// It finds what [`SegmentDecoder`](crate::SegmentDecoder) finds in the whole
/// segment, record for record and damage for damage.
///
/// ```
/// use std::{path::Path, sync::Arc};
/// use headwater_env::{Files, MemoryFiles};
/// use headwater_wal::{Config, SegmentReader, Wal};
///
/// let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
/// let dir = Path::new("log");
/// let config = Config::default();
/// let log = Wal::open(Arc::clone(&files), dir, config.clone())?;
/// log.append(&[b"one", b"two"])?;
///
/// let mut records = SegmentReader::open(files.as_ref(), dir, config.framing, 0)?;
/// assert_eq!(records.next_record()?, Some(&b"one"[..]));
/// assert_eq!(records.next_record()?, Some(&b"two"[..]));
/// assert_eq!(records.next_record()?, None);
/// # Ok::<(), headwater_wal::WalError>(())
/// ```
#[derive(Debug)]
pub struct SegmentReader {
    framing: Framing,
    segment: u64,
    file: Box<dyn File>,
    len: u64,
    /// Bytes of the segment from `base` on.
    buf: Vec<u8>,
    base: u64,
    /// Where the next record begins in `buf`.
    at: usize,
    scratch: Scratch,
    damage: Vec<Damage>,
}

/// What became of an attempt to read.
enum Attempt {
    Record(Bytes, Stored),
    More,
    End,
}

/// How a record is stored, and where: what it takes to decompress it
/// elsewhere, while its segment is read on.
#[derive(Clone, Copy, Debug)]
pub struct Stored {
    flags: u8,
    segment: u64,
    offset: u64,
    len: u64,
}

impl Stored {
    /// Appends the record, of which the segment has the bytes `stored`.
    ///
    /// # Errors
    /// It cannot be decompressed, and `out` is as it was.
    pub fn unpack(self, stored: &[u8], out: &mut Vec<u8>) -> std::result::Result<(), Damage> {
        pages::decompress(stored, self.flags, out).map_err(|reason| Damage {
            segment: self.segment,
            offset: self.offset,
            lost_bytes: self.len,
            reason,
        })
    }
}

impl SegmentReader {
    /// Opens segment number `segment` of the log in `dir`.
    ///
    /// # Errors
    /// The file is not there or cannot be opened.
    pub fn open(
        files: &dyn Files,
        dir: &Path,
        framing: Framing,
        segment: u64,
    ) -> Result<SegmentReader> {
        let file = files.open(&segment_path(dir, segment), OpenMode::Read)?;
        Ok(SegmentReader {
            framing,
            segment,
            len: file.len()?,
            file,
            buf: Vec::new(),
            base: 0,
            at: 0,
            scratch: Scratch::default(),
            damage: Vec::new(),
        })
    }

    /// The number of the segment.
    pub fn segment(&self) -> u64 {
        self.segment
    }

    /// The next record, or `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_record(&mut self) -> Result<Option<&[u8]>> {
        loop {
            match self.attempt(step)? {
                Attempt::More => {}
                Attempt::End => return Ok(None),
                Attempt::Record(bytes, _) => return Ok(Some(bytes.of(&self.buf, &self.scratch))),
            }
        }
    }

    /// The next record as it is stored, or `None` at the end. To decompress
    /// them takes most of the time that reading takes, and may be done elsewhere.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next_stored(&mut self) -> Result<Option<(&[u8], Stored)>> {
        loop {
            match self.attempt(stored_step)? {
                Attempt::More => {}
                Attempt::End => return Ok(None),
                Attempt::Record(bytes, stored) => {
                    return Ok(Some((bytes.of(&self.buf, &self.scratch), stored)));
                }
            }
        }
    }

    /// Takes the damage met since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    fn attempt(
        &mut self,
        step: impl Fn(Framing, &[u8], u64, usize, &mut Scratch) -> Step,
    ) -> Result<Attempt> {
        match step(
            self.framing,
            &self.buf,
            self.base,
            self.at,
            &mut self.scratch,
        ) {
            Step::Record {
                start,
                end,
                bytes,
                flags,
            } => {
                self.at = end;
                let stored = Stored {
                    flags,
                    segment: self.segment,
                    offset: self.base + start as u64,
                    len: (end - start) as u64,
                };
                Ok(Attempt::Record(bytes, stored))
            }
            Step::End if self.is_whole() => Ok(Attempt::End),
            Step::End => {
                self.skip_zeros();
                self.fill()
            }
            Step::Damage {
                start,
                resume,
                reason,
            } if self.is_final(resume) => {
                self.damage.push(Damage {
                    segment: self.segment,
                    offset: self.base + start as u64,
                    lost_bytes: (resume - start) as u64,
                    reason,
                });
                self.at = resume;
                Ok(Attempt::More)
            }
            // The buffer may end inside a record: read more before judging.
            Step::Damage { .. } => self.fill(),
        }
    }

    /// Whether the buffer reaches to the end of the segment.
    fn is_whole(&self) -> bool {
        self.base + self.buf.len() as u64 >= self.len
    }

    /// Whether more bytes would not change that there is damage up to
    /// `resume`: nothing behind the page of that was looked at.
    fn is_final(&self, resume: usize) -> bool {
        let judged_by_page = matches!(self.framing, Framing::Pages(_));
        self.is_whole() || (judged_by_page && resume + pages::PAGE <= self.buf.len())
    }

    /// Between the last record and the end of the buffer there is padding:
    /// the pages before the last one need not be looked at again.
    fn skip_zeros(&mut self) {
        if matches!(self.framing, Framing::Pages(_)) {
            let end = self.base + self.buf.len() as u64;
            let last_page = end - end % pages::PAGE as u64;
            self.at = self.at.max(last_page.saturating_sub(self.base) as usize);
        }
    }

    /// Drops what was read and reads on; at least twice as much as there is
    /// if that was too little for one record.
    fn fill(&mut self) -> Result<Attempt> {
        let kept = self.buf.len() - self.at;
        self.buf.copy_within(self.at.., 0);
        self.base += self.at as u64;
        self.at = 0;
        let left = usize::try_from(self.len - self.base).unwrap_or(usize::MAX);
        let want = kept.saturating_mul(2).max(READ_BYTES).min(left);
        self.buf.resize(want.max(kept), 0);
        let mut filled = kept;
        while filled < want {
            let offset = self.base + filled as u64;
            match self.file.read_at(offset, &mut self.buf[filled..want])? {
                // The file is shorter than it was.
                0 => self.len = offset,
                n => filled += n,
            }
            if self.base + filled as u64 >= self.len {
                break;
            }
        }
        self.buf.truncate(filled);
        Ok(Attempt::More)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_env::{FilesExt, MemoryFiles};
    use proptest::prelude::*;

    use super::*;
    use crate::{Compression, SegmentDecoder, SegmentWriter};

    const DIR: &str = "log";

    fn written(framing: Framing, lens: &[usize]) -> Vec<u8> {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let dir = Path::new(DIR);
        let mut writer = SegmentWriter::create(Arc::clone(&files), dir, framing, 64 << 20).unwrap();
        for (n, len) in lens.iter().enumerate() {
            let record: Vec<u8> = (0..*len).map(|at| (at * (n + 1) / 7) as u8).collect();
            writer.append(&[record]).unwrap();
        }
        files.read(&segment_path(dir, 0)).unwrap()
    }

    /// Both ways of reading find the same records and the same damage.
    fn check(framing: Framing, segment: &[u8]) -> (usize, Vec<Damage>) {
        let files = MemoryFiles::new();
        let dir = Path::new(DIR);
        files.create_dir_all(dir).unwrap();
        files.write_atomic(&segment_path(dir, 0), segment).unwrap();
        let mut whole = SegmentDecoder::new(framing, 0, segment);
        let mut reader = SegmentReader::open(&files, dir, framing, 0).unwrap();
        let mut count = 0;
        loop {
            let record = reader.next_record().unwrap();
            assert_eq!(record, whole.next_record(), "record {count}");
            if record.is_none() {
                break;
            }
            count += 1;
        }
        let damage = reader.take_damage();
        assert_eq!(damage, whole.damage());
        check_stored(&files, framing, segment, &damage);
        (count, damage)
    }

    /// What is decompressed elsewhere is the same, too.
    fn check_stored(files: &MemoryFiles, framing: Framing, segment: &[u8], wanted: &[Damage]) {
        let mut whole = SegmentDecoder::new(framing, 0, segment);
        let mut reader = SegmentReader::open(files, Path::new(DIR), framing, 0).unwrap();
        let (mut out, mut damage) = (b"before".to_vec(), Vec::new());
        while let Some((bytes, stored)) = reader.next_stored().unwrap() {
            out.truncate(6);
            match stored.unpack(bytes, &mut out) {
                Ok(()) => assert_eq!(Some(&out[6..]), whole.next_record()),
                Err(found) => damage.push(found),
            }
            assert!(out.starts_with(b"before"));
        }
        assert_eq!(whole.next_record(), None);
        damage.extend(reader.take_damage());
        damage.sort_by_key(|damage| damage.offset);
        assert_eq!(damage, wanted);
    }

    #[test]
    fn records_longer_than_a_stretch_come_back() {
        let lens = [10, READ_BYTES - 7, 3 * READ_BYTES, 0, 5, READ_BYTES + 1];
        for framing in [Framing::Pages(Compression::None), Framing::Frames] {
            let (count, damage) = check(framing, &written(framing, &lens));
            assert_eq!((count, damage), (lens.len(), Vec::new()));
        }
    }

    #[test]
    fn a_long_tail_of_zeros_is_not_kept() {
        let framing = Framing::Pages(Compression::Snappy);
        let mut segment = written(framing, &[100; 20]);
        segment.resize(20 * READ_BYTES, 0);
        let files = MemoryFiles::new();
        files.create_dir_all(Path::new(DIR)).unwrap();
        let path = segment_path(Path::new(DIR), 0);
        files.write_atomic(&path, &segment).unwrap();
        let mut reader = SegmentReader::open(&files, Path::new(DIR), framing, 0).unwrap();
        while reader.next_record().unwrap().is_some() {}
        assert!(reader.buf.capacity() <= 2 * READ_BYTES);
        assert_eq!(check(framing, &segment).0, 20);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn damage_is_found_where_it_is_in_the_whole(
            lens in proptest::collection::vec(0usize..90_000, 5..25),
            flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 0..4),
            cut in proptest::option::of(any::<prop::sample::Index>()),
            snappy: bool,
        ) {
            let compression = if snappy { Compression::Snappy } else { Compression::None };
            let framing = Framing::Pages(compression);
            let mut segment = written(framing, &lens);
            prop_assume!(!segment.is_empty());
            for (at, bit) in flips {
                let at = at.index(segment.len());
                segment[at] ^= 1 << bit;
            }
            if let Some(cut) = cut {
                segment.truncate(cut.index(segment.len()));
            }
            check(framing, &segment);
        }
    }
}
