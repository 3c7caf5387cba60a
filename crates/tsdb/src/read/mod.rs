//! Reading head and blocks as one store.
//!
//! `select` finds series; `names` reads their labels from blocks and `known` keeps them. `plain` reads
//! what is in order and whole, as nearly everything is; `parts` the rest.

mod known;
mod names;
mod parts;
mod plain;
mod select;

use std::ops::Range;
use std::sync::Arc;

use headwater_blockfmt::{EncodedChunk, encode_columns_with};
use headwater_model::{Labels, SeriesColumns};
use headwater_storage::{ChunkCursor, Result, SeriesCursor, merge_columns};

use crate::head::cursor::{FAR, NEAR, View};
use crate::head::rules::as_before;
pub(crate) use known::KnownSeries;
use parts::Warnings;
pub(crate) use parts::{Loaded, TimeSpan};
use plain::Plain;
pub(crate) use select::{Question, Selection, find};

/// Walks over some of the series of a selection.
struct Walk {
    view: View,
    selection: Arc<Selection>,
    /// Those that are left.
    left: Range<usize>,
    current: Option<usize>,
    reader: Reader,
}

impl Walk {
    fn new(view: View, selection: Arc<Selection>, left: Range<usize>) -> Walk {
        Walk {
            view,
            selection,
            left,
            current: None,
            reader: Reader::default(),
        }
    }

    fn all(view: View, selection: Selection, warnings: Vec<String>) -> Walk {
        let left = 0..selection.len();
        let mut walk = Walk::new(view, Arc::new(selection), left);
        walk.reader.warnings.0 = warnings;
        walk
    }

    fn advance(&mut self) -> Option<Labels> {
        self.current = self.left.next();
        let current = self.current?;
        let slot = |ahead| self.selection.slot(current + ahead);
        self.view.prefetch(slot(NEAR), slot(FAR));
        Some(self.selection.labels(current).clone())
    }

    /// Where the samples of the current series are, once, and what reads them.
    fn current(&mut self) -> (Option<(&View, &Selection, usize)>, &mut Reader) {
        let (view, selection) = (&self.view, &*self.selection);
        let place = self.current.take().map(|at| (view, selection, at));
        (place, &mut self.reader)
    }

    fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.reader.warnings.0)
    }
}

/// Walks over series of head and blocks.
pub(crate) struct StoreCursor(Walk);

impl StoreCursor {
    pub(crate) fn new(view: View, selection: Selection, warnings: Vec<String>) -> StoreCursor {
        StoreCursor(Walk::all(view, selection, warnings))
    }
}

impl SeriesCursor for StoreCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        Ok(self.0.advance())
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        let (place, reader) = self.0.current();
        place.map_or(Ok(()), |(view, selection, at)| {
            reader.read(view, selection, at, into)
        })
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        let mut walk = self.0;
        let Range { start, end } = walk.left.clone();
        let size = (end - start).div_ceil(parts.max(1)).max(1);
        let part = |from: usize| -> Box<dyn SeriesCursor> {
            let left = from..end.min(from + size);
            let mut part = Walk::new(walk.view.clone(), Arc::clone(&walk.selection), left);
            part.reader.warnings.0 = walk.take_warnings();
            Box::new(StoreCursor(part))
        };
        match start < end {
            true => (start..end).step_by(size).map(part).collect(),
            false => [start].map(part).into(),
        }
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.0.left.len())
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.0.take_warnings()
    }
}

/// Walks over the chunks of series of head and blocks.
pub(crate) struct StoreChunkCursor(Walk);

impl StoreChunkCursor {
    /// `selection` must be sorted by labels.
    pub(crate) fn new(view: View, selection: Selection, warnings: Vec<String>) -> StoreChunkCursor {
        StoreChunkCursor(Walk::all(view, selection, warnings))
    }
}

impl ChunkCursor for StoreChunkCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        Ok(self.0.advance())
    }

    fn read(&mut self, into: &mut Vec<EncodedChunk>) -> Result<()> {
        into.clear();
        let (place, reader) = self.0.current();
        place.map_or(Ok(()), |(view, selection, at)| {
            reader.chunks(view, selection, at, into)
        })
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.0.take_warnings()
    }
}

/// Reads series part by part, with memory that is used again.
#[derive(Debug, Default)]
struct Reader {
    plain: Plain,
    loaded: Vec<Loaded>,
    columns: Vec<SeriesColumns>,
    warnings: Warnings,
}

impl Reader {
    fn load(&mut self, view: &View, selection: &Selection, at: usize) {
        self.loaded.clear();
        for part in selection.parts(at) {
            self.loaded.push(part.load(view, &mut self.warnings));
        }
        self.loaded.retain(|loaded| !loaded.is_empty());
    }

    fn read(
        &mut self,
        view: &View,
        selection: &Selection,
        at: usize,
        into: &mut SeriesColumns,
    ) -> Result<()> {
        let warned = self.warnings.0.len();
        let plain = &mut self.plain;
        if plain.read(view, selection, at, &mut self.warnings, into)? {
            return Ok(());
        }
        self.warnings.0.truncate(warned);
        into.clear();
        self.load(view, selection, at);
        let labels = selection.labels(at);
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

    fn chunks(
        &mut self,
        view: &View,
        selection: &Selection,
        at: usize,
        into: &mut Vec<EncodedChunk>,
    ) -> Result<()> {
        self.load(view, selection, at);
        let labels = selection.labels(at);
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
