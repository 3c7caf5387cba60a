use std::sync::Arc;
use std::time::Duration;

use headwater_env::{File, OpenMode};

use crate::decode::{Scratch, Step, step};
use crate::log::Shared;
use crate::{Damage, DamageReason, Position, Result, WalError, list_segments, segment_path};

/// How much a follower reads at once; a record larger than this is read whole.
const READ_BYTES: usize = 256 << 10;

/// Follows a log from a position, skipping damage and reporting it.
///
/// A follower does not hold segments back: whoever truncates decides what
/// followers may still need. If its segment is gone, it says so.
#[derive(Debug)]
pub struct Follower {
    log: Arc<Shared>,
    at: Position,
    file: Option<(u64, Box<dyn File>)>,
    /// Bytes of the segment from `base` on.
    buf: Vec<u8>,
    base: u64,
    scratch: Scratch,
    damage: Vec<Damage>,
}

/// A record and where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The bytes that were appended.
    pub bytes: &'a [u8],
    /// Where to continue after it: what a cursor should remember.
    pub end: Position,
}

/// What became of an attempt to read.
enum Attempt {
    Record(crate::decode::Bytes),
    More,
    Nothing,
}

impl Follower {
    pub(crate) fn new(log: Arc<Shared>, from: Position) -> Follower {
        Follower {
            log,
            at: from,
            file: None,
            buf: Vec::new(),
            base: 0,
            scratch: Scratch::default(),
            damage: Vec::new(),
        }
    }

    /// Where the next record is looked for.
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next record, or `None` if there is none yet.
    pub fn try_next(&mut self) -> Result<Option<Record<'_>>> {
        loop {
            match self.attempt()? {
                Attempt::More => {}
                Attempt::Nothing => return Ok(None),
                Attempt::Record(bytes) => {
                    return Ok(Some(Record {
                        bytes: bytes.of(&self.buf, &self.scratch),
                        end: self.at,
                    }));
                }
            }
        }
    }

    /// Waits until a record may be there; false if the log was closed or the
    /// time is over.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        self.log.wait_for_more(self.at, timeout)
    }

    /// Takes the damage met since the last call.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        std::mem::take(&mut self.damage)
    }

    fn attempt(&mut self) -> Result<Attempt> {
        let written = self.log.written();
        if self.at >= written {
            return Ok(Attempt::Nothing);
        }
        let len = self.segment_len(written)?;
        let buffered = self.base + self.buf.len() as u64;
        let inside = (self.base..=buffered).contains(&self.at.offset);
        if !inside || (self.at.offset == buffered && buffered < len) {
            self.fill(len, READ_BYTES)?;
        }
        let whole = self.base + self.buf.len() as u64 >= len;
        let from = (self.at.offset - self.base) as usize;
        let framing = self.log.config().framing;
        match step(framing, &self.buf, self.base, from, &mut self.scratch) {
            Step::Record { end, bytes, .. } => {
                self.at.offset = self.base + end as u64;
                Ok(Attempt::Record(bytes))
            }
            // The buffer may end inside a record: read more before judging.
            Step::End | Step::Damage { .. } if !whole => {
                // A buffer that begins with the record is too small for it;
                // any other only has to begin with it.
                let larger = if from == 0 { self.buf.len() * 2 } else { 0 };
                self.fill(len, larger.max(READ_BYTES))?;
                Ok(Attempt::More)
            }
            Step::End => self.segment_ended(written),
            Step::Damage {
                start,
                resume,
                reason,
            } => {
                self.note_damage(start, resume, reason);
                Ok(Attempt::More)
            }
        }
    }

    fn note_damage(&mut self, start: usize, resume: usize, reason: DamageReason) {
        self.damage.push(Damage {
            segment: self.at.segment,
            offset: self.base + start as u64,
            lost_bytes: (resume - start) as u64,
            reason,
        });
        self.at.offset = self.base + resume as u64;
    }

    /// The end of the segment is the end of the log, or the next one begins.
    fn segment_ended(&mut self, written: Position) -> Result<Attempt> {
        if self.at.segment >= written.segment {
            return Ok(Attempt::Nothing);
        }
        let segments = list_segments(self.log.files().as_ref(), self.log.dir())?;
        let next = segments.into_iter().find(|s| *s > self.at.segment);
        self.at = Position::start_of(next.unwrap_or(written.segment));
        Ok(Attempt::More)
    }

    /// How many bytes of the current segment may be read.
    fn segment_len(&mut self, written: Position) -> Result<u64> {
        if self
            .file
            .as_ref()
            .is_none_or(|(s, _)| *s != self.at.segment)
        {
            self.open_segment()?;
        }
        match &self.file {
            _ if self.at.segment == written.segment => Ok(written.offset),
            Some((_, file)) => Ok(file.len()?),
            None => Ok(0),
        }
    }

    fn open_segment(&mut self) -> Result<()> {
        let segment = self.at.segment;
        let path = segment_path(self.log.dir(), segment);
        let file = match self.log.files().open(&path, OpenMode::Read) {
            Ok(file) => file,
            Err(err) if err.is_not_found() => {
                return Err(WalError::Gone {
                    dir: self.log.dir().to_path_buf(),
                    segment,
                });
            }
            Err(err) => return Err(err.into()),
        };
        self.file = Some((segment, file));
        self.buf.clear();
        self.base = self.at.offset;
        Ok(())
    }

    /// Makes the buffer begin at the current position and hold `want` bytes,
    /// if the segment has as many. What it holds already is not read again.
    fn fill(&mut self, segment_len: u64, want: usize) -> Result<()> {
        let Some((_, file)) = &self.file else {
            return Ok(());
        };
        let left = segment_len.saturating_sub(self.at.offset);
        let held = self.base..=self.base + self.buf.len() as u64;
        if held.contains(&self.at.offset) {
            self.buf.drain(..(self.at.offset - self.base) as usize);
        } else {
            self.buf.clear();
        }
        self.base = self.at.offset;
        let mut filled = self.buf.len();
        self.buf.resize(want.min(left as usize).max(filled), 0);
        while filled < self.buf.len() {
            match file.read_at(self.base + filled as u64, &mut self.buf[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        self.buf.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Wal};
    use headwater_env::MemoryFiles;

    #[test]
    fn a_long_backlog_is_read_with_a_small_buffer() {
        let files = Arc::new(MemoryFiles::new());
        let wal = Wal::open(files, "queue".as_ref(), Config::queue()).unwrap();
        let record = vec![7; 1000];
        for _ in 0..READ_BYTES / 100 {
            wal.append(&[&record]).unwrap();
        }
        let mut follower = wal.follow_all().unwrap();
        let mut read = 0;
        while follower.try_next().unwrap().is_some() {
            read += 1;
        }
        assert_eq!(read, READ_BYTES / 100);
        assert!(follower.buf.capacity() <= READ_BYTES);
    }
}
