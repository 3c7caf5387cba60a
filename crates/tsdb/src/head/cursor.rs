//! Reading series of the head.

use std::sync::Arc;

use headwater_model::{Labels, SeriesColumns, TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result, SeriesCursor};

use super::Head;
use super::isolation::Snapshot;
use crate::read::{Loaded, TimeSpan};

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
    seen: Loaded,
}

impl HeadCursor {
    pub(crate) fn new(view: View, slots: Vec<u32>) -> HeadCursor {
        HeadCursor {
            view,
            slots: slots.into_iter(),
            current: None,
            seen: Loaded::default(),
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
        if let Some((time, value)) = self.view.newest_float(slot) {
            into.floats.push(time, value);
            return Ok(());
        }
        self.view.see_into(slot, &mut self.seen);
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
