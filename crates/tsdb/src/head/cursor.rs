//! Reading series of the head.

use std::sync::Arc;

use headwater_blockfmt::{EncodedChunk, decode, encode_columns};
use headwater_model::{Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{ChunkCursor, Error, ErrorKind, Result, SeriesCursor};

use super::Head;
use super::isolation::Snapshot;
use super::series::remove_deleted;

/// A view of some series of the head.
#[derive(Clone, Debug)]
pub(crate) struct View {
    head: Arc<Head>,
    snapshot: Arc<Snapshot>,
    range: TimeRange,
}

/// What one series looks like through a view.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) chunks: Vec<EncodedChunk>,
    pub(crate) deleted: Vec<TimeRange>,
    /// The part of the range that may be seen.
    pub(crate) visible: Option<TimeRange>,
    /// Samples after this belong to commits that may not be seen.
    committed_until: Timestamp,
}

impl View {
    pub(crate) fn new(head: &Arc<Head>, range: TimeRange) -> View {
        View {
            head: Arc::clone(head),
            snapshot: Arc::new(head.snapshot()),
            range,
        }
    }

    /// The labels of the series in a slot, if one lives there.
    pub(crate) fn labels(&self, slot: u32) -> Option<Labels> {
        let series = self.head.slots.get(slot)?.lock();
        series.alive.then(|| series.labels.clone())
    }

    /// Takes along what is to be seen of a series.
    pub(crate) fn see(&self, slot: u32, seen: &mut Seen) {
        seen.chunks.clear();
        seen.deleted.clear();
        seen.visible = None;
        let Some(cell) = self.head.slots.get(slot) else {
            return;
        };
        let series = cell.lock();
        let visible = series.visible(self.range, self.snapshot.sees);
        if !series.alive || visible.is_empty() {
            return;
        }
        series.chunks_in(visible, &mut seen.chunks);
        seen.deleted.extend_from_slice(series.deleted());
        seen.visible = Some(visible);
        seen.committed_until = series.trace.visible_until(self.snapshot.sees);
    }
}

/// The error for a chunk in memory that cannot be read.
pub(crate) fn damaged(
    labels: &Labels,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        format!("a chunk of series {labels} cannot be read"),
    )
    .because(cause)
}

impl Seen {
    /// Decodes what may be seen.
    pub(crate) fn decode(&self, labels: &Labels, into: &mut SeriesColumns) -> Result<()> {
        let Some(visible) = self.visible else {
            return Ok(());
        };
        for chunk in &self.chunks {
            decode(chunk.encoding, &chunk.data, visible, into).map_err(|e| damaged(labels, e))?;
        }
        remove_deleted(into, &self.deleted);
        Ok(())
    }

    /// The chunks as they are, written anew where they hold samples that may
    /// not be seen.
    pub(crate) fn into_chunks(
        &mut self,
        labels: &Labels,
        into: &mut Vec<EncodedChunk>,
    ) -> Result<()> {
        for chunk in self.chunks.drain(..) {
            let span = TimeRange::new(chunk.min_time, chunk.max_time);
            // Samples outside the range may come along; those that were
            // deleted or not committed may not.
            let hidden = span.end > self.committed_until;
            if !hidden && !self.deleted.iter().any(|d| d.overlaps(&span)) {
                into.push(chunk);
                continue;
            }
            let mut columns = SeriesColumns::default();
            let shown = TimeRange::new(span.start, self.committed_until);
            decode(chunk.encoding, &chunk.data, shown, &mut columns)
                .map_err(|e| damaged(labels, e))?;
            remove_deleted(&mut columns, &self.deleted);
            into.extend(encode_columns(&columns));
        }
        Ok(())
    }
}

/// Walks over series of the head.
pub(crate) struct HeadCursor {
    view: View,
    slots: std::vec::IntoIter<u32>,
    current: Option<(u32, Labels)>,
    seen: Seen,
}

impl HeadCursor {
    pub(crate) fn new(view: View, slots: Vec<u32>) -> HeadCursor {
        HeadCursor {
            view,
            slots: slots.into_iter(),
            current: None,
            seen: Seen::default(),
        }
    }
}

impl SeriesCursor for HeadCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        for slot in self.slots.by_ref() {
            if let Some(labels) = self.view.labels(slot) {
                self.current = Some((slot, labels.clone()));
                return Ok(Some(labels));
            }
        }
        self.current = None;
        Ok(None)
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        let Some((slot, labels)) = self.current.take() else {
            return Ok(());
        };
        self.view.see(slot, &mut self.seen);
        self.seen.decode(&labels, into)
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        let slots = self.slots.as_slice();
        let size = slots.len().div_ceil(parts.max(1)).max(1);
        let part = |slots: &[u32]| -> Box<dyn SeriesCursor> {
            Box::new(HeadCursor::new(self.view.clone(), slots.to_vec()))
        };
        match slots.is_empty() {
            true => vec![part(slots)],
            false => slots.chunks(size).map(part).collect(),
        }
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.slots.len())
    }
}

/// Walks over the chunks of series of the head.
pub(crate) struct HeadChunkCursor {
    view: View,
    series: std::vec::IntoIter<(Labels, u32)>,
    current: Option<(Labels, u32)>,
    seen: Seen,
}

impl HeadChunkCursor {
    /// `series` must be sorted by labels.
    pub(crate) fn new(view: View, series: Vec<(Labels, u32)>) -> HeadChunkCursor {
        HeadChunkCursor {
            view,
            series: series.into_iter(),
            current: None,
            seen: Seen::default(),
        }
    }
}

impl ChunkCursor for HeadChunkCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        self.current = self.series.next();
        Ok(self.current.as_ref().map(|(labels, _)| labels.clone()))
    }

    fn read(&mut self, into: &mut Vec<EncodedChunk>) -> Result<()> {
        into.clear();
        let Some((labels, slot)) = self.current.take() else {
            return Ok(());
        };
        self.view.see(slot, &mut self.seen);
        self.seen.into_chunks(&labels, into)
    }
}
