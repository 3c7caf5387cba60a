//! Reading series of the head.

use std::sync::Arc;

use headwater_blockfmt::{Encoding, decode};
use headwater_model::{Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result, SeriesCursor};

use super::Head;
use super::isolation::Snapshot;
use super::prefetch::prefetch;
use crate::read::{Loaded, TimeSpan};

/// How many series ahead memory is asked for: that of a series, then that of its growing chunk.
pub(crate) const NEAR: usize = 3;
pub(crate) const FAR: usize = 6;
/// Cache lines of a growing chunk, counted from its end, that are asked for.
const CHUNK_LINES: usize = 6;

/// A view of some series of the head.
#[derive(Clone, Debug)]
pub(crate) struct View {
    head: Arc<Head>,
    snapshot: Arc<Snapshot>,
    range: TimeRange,
    /// Of each series only the newest sample is asked for.
    newest: bool,
}

impl View {
    pub(crate) fn new(head: &Arc<Head>, range: TimeRange) -> View {
        View {
            head: Arc::clone(head),
            snapshot: Arc::new(head.snapshot()),
            range,
            newest: false,
        }
    }

    /// The same view for a reader who looks at nothing but the newest sample of each series.
    pub(crate) fn of_newest(mut self, newest: bool) -> View {
        self.newest = newest;
        self
    }

    /// The only sample of a series that the reader looks at, if it is at hand.
    pub(crate) fn newest_float(&self, slot: u32) -> Option<(Timestamp, f64)> {
        if !self.newest {
            return None;
        }
        let series = self.head.slots.get(slot)?.lock();
        match series.alive {
            true => series.newest_float(self.range, self.snapshot.sees),
            false => None,
        }
    }

    /// Asks for the memory of series that will be read soon: `far`, then `near`. Reading is mostly
    /// waiting for it.
    pub(crate) fn prefetch(&self, near: Option<u32>, far: Option<u32>) {
        if let Some(cell) = far.and_then(|slot| self.head.slots.get(slot)) {
            cell.prefetch();
        }
        if self.newest {
            return;
        }
        if let Some(cell) = near.and_then(|slot| self.head.slots.get(slot)) {
            let end = cell.lock().open.growing.tail_address();
            (0..CHUNK_LINES).for_each(|line| prefetch(end.wrapping_sub(64 * line)));
        }
    }

    /// The range that was asked for.
    pub(crate) fn range(&self) -> TimeRange {
        self.range
    }

    /// The labels of the series in a slot, if one lives there.
    pub(crate) fn labels(&self, slot: u32) -> Option<Labels> {
        let series = self.head.slots.get(slot)?.lock();
        series.alive.then(|| series.labels.clone())
    }

    /// What is to be seen of a series.
    pub(crate) fn see(&self, slot: u32) -> Loaded {
        let mut seen = Loaded::default();
        self.see_into(slot, &mut seen);
        seen
    }

    /// The same, into memory that is used again.
    pub(crate) fn see_into(&self, slot: u32, seen: &mut Loaded) {
        seen.chunks.clear();
        seen.deleted.clear();
        seen.late.clear();
        let Some(cell) = self.head.slots.get(slot) else {
            return;
        };
        let series = cell.lock();
        if !series.alive {
            return;
        }
        if let Some(late) = series.late() {
            late.copy_to(self.range, &mut seen.late);
        }
        let visible = series.visible(self.range, self.snapshot.sees);
        series.chunks_in(visible, &mut seen.chunks);
        seen.deleted.extend_from_slice(series.deleted());
        seen.visible = TimeSpan(visible);
        seen.committed_until = series.visible_until(self.snapshot.sees);
    }

    /// Copies the chunks of a series that are to be seen, if they are all there is to it: nothing
    /// late, nothing deleted.
    pub(crate) fn copy_plain(&self, slot: u32, into: &mut Copied) -> bool {
        into.clear();
        let Some(cell) = self.head.slots.get(slot) else {
            return true;
        };
        let series = cell.lock();
        if !series.alive {
            return true;
        }
        if series.late().is_some() || !series.deleted().is_empty() {
            return false;
        }
        let visible = series.visible(self.range, self.snapshot.sees);
        into.visible = TimeSpan(visible);
        let from = series
            .closed
            .partition_point(|chunk| chunk.max_time() < visible.start);
        for chunk in &series.closed[from..] {
            let times = chunk.times();
            if times.overlaps(&visible) {
                into.push(chunk.encoding(), (times.start, times.end), |bytes| {
                    bytes.extend_from_slice(chunk.data());
                });
            }
        }
        let growing = &series.open.growing;
        let open = TimeRange::new(series.open.min_time, growing.last_time());
        if growing.count() > 0 && open.overlaps(&visible) {
            into.push(growing.encoding(), (open.start, open.end), |bytes| {
                growing.copy_to(bytes);
            });
        }
        true
    }
}

/// Chunks of a series of the head, copied one behind the other: copying takes less time than to
/// count the users of memory that several cores use.
#[derive(Debug, Default)]
pub(crate) struct Copied {
    bytes: Vec<u8>,
    chunks: Vec<CopiedChunk>,
    visible: TimeSpan,
}

/// One of them; it ends in the bytes where the next begins.
#[derive(Debug)]
pub(crate) struct CopiedChunk {
    pub(crate) encoding: Encoding,
    pub(crate) min_time: Timestamp,
    pub(crate) max_time: Timestamp,
    start: usize,
    end: usize,
}

impl Copied {
    fn clear(&mut self) {
        self.bytes.clear();
        self.chunks.clear();
        self.visible = TimeSpan::default();
    }

    fn push(
        &mut self,
        encoding: Encoding,
        (min_time, max_time): (Timestamp, Timestamp),
        copy: impl FnOnce(&mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        copy(&mut self.bytes);
        self.chunks.push(CopiedChunk {
            encoding,
            min_time,
            max_time,
            start,
            end: self.bytes.len(),
        });
    }

    /// The part of time that may be seen.
    pub(crate) fn visible(&self) -> TimeRange {
        self.visible.0
    }

    /// The chunks, oldest first.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = (&CopiedChunk, &[u8])> {
        let data = |chunk: &CopiedChunk| &self.bytes[chunk.start..chunk.end];
        self.chunks.iter().map(move |chunk| (chunk, data(chunk)))
    }
}

/// The error for a chunk that cannot be read.
pub(crate) fn damaged(
    labels: &Labels,
    cause: impl std::error::Error + Send + Sync + 'static,
) -> Error {
    let message = format!("a chunk of series {labels} cannot be read: {cause}");
    Error::new(ErrorKind::Corrupt, message).because(cause)
}

/// Walks over series that are in the head only: the fast way for queries over
/// recent times.
pub(crate) struct HeadCursor {
    view: View,
    slots: std::vec::IntoIter<u32>,
    current: Option<(u32, Labels)>,
    copied: Copied,
    seen: Loaded,
}

impl HeadCursor {
    pub(crate) fn new(view: View, slots: Vec<u32>) -> HeadCursor {
        HeadCursor {
            view,
            slots: slots.into_iter(),
            current: None,
            copied: Copied::default(),
            seen: Loaded::default(),
        }
    }
}

impl SeriesCursor for HeadCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        let next = self.slots.as_slice();
        self.view
            .prefetch(next.get(NEAR).copied(), next.get(FAR).copied());
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
        if let Some((time, value)) = self.view.newest_float(slot) {
            into.floats.push(time, value);
            return Ok(());
        }
        if !self.view.copy_plain(slot, &mut self.copied) {
            self.view.see_into(slot, &mut self.seen);
            return self.seen.decode(&labels, into);
        }
        for (chunk, data) in self.copied.chunks() {
            decode(chunk.encoding, data, self.copied.visible(), into)
                .map_err(|e| damaged(&labels, e))?;
        }
        Ok(())
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
