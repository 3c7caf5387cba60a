//! The samples of one series in one place: a block or the head.

use headwater_blockfmt::{EncodedChunk, decode, encode_columns_with};
use headwater_model::{Labels, SeriesColumns, TimeRange};
use headwater_storage::{Result, merge_columns};

use crate::head::cursor::{View, damaged};
use crate::head::rules::as_before_with;
use crate::head::series::remove_deleted;
use crate::read::select::Part;

/// A query says this often what is damaged, and then no more.
pub(crate) const MOST_WARNINGS: usize = 100;

/// Chunks that are at hand.
#[derive(Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) chunks: Vec<EncodedChunk>,
    pub(crate) deleted: Vec<TimeRange>,
    /// Samples that came late and lie between those of the chunks.
    pub(crate) late: SeriesColumns,
    /// What is asked for and may be seen.
    pub(crate) visible: TimeSpan,
    /// Samples after this may not be seen, even if asked for.
    pub(crate) committed_until: i64,
}

/// A range of time that is empty by default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeSpan(pub(crate) TimeRange);

impl Default for TimeSpan {
    fn default() -> TimeSpan {
        TimeSpan(TimeRange::new(i64::MAX, i64::MIN))
    }
}

impl Part<'_> {
    /// Fetches the chunks. One that is damaged on disk is left out, with a
    /// warning: it must not hide the others.
    pub(crate) fn load(self, view: &View, warnings: &mut Warnings) -> Loaded {
        let (source, reference) = match self {
            Part::Head(slot) => return view.see(slot),
            Part::Block(source, reference) => (source, reference),
        };
        let mut metas = Vec::new();
        warnings.or_warn(source.block.chunks_of(reference, &mut metas));
        metas.retain(|meta| meta.range().overlaps(&view.range()));
        let chunks = metas.iter().map(|meta| source.block.chunk(meta));
        Loaded {
            chunks: chunks.filter_map(|chunk| warnings.or_warn(chunk)).collect(),
            deleted: source.stones.get(&reference).cloned().unwrap_or_default(),
            visible: TimeSpan(view.range()),
            committed_until: i64::MAX,
            ..Loaded::default()
        }
    }
}

/// What is damaged, so that people hear of it.
#[derive(Debug, Default)]
pub(crate) struct Warnings(pub(crate) Vec<String>);

impl Warnings {
    /// The outcome of a reading; notes why there is none.
    pub(crate) fn or_warn<T>(&mut self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(found) => return Some(found),
            Err(error) if self.0.len() < MOST_WARNINGS => self.0.push(error.to_string()),
            Err(_) => {}
        }
        None
    }
}

impl Loaded {
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.late.is_empty()
    }

    /// Whether the chunks are all there is, and nothing of them is deleted.
    pub(crate) fn is_plain(&self) -> bool {
        self.deleted.is_empty() && self.late.is_empty()
    }

    /// First to last time of the chunks.
    pub(crate) fn times(&self) -> Option<TimeRange> {
        let first = self.chunks.iter().map(|c| c.min_time).min()?;
        let last = self.chunks.iter().map(|c| c.max_time).max()?;
        Some(TimeRange::new(first, last))
    }

    /// Appends what may be seen to columns whose samples are all older.
    pub(crate) fn decode(&self, labels: &Labels, into: &mut SeriesColumns) -> Result<()> {
        if !self.late.is_empty() {
            return self.decode_with_late(labels, into);
        }
        let overlap = self
            .chunks
            .windows(2)
            .any(|p| p[0].max_time >= p[1].min_time);
        if overlap {
            return self.decode_overlapping(labels, into);
        }
        for chunk in &self.chunks {
            decode(chunk.encoding, &chunk.data, self.visible.0, into)
                .map_err(|e| damaged(labels, e))?;
        }
        remove_deleted(into, &self.deleted);
        Ok(())
    }

    fn decode_with_late(&self, labels: &Labels, into: &mut SeriesColumns) -> Result<()> {
        let mut late = self.late.clone();
        remove_deleted(&mut late, &self.deleted);
        let mut columns = [std::mem::take(into), SeriesColumns::default(), late];
        self.decode_overlapping(labels, &mut columns[1])?;
        merge_columns(&columns, into);
        Ok(())
    }

    /// Out-of-order data may have chunks that overlap, even within one block.
    fn decode_overlapping(&self, labels: &Labels, into: &mut SeriesColumns) -> Result<()> {
        let mut columns = vec![std::mem::take(into)];
        for chunk in &self.chunks {
            let mut one = SeriesColumns::default();
            decode(chunk.encoding, &chunk.data, self.visible.0, &mut one)
                .map_err(|e| damaged(labels, e))?;
            remove_deleted(&mut one, &self.deleted);
            columns.push(one);
        }
        merge_columns(&columns, into);
        Ok(())
    }

    /// Decodes all of one chunk that may be seen, asked for or not.
    pub(crate) fn decode_chunk(
        &self,
        labels: &Labels,
        chunk: &EncodedChunk,
        into: &mut SeriesColumns,
    ) -> Result<()> {
        let shown = TimeRange::new(i64::MIN, self.committed_until);
        decode(chunk.encoding, &chunk.data, shown, into).map_err(|e| damaged(labels, e))?;
        remove_deleted(into, &self.deleted);
        Ok(())
    }

    /// The chunks as they are, written anew where they hold samples that may
    /// not be seen.
    pub(crate) fn take_chunks(&self, labels: &Labels, into: &mut Vec<EncodedChunk>) -> Result<()> {
        for chunk in &self.chunks {
            let span = TimeRange::new(chunk.min_time, chunk.max_time);
            let hidden = span.end > self.committed_until;
            if hidden || self.deleted.iter().any(|d| d.overlaps(&span)) {
                into.extend(super::rewritten(self, labels, chunk)?);
            } else {
                into.push(chunk.clone());
            }
        }
        if !self.late.is_empty() {
            let mut late = self.late.clone();
            remove_deleted(&mut late, &self.deleted);
            let options = as_before_with(&self.chunks, &late);
            into.extend(encode_columns_with(&late, options));
            into.sort_by_key(|chunk| (chunk.min_time, chunk.max_time));
        }
        Ok(())
    }
}
