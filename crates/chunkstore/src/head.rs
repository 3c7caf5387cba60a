//! The newest entries of a tenant, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_model::Labels;
use headwater_storage::Result;

use crate::merge::of_part;
use crate::part::PartWriter;
use crate::push::{PushEntry, PushStream};

/// Lines of a head block in bytes before it is closed: snapshots copy at most this much a stream.
const BLOCK_BYTES: usize = 64 << 10;
/// Entries of a head block: their metadata is numbered in 16 bits.
const BLOCK_ROWS: usize = 4096;
/// Sets of metadata with which a new one is compared: entries of a stream mostly have one of a few,
/// such as their levels.
const RECENT_SETS: usize = 8;

/// Entries of one stream in the order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadBlock {
    pub(crate) times: Vec<i64>,
    text: Vec<u8>,
    ends: Vec<u32>,
    /// Sets of metadata; empty if no entry has any. The first is the empty one.
    sets: Vec<Labels>,
    /// Which set each entry has; empty if no entry has any.
    numbers: Vec<u16>,
}

impl HeadBlock {
    /// A block that will be filled as the one before was.
    fn after(full: &Self) -> Self {
        let rows = full.times.len() + full.times.len() / 16;
        Self {
            times: Vec::with_capacity(rows),
            text: Vec::with_capacity(BLOCK_BYTES),
            ends: Vec::with_capacity(rows),
            sets: Vec::new(),
            numbers: Vec::with_capacity(if full.numbers.is_empty() { 0 } else { rows }),
        }
    }

    fn has_room(&self, line: usize) -> bool {
        self.times.is_empty()
            || (self.text.len() + line <= BLOCK_BYTES && self.times.len() < BLOCK_ROWS)
    }

    fn push(&mut self, entry: &PushEntry) {
        self.push_metadata(&entry.metadata);
        self.times.push(entry.time);
        self.text.extend_from_slice(&entry.line);
        self.ends.push(self.text.len() as u32);
    }

    fn push_metadata(&mut self, metadata: &Labels) {
        if self.numbers.is_empty() {
            if metadata.is_empty() {
                return;
            }
            self.sets.push(Labels::empty());
            self.numbers.resize(self.times.len(), 0);
        }
        let recent = self.sets.len().saturating_sub(RECENT_SETS);
        let known = self.sets[recent..].iter().rposition(|set| set == metadata);
        let number = match known {
            Some(at) => recent + at,
            None => {
                self.sets.push(metadata.clone());
                self.sets.len() - 1
            }
        };
        self.numbers.push(number as u16);
    }

    /// The structured metadata of an entry, if it has any.
    pub(crate) fn metadata(&self, row: usize) -> Option<&Labels> {
        let number = *self.numbers.get(row)?;
        (number > 0).then(|| &self.sets[usize::from(number)])
    }

    /// The oldest and the newest time; `None` if there is no entry.
    pub(crate) fn span(&self) -> Option<(i64, i64)> {
        Some((*self.times.iter().min()?, *self.times.iter().max()?))
    }

    pub(crate) fn line(&self, row: usize) -> &[u8] {
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.ends[before] as usize);
        &self.text[start..self.ends[row] as usize]
    }
}

/// One stream of a head.
#[derive(Debug, Default)]
struct HeadStream {
    closed: Vec<Arc<HeadBlock>>,
    open: HeadBlock,
}

impl HeadStream {
    fn push(&mut self, entry: &PushEntry) {
        if !self.open.has_room(entry.line.len()) {
            let next = HeadBlock::after(&self.open);
            let full = std::mem::replace(&mut self.open, next);
            self.closed.push(Arc::new(full));
        }
        self.open.push(entry);
    }

    fn snapshot(&self) -> Vec<Arc<HeadBlock>> {
        let mut blocks = self.closed.clone();
        if !self.open.times.is_empty() {
            blocks.push(Arc::new(self.open.clone()));
        }
        blocks
    }
}

/// All streams of a tenant that are not in a part yet.
#[derive(Debug, Default)]
pub(crate) struct Head {
    streams: BTreeMap<Labels, HeadStream>,
    bytes: usize,
    /// When the first entry was pushed, on the monotonic clock; `None` if there is none.
    pub(crate) first_push: Option<std::time::Duration>,
    /// When the newest entry was pushed, on the monotonic clock.
    pub(crate) last_push: std::time::Duration,
    /// The segment of the log from which on the entries are found there.
    pub(crate) first_segment: u64,
}

impl Head {
    /// Takes entries that lie in the log from `segment` on; answers how many bytes the head has grown by.
    pub(crate) fn push(
        &mut self,
        streams: &[PushStream],
        now: std::time::Duration,
        segment: u64,
    ) -> usize {
        let before = self.bytes;
        if self.streams.is_empty() {
            self.first_segment = segment;
        }
        self.first_segment = self.first_segment.min(segment);
        for stream in streams.iter().filter(|stream| !stream.entries.is_empty()) {
            if !self.streams.contains_key(&stream.labels) {
                self.streams
                    .insert(stream.labels.clone(), HeadStream::default());
            }
            let Some(head) = self.streams.get_mut(&stream.labels) else {
                continue;
            };
            for entry in &stream.entries {
                head.push(entry);
                self.bytes += entry.line.len()
                    + entry.metadata.packed_len()
                    + size_of::<i64>()
                    + size_of::<u32>();
            }
            self.first_push.get_or_insert(now);
        }
        self.last_push = now;
        self.bytes - before
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// The streams whose labels `wanted` accepts, with their entries as they are now.
    pub(crate) fn snapshot(
        &self,
        wanted: impl Fn(&Labels) -> bool,
    ) -> Vec<(Labels, Vec<Arc<HeadBlock>>)> {
        let found = self.streams.iter().filter(|(labels, _)| wanted(labels));
        found
            .map(|(labels, stream)| (labels.clone(), stream.snapshot()))
            .collect()
    }

    /// Labels of all streams.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &Labels> {
        self.streams.keys()
    }

    /// Writes the head to a part; `pass_on` is called after each stream.
    pub(crate) fn write(
        &self,
        mut writer: PartWriter,
        pass_on: &mut dyn FnMut(&mut PartWriter) -> Result<()>,
    ) -> Result<PartWriter> {
        let none = Labels::empty();
        let mut order: Vec<(i64, u32, u32)> = Vec::new();
        for (labels, stream) in &self.streams {
            writer.stream(labels).map_err(of_part)?;
            let open = Some(&stream.open).filter(|open| !open.times.is_empty());
            let closed = stream.closed.iter().map(|block| &**block);
            let blocks: Vec<&HeadBlock> = closed.chain(open).collect();
            order.clear();
            for (number, block) in blocks.iter().enumerate() {
                let rows = block.times.iter().enumerate();
                order.extend(rows.map(|(row, time)| (*time, number as u32, row as u32)));
            }
            // Block and row tell the order of arrival, which entries of one time keep.
            if !order.is_sorted_by_key(|(time, ..)| *time) {
                order.sort_unstable();
            }
            for (time, block, row) in &order {
                let (block, row) = (blocks[*block as usize], *row as usize);
                let metadata = block.metadata(row).unwrap_or(&none);
                writer
                    .push(*time, block.line(row), metadata)
                    .map_err(of_part)?;
            }
            pass_on(&mut writer)?;
        }
        Ok(writer)
    }
}
