//! Several blocks become one.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use headwater_blockfmt::meta::{BlockDesc, Compaction, PARTIAL_HINTS};
use headwater_blockfmt::{BlockMeta, EncodedChunk, decode, encode_columns_with};
use headwater_model::{Labels, SeriesColumns, TimeRange};
use headwater_storage::{ErrorKind, Result, merge_columns};

use super::plan::{Candidate, plan, ranges};
use crate::block::write::BlockWriter;
use crate::block::{Block, Stones, set, ulid};
use crate::db::{Db, Inner};
use crate::head::cursor::damaged as damaged_series;
use crate::head::rules::as_before;
use crate::read::{Loaded, TimeSpan};

impl Inner {
    /// Merges the blocks that are due next, if there are any.
    ///
    /// Blocks that have some series only are merged among themselves: one with
    /// all series and one of these would pass for one with all.
    pub(super) fn merge_next(&self) -> Result<Next> {
        for part in [None].into_iter().chain(PARTIAL_HINTS.map(Some)) {
            match self.merge_next_of(part)? {
                Next::Nothing => {}
                done => return Ok(done),
            }
        }
        Ok(Next::Nothing)
    }

    fn merge_next_of(&self, part: Option<&'static str>) -> Result<Next> {
        let mut blocks = self.blocks.all().to_vec();
        blocks.retain(|block| block.part_of() == part);
        let candidates: Vec<Candidate> = blocks
            .iter()
            .map(|block| Candidate {
                min_time: block.meta.min_time,
                max_time: block.meta.max_time,
                failed: block.is_left_out_of_merges(),
            })
            .collect();
        let spans = ranges(self.options.block_range, self.options.max_block_range);
        let chosen = plan(&candidates, &spans);
        if chosen.is_empty() {
            return Ok(Next::Nothing);
        }
        let old: Vec<Arc<Block>> = chosen.iter().map(|at| Arc::clone(&blocks[*at])).collect();
        let new = match merge(self, &old) {
            Ok(new) => new,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                // What is damaged must not be lost for good, nor be tried every minute: the block
                // goes on as it is, and the others are merged without it.
                tracing::error!(%error, "blocks cannot be merged");
                set::remove_leftovers(self.env.files.as_ref(), &self.dir)?;
                if !old.iter().any(|block| block.is_left_out_of_merges()) {
                    old.iter().for_each(|block| block.leave_out_of_merges());
                }
                return Ok(Next::Damaged);
            }
            Err(error) => return Err(error),
        };
        let names: Vec<String> = new.iter().map(|meta| meta.ulid.clone()).collect();
        tracing::info!(blocks = old.len(), into = ?names, "blocks merged");
        self.serve(&names, &old)?;
        Ok(Next::Merged)
    }
}

impl Db {
    /// Writes blocks anew that have deleted samples, so that these are gone
    /// from disk as well; says how many blocks that were.
    ///
    /// # Errors
    /// Files could not be read or written; what was done before stays done.
    pub fn clean_tombstones(&self) -> Result<usize> {
        let inner = &*self.inner;
        let _maintenance = inner.maintenance.lock();
        let mut cleaned = 0;
        for block in inner.blocks.all().iter() {
            // Of a damaged block nothing is thrown away; what was deleted stays hidden.
            if block.stones().is_empty() || block.is_left_out_of_merges() {
                continue;
            }
            let old = [Arc::clone(block)];
            let new = match merge(inner, &old) {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    // One damaged block does not keep the others from being cleaned.
                    tracing::error!(%error, "a block cannot be cleaned");
                    set::remove_leftovers(inner.env.files.as_ref(), &inner.dir)?;
                    block.leave_out_of_merges();
                    continue;
                }
                done => done?,
            };
            let names: Vec<String> = new.iter().map(|meta| meta.ulid.clone()).collect();
            inner.serve(&names, &old)?;
            cleaned += 1;
        }
        Ok(cleaned)
    }
}

/// What the planner's next decision has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing is due.
    Nothing,
    /// Blocks have become one.
    Merged,
    /// One of the blocks turned out to be damaged: the next decision is made without it.
    Damaged,
}

/// What becomes of chunks that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damaged {
    /// They are an error.
    Refused,
    /// They are left out.
    LeftOut,
}

fn merge(inner: &Inner, blocks: &[Arc<Block>]) -> Result<Option<BlockMeta>> {
    let meta = merged_meta(inner, blocks);
    write(inner, blocks, meta, Damaged::Refused)
}

/// Writes one block that has what these have; `None` if that is nothing.
pub(super) fn write(
    inner: &Inner,
    blocks: &[Arc<Block>],
    meta: BlockMeta,
    damaged: Damaged,
) -> Result<Option<BlockMeta>> {
    let symbols: BTreeSet<&str> = blocks.iter().flat_map(|b| b.index.symbols()).collect();
    let files = Arc::clone(&inner.env.files);
    let mut writer = BlockWriter::create(files, &inner.dir, meta, symbols)?;
    let mut by_rank: Vec<&Arc<Block>> = blocks.iter().collect();
    by_rank.sort_by(|a, b| a.rank().cmp(&b.rank()));
    let mut sources: Vec<Source<'_>> = by_rank
        .into_iter()
        .map(|block| Source::new(block, damaged))
        .collect::<Result<_>>()?;
    let mut chunks = Vec::new();
    while let Some(labels) = sources
        .iter()
        .filter_map(|s| s.labels.as_ref())
        .min()
        .cloned()
    {
        let mut parts = Vec::new();
        for (rank, source) in sources.iter_mut().enumerate() {
            if source.labels.as_ref() == Some(&labels) {
                parts.push((rank, source.take()?));
            }
        }
        chunks.clear();
        join(&labels, &parts, &mut chunks)?;
        if !chunks.is_empty() {
            writer.add(&labels, &chunks)?;
        }
    }
    writer.finish()
}

fn merged_meta(inner: &Inner, blocks: &[Arc<Block>]) -> BlockMeta {
    let metas = || blocks.iter().map(|block| &block.meta);
    let sources: BTreeSet<&String> = metas().flat_map(|m| &m.compaction.sources).collect();
    let hints: HashSet<&String> = metas().flat_map(|m| &m.compaction.hints).collect();
    // A hint holds for the whole only if it holds for every part.
    let all = |hint: &&&String| metas().all(|m| m.compaction.hints.contains(hint));
    BlockMeta {
        ulid: ulid::new(inner.env.clock.as_ref(), inner.env.rng.as_ref()),
        min_time: metas().map(|m| m.min_time).min().unwrap_or(0),
        max_time: metas().map(|m| m.max_time).max().unwrap_or(0),
        compaction: Compaction {
            level: 1 + metas().map(|m| m.compaction.level).max().unwrap_or(0),
            sources: sources.into_iter().cloned().collect(),
            parents: metas().map(desc).collect(),
            hints: hints.iter().filter(all).map(|h| (*h).clone()).collect(),
            ..Compaction::default()
        },
        version: headwater_blockfmt::meta::VERSION,
        ..BlockMeta::default()
    }
}

pub(super) fn desc(meta: &BlockMeta) -> BlockDesc {
    BlockDesc {
        ulid: meta.ulid.clone(),
        min_time: meta.min_time,
        max_time: meta.max_time,
    }
}

/// The series of one block, in order.
struct Source<'b> {
    block: &'b Block,
    damaged: Damaged,
    stones: Arc<Stones>,
    series: std::vec::IntoIter<u32>,
    labels: Option<Labels>,
    reference: u32,
    metas: Vec<headwater_blockfmt::index::ChunkMeta>,
}

impl<'b> Source<'b> {
    fn new(block: &'b Arc<Block>, damaged: Damaged) -> Result<Source<'b>> {
        let all = block.matching(&[]);
        let all = all.inspect_err(|_| block.leave_out_of_merges())?;
        let all: Vec<u32> = all.iter().collect();
        let mut source = Source {
            block,
            damaged,
            stones: block.stones(),
            series: all.into_iter(),
            labels: None,
            reference: 0,
            metas: Vec::new(),
        };
        source.advance()?;
        Ok(source)
    }

    fn advance(&mut self) -> Result<()> {
        self.labels = None;
        if let Some(reference) = self.series.next() {
            self.reference = reference;
            let labels = self.block.series(reference, &mut self.metas);
            self.labels = Some(labels.inspect_err(|_| self.block.leave_out_of_merges())?);
        }
        Ok(())
    }

    /// The chunks of the current series; goes to the next.
    fn take(&mut self) -> Result<Loaded> {
        let metas = self.metas.iter();
        let chunks = match self.damaged {
            Damaged::Refused => metas
                .map(|meta| self.block.chunk(meta))
                .collect::<Result<_>>()?,
            Damaged::LeftOut => metas
                .filter_map(|meta| self.block.whole_chunk(meta).ok())
                .collect(),
        };
        let loaded = Loaded {
            chunks,
            deleted: self
                .stones
                .get(&self.reference)
                .cloned()
                .unwrap_or_default(),
            visible: TimeSpan(TimeRange::ALL),
            committed_until: i64::MAX,
            ..Loaded::default()
        };
        self.advance()?;
        Ok(loaded)
    }
}

/// A chunk and the place of its block among those that are merged.
type Ranked = (usize, EncodedChunk);

/// The chunks of a series from all blocks: as they are where they do not
/// overlap, written anew where they do. Earlier blocks count where two have a
/// sample at the same time.
fn join(labels: &Labels, parts: &[(usize, Loaded)], into: &mut Vec<EncodedChunk>) -> Result<()> {
    let mut all: Vec<Ranked> = Vec::new();
    for (rank, part) in parts {
        let mut chunks = Vec::new();
        part.take_chunks(labels, &mut chunks)?;
        all.extend(chunks.into_iter().map(|chunk| (*rank, chunk)));
    }
    all.sort_by_key(|(_, chunk)| (chunk.min_time, chunk.max_time));
    for group in overlapping_groups(&all) {
        match group {
            [(_, alone)] => into.push(alone.clone()),
            group => into.extend(joined(labels, group)?),
        }
    }
    Ok(())
}

/// Runs of chunks of which each overlaps those before it.
fn overlapping_groups(chunks: &[Ranked]) -> Vec<&[Ranked]> {
    let mut out = Vec::new();
    let (mut start, mut end) = (0, i64::MIN);
    for (at, (_, chunk)) in chunks.iter().enumerate() {
        if at > start && chunk.min_time > end {
            out.push(&chunks[start..at]);
            start = at;
        }
        end = end.max(chunk.max_time);
    }
    if start < chunks.len() {
        out.push(&chunks[start..]);
    }
    out
}

fn joined(labels: &Labels, group: &[Ranked]) -> Result<Vec<EncodedChunk>> {
    let mut by_rank: Vec<&Ranked> = group.iter().collect();
    by_rank.sort_by_key(|(rank, _)| *rank);
    let mut all = Vec::new();
    for (_, chunk) in by_rank {
        let mut columns = SeriesColumns::default();
        decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns)
            .map_err(|e| damaged_series(labels, e))?;
        all.push(columns);
    }
    let mut merged = SeriesColumns::default();
    merge_columns(&all, &mut merged);
    let options = as_before(group.iter().map(|(_, chunk)| chunk));
    Ok(encode_columns_with(&merged, options))
}
