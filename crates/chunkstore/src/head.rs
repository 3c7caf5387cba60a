//! The newest entries of a tenant, in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use headwater_model::Labels;

use crate::part::{PartError, PartOptions, PartWriter};
use crate::push::{PushEntry, PushStream};

/// Lines of a head block in bytes before it is closed: snapshots copy at most this much a stream.
const BLOCK_BYTES: usize = 64 << 10;

/// Entries of one stream in the order of arrival.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeadBlock {
    pub(crate) times: Vec<i64>,
    pub(crate) text: Vec<u8>,
    pub(crate) ends: Vec<u32>,
    /// Metadata of entries that have any, by position.
    pub(crate) metadata: BTreeMap<u32, Labels>,
}

impl HeadBlock {
    fn push(&mut self, entry: &PushEntry) {
        if !entry.metadata.is_empty() {
            self.metadata
                .insert(self.times.len() as u32, entry.metadata.clone());
        }
        self.times.push(entry.time);
        self.text.extend_from_slice(&entry.line);
        self.ends.push(self.text.len() as u32);
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
        if !self.open.times.is_empty() && self.open.text.len() + entry.line.len() > BLOCK_BYTES {
            self.closed.push(Arc::new(std::mem::take(&mut self.open)));
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
}

impl Head {
    /// Takes entries; answers how many bytes the head has grown by.
    pub(crate) fn push(&mut self, streams: &[PushStream], now: std::time::Duration) -> usize {
        let before = self.bytes;
        for stream in streams.iter().filter(|stream| !stream.entries.is_empty()) {
            let head = self.streams.entry(stream.labels.clone()).or_default();
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

    /// The head as a part.
    pub(crate) fn to_part(&self, options: PartOptions) -> Result<Vec<u8>, PartError> {
        let mut writer = PartWriter::new(options)?;
        let none = Labels::empty();
        for (labels, stream) in &self.streams {
            writer.stream(labels)?;
            let blocks = stream.snapshot();
            let rows = |(at, block): (usize, &Arc<HeadBlock>)| {
                (0..block.times.len())
                    .map(move |row| (at, row))
                    .collect::<Vec<_>>()
            };
            let mut order: Vec<(usize, usize)> = blocks.iter().enumerate().flat_map(rows).collect();
            // A stable sort keeps entries of one time in the order in which they came.
            order.sort_by_key(|(block, row)| blocks[*block].times[*row]);
            for (block, row) in order {
                let block = &blocks[block];
                let metadata = block.metadata.get(&(row as u32)).unwrap_or(&none);
                writer.push(block.times[row], block.line(row), metadata)?;
            }
        }
        writer.finish()
    }
}
