//! Reading head and blocks as one store.

mod parts;

use std::sync::Arc;

use hashbrown::HashMap;
use headwater_blockfmt::{EncodedChunk, encode_columns_with};
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_storage::{ChunkCursor, Result, SelectHints, SeriesCursor, merge_columns};

use crate::block::Block;
use crate::head::cursor::View;
use crate::head::rules::as_before;
use parts::Part;
pub(crate) use parts::{Loaded, TimeSpan};

/// A series with the places where its samples are, oldest first.
#[derive(Debug)]
pub(crate) struct Found {
    labels: Labels,
    parts: Vec<Part>,
}

/// Finds the series that fulfil the matchers in blocks and head.
///
/// Where several parts have series they come sorted, as from Prometheus's merge of its parts: sums
/// over values near the ends of the floats show the order in which they were added. Each block has its
/// series in order already, so that sorting means little more than looking at them once.
pub(crate) fn find(
    blocks: &[Arc<Block>],
    view: &View,
    slots: &[u32],
    matchers: &[Matcher],
    hints: &SelectHints,
) -> Result<(Vec<Found>, Vec<String>)> {
    let mut merged = Merged::default();
    let mut warnings = Vec::new();
    for block in blocks {
        let range = view.range();
        let found = block.ask(&mut warnings, |block| find_in_block(block, range, matchers));
        match found {
            Ok(found) => found
                .into_iter()
                .for_each(|(labels, part)| merged.add(labels, part)),
            // One damaged block must not hide what the others have.
            Err(error) => warnings.push(error.to_string()),
        }
    }
    for slot in slots {
        if let Some(labels) = view.labels(*slot) {
            merged.add(labels, Part::Head(*slot));
        }
    }
    let mut found = merged.found;
    if hints.sorted || !blocks.is_empty() {
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    if hints.limit > 0 {
        found.truncate(hints.limit);
    }
    Ok((found, warnings))
}

/// Series in the order in which they were found first, with the parts of each.
#[derive(Default)]
struct Merged {
    found: Vec<Found>,
    known: HashMap<Labels, usize>,
}

impl Merged {
    fn add(&mut self, labels: Labels, part: Part) {
        let next = self.found.len();
        let at = *self.known.entry(labels.clone()).or_insert(next);
        match self.found.get_mut(at) {
            Some(found) => found.parts.push(part),
            None => self.found.push(Found {
                labels,
                parts: vec![part],
            }),
        }
    }
}

fn find_in_block(
    block: &Arc<Block>,
    range: TimeRange,
    matchers: &[Matcher],
) -> Result<Vec<(Labels, Part)>> {
    let stones = block.stones();
    let mut metas = Vec::new();
    let mut out = Vec::new();
    for reference in block.matching(matchers)? {
        let labels = block.series(reference, &mut metas)?;
        let chunks: Vec<_> = metas
            .iter()
            .filter(|chunk| chunk.range().overlaps(&range))
            .copied()
            .collect();
        if !chunks.is_empty() {
            let part = Part::Block {
                block: Arc::clone(block),
                chunks,
                deleted: stones.get(&reference).cloned().unwrap_or_default(),
            };
            out.push((labels, part));
        }
    }
    Ok(out)
}

/// Walks over series of head and blocks.
pub(crate) struct StoreCursor {
    view: View,
    series: std::vec::IntoIter<Found>,
    current: Option<Found>,
    reader: Reader,
    warnings: Vec<String>,
}

impl StoreCursor {
    pub(crate) fn new(view: View, series: Vec<Found>, warnings: Vec<String>) -> StoreCursor {
        StoreCursor {
            view,
            series: series.into_iter(),
            current: None,
            reader: Reader::default(),
            warnings,
        }
    }
}

impl SeriesCursor for StoreCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.current = self.series.next();
        Ok(self.current.as_ref().map(|found| found.labels.clone()))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        match self.current.take() {
            Some(found) => {
                if let [Part::Head(slot)] = found.parts[..]
                    && let Some((time, value)) = self.view.newest_float(slot)
                {
                    into.floats.push(time, value);
                    return Ok(());
                }
                self.reader.read(&self.view, &found, into)
            }
            None => Ok(()),
        }
    }

    fn split(mut self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        let size = self.series.len().div_ceil(parts.max(1)).max(1);
        let mut out: Vec<Box<dyn SeriesCursor>> = Vec::new();
        loop {
            let part: Vec<Found> = self.series.by_ref().take(size).collect();
            if part.is_empty() && !out.is_empty() {
                return out;
            }
            let warnings = std::mem::take(&mut self.warnings);
            out.push(Box::new(StoreCursor::new(
                self.view.clone(),
                part,
                warnings,
            )));
        }
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.series.len())
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.append(&mut self.reader.warnings);
        std::mem::take(&mut self.warnings)
    }
}

/// Walks over the chunks of series of head and blocks.
pub(crate) struct StoreChunkCursor {
    view: View,
    series: std::vec::IntoIter<Found>,
    current: Option<Found>,
    reader: Reader,
    warnings: Vec<String>,
}

impl StoreChunkCursor {
    /// `series` must be sorted by labels.
    pub(crate) fn new(view: View, series: Vec<Found>, warnings: Vec<String>) -> StoreChunkCursor {
        StoreChunkCursor {
            view,
            series: series.into_iter(),
            current: None,
            reader: Reader::default(),
            warnings,
        }
    }
}

impl ChunkCursor for StoreChunkCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.current = self.series.next();
        Ok(self.current.as_ref().map(|found| found.labels.clone()))
    }

    fn read(&mut self, into: &mut Vec<EncodedChunk>) -> Result<()> {
        into.clear();
        match self.current.take() {
            Some(found) => self.reader.chunks(&self.view, &found, into),
            None => Ok(()),
        }
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.warnings.append(&mut self.reader.warnings);
        std::mem::take(&mut self.warnings)
    }
}

/// Reads series part by part, with memory that is used again.
#[derive(Debug, Default)]
struct Reader {
    loaded: Vec<Loaded>,
    columns: Vec<SeriesColumns>,
    warnings: Vec<String>,
}

impl Reader {
    fn load(&mut self, view: &View, found: &Found) {
        self.loaded.clear();
        for part in &found.parts {
            self.loaded.push(part.load(view, &mut self.warnings));
        }
        self.loaded.retain(|loaded| !loaded.is_empty());
    }

    fn read(&mut self, view: &View, found: &Found, into: &mut SeriesColumns) -> Result<()> {
        self.load(view, found);
        let labels = &found.labels;
        if self.in_order() && self.loaded.iter().all(Loaded::is_plain) {
            return self.loaded.iter().try_for_each(|l| l.decode(labels, into));
        }
        self.columns
            .resize_with(self.loaded.len(), Default::default);
        for (loaded, columns) in self.loaded.iter().zip(&mut self.columns) {
            columns.clear();
            loaded.decode(labels, columns)?;
        }
        merge_columns(&self.columns[..self.loaded.len()], into);
        Ok(())
    }

    /// Whether each part begins after the one before ends.
    fn in_order(&self) -> bool {
        self.loaded.windows(2).all(|pair| {
            let (first, second) = (pair[0].times(), pair[1].times());
            matches!((first, second), (Some(a), Some(b)) if a.end < b.start)
        })
    }

    fn chunks(&mut self, view: &View, found: &Found, into: &mut Vec<EncodedChunk>) -> Result<()> {
        self.load(view, found);
        let labels = &found.labels;
        for loaded in &self.loaded {
            loaded.take_chunks(labels, into)?;
        }
        into.sort_by_key(|chunk| (chunk.min_time, chunk.max_time));
        Ok(())
    }
}

/// Chunks without the samples that are deleted or may not be seen.
fn rewritten(loaded: &Loaded, labels: &Labels, chunk: &EncodedChunk) -> Result<Vec<EncodedChunk>> {
    let mut columns = SeriesColumns::default();
    loaded.decode_chunk(labels, chunk, &mut columns)?;
    Ok(encode_columns_with(&columns, as_before([chunk])))
}
