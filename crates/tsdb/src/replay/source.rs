//! Records as they lie in the log, a block of them at a time.
//!
//! Reading, checking and decompressing are a third of a replay's work, and ask
//! nothing of the head: with more than one thread they run ahead of the rest.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use headwater_env::Files;
use headwater_storage::Result;
use headwater_wal::{Compression, Damage, Framing, SegmentReader};

use crate::error;

/// Bytes of records that go from hand to hand together, unless one record
/// alone is longer: what fits into a processor's own cache.
const BLOCK_BYTES: usize = 128 << 10;
/// Blocks that are read ahead.
const AHEAD: usize = 3;

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
}

impl Block {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.damage.clear();
    }

    fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(&self.ends);
        ranges.map(|(start, end)| &self.bytes[start..*end])
    }
}

/// Reads segments one after the other.
#[derive(Debug)]
struct Reading {
    files: Arc<dyn Files>,
    segments: std::vec::IntoIter<Segment>,
    current: Option<(Arc<Path>, SegmentReader)>,
}

impl Reading {
    /// Fills a block; says whether there was anything left to read.
    fn fill(&mut self, block: &mut Block) -> Result<bool> {
        block.clear();
        while block.bytes.len() < BLOCK_BYTES {
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
        Ok(!block.ends.is_empty() || !block.damage.is_empty())
    }

    fn fill_from_current(&mut self, block: &mut Block) -> Result<()> {
        let Some((dir, reader)) = &mut self.current else {
            return Ok(());
        };
        block.segment = reader.segment();
        while let Some(record) = reader.next_record().map_err(error::log)? {
            block.push(record);
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
    Here(Box<Reading>),
    /// A thread reads them ahead.
    Ahead {
        full: Receiver<Result<Block>>,
        empty: SyncSender<Block>,
    },
}

impl Blocks {
    /// `scope` is where a thread may read ahead.
    pub(super) fn new<'s>(
        files: &Arc<dyn Files>,
        segments: Vec<Segment>,
        scope: Option<&'s Scope<'s, '_>>,
    ) -> Blocks {
        let reading = Reading {
            files: Arc::clone(files),
            segments: segments.into_iter(),
            current: None,
        };
        let from = match scope {
            Some(scope) => read_ahead(scope, reading),
            None => From::Here(Box::new(reading)),
        };
        Blocks { from }
    }

    /// Exchanges `block` for the next one; false if there is none.
    pub(super) fn next(&mut self, block: &mut Block) -> Result<bool> {
        match &mut self.from {
            From::Here(reading) => reading.fill(block),
            From::Ahead { full, empty } => {
                let _ = empty.try_send(std::mem::take(block));
                let Ok(next) = full.recv() else {
                    return Ok(false);
                };
                *block = next?;
                Ok(true)
            }
        }
    }
}

fn read_ahead<'s>(scope: &'s Scope<'s, '_>, mut reading: Reading) -> From {
    let (to_full, full) = sync_channel(AHEAD);
    let (empty, from_empty) = sync_channel::<Block>(AHEAD + 2);
    scope.spawn(move || {
        loop {
            let mut block = from_empty.try_recv().unwrap_or_default();
            let sent = match reading.fill(&mut block) {
                Ok(true) => to_full.send(Ok(block)),
                Ok(false) => return,
                Err(error) => {
                    let _ = to_full.send(Err(error));
                    return;
                }
            };
            // The one who asks for blocks has met an error.
            if sent.is_err() {
                return;
            }
        }
    });
    From::Ahead { full, empty }
}
