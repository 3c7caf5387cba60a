//! Records as they lie in the log, a block of them at a time.
//!
//! Reading, checking and decompressing are a third of a replay's work, and ask
//! nothing of the head: with more than one thread they run ahead of the rest,
//! reading and checking on one thread, decompressing on another.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use headwater_env::Files;
use headwater_storage::Result;
use headwater_wal::{Compression, Damage, Framing, SegmentReader, Stored, segment_path};

use crate::error;

/// Bytes of records, as the log has them, that go from hand to hand together,
/// unless one record alone is longer: what fits into a processor's own cache.
const BLOCK_BYTES: usize = 96 << 10;
/// Blocks that are read ahead, and as many that are decompressed.
const AHEAD: usize = 2;

/// A segment of a log.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) dir: Arc<Path>,
    pub(super) number: u64,
}

/// Records, decompressed, and the damage between them.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    pub(super) damage: Vec<(PathBuf, Damage)>,
    /// The segment of the last record.
    pub(super) segment: u64,
    /// How many bytes of the log follow.
    pub(super) bytes_left: u64,
}

impl Block {
    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends);
        ranges.map(|(start, end)| &self.bytes[start..*end])
    }
}

/// Records as they are stored, and the damage between them.
#[derive(Debug, Default)]
struct Packed {
    dir: Option<Arc<Path>>,
    bytes: Vec<u8>,
    records: Vec<(usize, Stored)>,
    damage: Vec<(PathBuf, Damage)>,
    segment: u64,
    bytes_left: u64,
}

impl Packed {
    fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.damage.clear();
        // Most blocks then grow no further: what they grow out of stays around.
        self.bytes.reserve(BLOCK_BYTES + BLOCK_BYTES / 2);
    }

    fn push(&mut self, bytes: &[u8], stored: Stored) {
        self.bytes.extend_from_slice(bytes);
        self.records.push((self.bytes.len(), stored));
    }

    /// Decompresses all records into a block in place of what is in it.
    fn unpack(&mut self, block: &mut Block) {
        block.bytes.clear();
        block.ends.clear();
        block.damage.clear();
        block.bytes.reserve(2 * self.bytes.len());
        (block.segment, block.bytes_left) = (self.segment, self.bytes_left);
        let mut start = 0;
        for (end, stored) in &self.records {
            match stored.unpack(&self.bytes[start..*end], &mut block.bytes) {
                Ok(()) => block.ends.push(block.bytes.len()),
                Err(damage) => {
                    let dir = self.dir.as_deref().unwrap_or(Path::new(""));
                    block.damage.push((dir.to_path_buf(), damage));
                }
            }
            start = *end;
        }
        block.damage.append(&mut self.damage);
    }
}

/// Reads segments one after the other.
#[derive(Debug)]
struct Reading {
    files: Arc<dyn Files>,
    segments: std::vec::IntoIter<Segment>,
    current: Option<(Arc<Path>, SegmentReader)>,
    bytes_left: u64,
}

impl Reading {
    fn new(files: &Arc<dyn Files>, segments: Vec<Segment>) -> Reading {
        // What cannot be told is told when the file is opened.
        let len = |s: &Segment| files.file_len(&segment_path(&s.dir, s.number));
        let lens = segments.iter().filter_map(|s| len(s).ok().flatten());
        Reading {
            bytes_left: lens.sum(),
            files: Arc::clone(files),
            segments: segments.into_iter(),
            current: None,
        }
    }

    /// Fills a block, with records of one segment; says whether there was
    /// anything left to read.
    fn fill(&mut self, block: &mut Packed) -> Result<bool> {
        block.clear();
        while block.records.is_empty() && block.damage.is_empty() {
            if self.current.is_none() {
                let Some(segment) = self.segments.next() else {
                    break;
                };
                let (files, dir) = (self.files.as_ref(), segment.dir);
                // A record says itself how it is compressed.
                let framing = Framing::Pages(Compression::None);
                let reader = SegmentReader::open(files, &dir, framing, segment.number);
                self.current = Some((dir, reader.map_err(error::log)?));
            }
            self.fill_from_current(block)?;
        }
        self.bytes_left = self.bytes_left.saturating_sub(block.bytes.len() as u64);
        block.bytes_left = self.bytes_left;
        Ok(!block.records.is_empty() || !block.damage.is_empty())
    }

    fn fill_from_current(&mut self, block: &mut Packed) -> Result<()> {
        let Some((dir, reader)) = &mut self.current else {
            return Ok(());
        };
        (block.segment, block.dir) = (reader.segment(), Some(Arc::clone(dir)));
        while let Some((bytes, stored)) = reader.next_stored().map_err(error::log)? {
            block.push(bytes, stored);
            if block.bytes.len() >= BLOCK_BYTES {
                return Ok(());
            }
        }
        let damage = reader.take_damage().into_iter();
        block.damage.extend(damage.map(|d| (dir.to_path_buf(), d)));
        self.current = None;
        Ok(())
    }
}

/// Gives the blocks of a list of segments.
#[derive(Debug)]
pub(super) struct Blocks {
    from: From,
}

#[derive(Debug)]
enum From {
    /// They are read when they are asked for.
    Here(Box<(Reading, Packed)>),
    /// Threads read them ahead.
    Ahead(Stage<Block>),
}

impl Blocks {
    /// `scope` is where threads may read ahead.
    pub(super) fn new<'s>(
        files: &Arc<dyn Files>,
        segments: Vec<Segment>,
        scope: Option<&'s Scope<'s, '_>>,
    ) -> Blocks {
        let reading = Reading::new(files, segments);
        let from = match scope {
            Some(scope) => From::Ahead(read_ahead(scope, reading)),
            None => From::Here(Box::new((reading, Packed::default()))),
        };
        Blocks { from }
    }

    /// Exchanges `block` for the next one; false if there is none.
    pub(super) fn next(&mut self, block: &mut Block) -> Result<bool> {
        match &mut self.from {
            From::Here(here) => {
                let (reading, packed) = &mut **here;
                let any = reading.fill(packed)?;
                packed.unpack(block);
                Ok(any)
            }
            From::Ahead(stage) => stage.next(block),
        }
    }
}

fn read_ahead<'s>(scope: &'s Scope<'s, '_>, mut reading: Reading) -> Stage<Block> {
    let mut packed = Stage::start(scope, move |packed| reading.fill(packed));
    let mut current = Packed::default();
    Stage::start(scope, move |block: &mut Block| {
        let any = packed.next(&mut current)?;
        current.unpack(block);
        Ok(any)
    })
}

/// What a thread makes ahead of the one that asks for it.
#[derive(Debug)]
struct Stage<T> {
    full: Receiver<Result<T>>,
    empty: SyncSender<T>,
}

impl<T: Default + Send + 'static> Stage<T> {
    /// `fill` is called until it says that there is nothing more.
    fn start<'s>(
        scope: &'s Scope<'s, '_>,
        mut fill: impl FnMut(&mut T) -> Result<bool> + Send + 's,
    ) -> Stage<T> {
        let (to_full, full) = sync_channel(AHEAD);
        let (empty, from_empty) = sync_channel::<T>(AHEAD + 2);
        scope.spawn(move || {
            loop {
                let mut one = from_empty.try_recv().unwrap_or_default();
                let sent = match fill(&mut one) {
                    Ok(true) => to_full.send(Ok(one)),
                    Ok(false) => return,
                    Err(error) => {
                        let _ = to_full.send(Err(error));
                        return;
                    }
                };
                // The one who asks for more has met an error.
                if sent.is_err() {
                    return;
                }
            }
        });
        Stage { full, empty }
    }

    /// Exchanges what was used for what comes next; false if nothing does.
    fn next(&mut self, used: &mut T) -> Result<bool> {
        let _ = self.empty.try_send(std::mem::take(used));
        let Ok(next) = self.full.recv() else {
            return Ok(false);
        };
        *used = next?;
        Ok(true)
    }
}
