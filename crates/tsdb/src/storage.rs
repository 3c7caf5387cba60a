//! The contracts of `headwater-storage`, kept by [`Db`].

use std::future::ready;
use std::sync::Arc;

use headwater_model::{Labels, Matcher, TimeRange};
use headwater_storage::{
    Append, AppendOptions, Appender, BoxFuture, ChunkCursor, Delete, ExemplarSeries, LabelAnswer,
    LabelQueries, LabelRequest, MetadataEntry, MetadataStore, Result, Select, SelectChunks,
    SelectExemplars, SelectHints, SelectRequest, SeriesCursor,
};

use crate::block::Block;
use crate::block::set::BlockSet;
use crate::db::{Db, Inner};
use crate::head::Head;
use crate::head::batch::Batch;
use crate::head::cursor::{HeadCursor, View};
use crate::log::Log;
use crate::read::{self, StoreChunkCursor, StoreCursor};

impl Append for Db {
    fn appender(&self, options: AppendOptions) -> Result<Box<dyn Appender + '_>> {
        self.inner.writable()?;
        let Inner { head, log, .. } = &*self.inner;
        Ok(Box::new(Batch::new(head, log, options)))
    }
}

impl Select for Db {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        Box::pin(ready(self.inner.sources().select(&request)))
    }
}

impl SelectChunks for Db {
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>> {
        Box::pin(ready(self.inner.sources().select_chunks(&request)))
    }
}

/// What queries are answered from.
#[derive(Clone, Copy)]
pub(crate) struct Sources<'s> {
    pub(crate) head: &'s Arc<Head>,
    pub(crate) blocks: &'s BlockSet,
    /// Said with every answer about samples.
    pub(crate) warning: Option<&'s str>,
}

impl Inner {
    pub(crate) fn sources(&self) -> Sources<'_> {
        Sources {
            head: &self.head,
            blocks: &self.blocks,
            warning: None,
        }
    }

    pub(crate) fn slots_in(&self, range: TimeRange, matchers: &[Matcher]) -> Vec<u32> {
        self.sources().slots_in(range, matchers)
    }
}

impl Sources<'_> {
    pub(crate) fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesCursor>> {
        // The head is looked at first: what leaves it for a block in the
        // meantime is found twice rather than not at all.
        let view = View::new(self.head, request.range);
        let slots = self.slots_in(request.range, &request.matchers);
        let blocks = self.blocks.overlapping(request.range);
        if blocks.is_empty() && !request.hints.sorted && self.warning.is_none() {
            return Ok(head_only(view, slots, &request.hints));
        }
        let (found, mut warnings) =
            read::find(&blocks, &view, &slots, &request.matchers, &request.hints)?;
        warnings.extend(self.warning.map(str::to_owned));
        Ok(Box::new(StoreCursor::new(view, found, warnings)))
    }

    pub(crate) fn select_chunks(&self, request: &SelectRequest) -> Result<Box<dyn ChunkCursor>> {
        let view = View::new(self.head, request.range);
        let slots = self.slots_in(request.range, &request.matchers);
        let blocks = self.blocks.overlapping(request.range);
        let mut hints = request.hints.clone();
        hints.sorted = true;
        let (found, mut warnings) = read::find(&blocks, &view, &slots, &request.matchers, &hints)?;
        warnings.extend(self.warning.map(str::to_owned));
        Ok(Box::new(StoreChunkCursor::new(view, found, warnings)))
    }

    pub(crate) fn slots_in(&self, range: TimeRange, matchers: &[Matcher]) -> Vec<u32> {
        match self.head.may_have(range) {
            true => self.head.matching(matchers),
            false => Vec::new(),
        }
    }
}

fn head_only(view: View, mut slots: Vec<u32>, hints: &SelectHints) -> Box<dyn SeriesCursor> {
    if hints.limit > 0 {
        slots.truncate(hints.limit);
    }
    Box::new(HeadCursor::new(view, slots))
}

impl LabelQueries for Db {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let names = self.inner.sources().label_names(&request);
        Box::pin(ready(Ok(names)))
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let values = self.inner.sources().label_values(name, &request);
        Box::pin(ready(Ok(values)))
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        let series = self.inner.sources().series_labels(&request);
        Box::pin(ready(Ok(series)))
    }
}

impl SelectExemplars for Db {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        let fulfils = |labels: &Labels, matchers: &[Matcher]| {
            matchers
                .iter()
                .all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
        };
        let ring = self.inner.head.exemplars.lock();
        let found = ring.select(range, |labels| {
            matcher_sets.iter().any(|set| fulfils(labels, set))
        });
        Box::pin(ready(Ok(found)))
    }
}

impl MetadataStore for Db {
    fn series_metadata(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MetadataEntry>>> {
        let head = &self.inner.head;
        let entry = |slot: u32| {
            let series = head.slots.get(slot)?.lock();
            let metadata = series.rare.as_ref()?.metadata.as_ref()?;
            Some(MetadataEntry {
                labels: series.labels.clone(),
                metadata: (**metadata).clone(),
            })
        };
        let slots = head.matching(&matchers);
        let most = if limit == 0 { usize::MAX } else { limit };
        let found = slots.into_iter().filter_map(entry).take(most).collect();
        Box::pin(ready(Ok(found)))
    }
}

impl Delete for Db {
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        Box::pin(ready(self.inner.delete(&matchers, range)))
    }
}

impl Inner {
    fn delete(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        self.writable()?;
        // No block may come out of the head, or go, in the meantime.
        let _maintenance = self.maintenance.lock();
        for block in self.blocks.overlapping(range) {
            // Without what is lost, all that is served can be deleted.
            block.ask(&mut Vec::new(), |block| {
                self.delete_in_block(block, matchers, range)
            })?;
        }
        self.delete_in_head(matchers, range)
    }

    fn delete_in_block(&self, block: &Block, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let mut deleted = Vec::new();
        let mut chunks = Vec::new();
        for reference in block.matching(matchers)? {
            block.series(reference, &mut chunks)?;
            let (first, last) = (chunks.first(), chunks.last());
            let times = first
                .zip(last)
                .map(|(a, b)| TimeRange::new(a.min_time, b.max_time));
            if let Some(stone) = times.and_then(|times| clamped(range, times)) {
                deleted.push((reference, stone));
            }
        }
        match deleted.is_empty() {
            true => Ok(()),
            false => block.delete(self.env.files.as_ref(), deleted),
        }
    }

    fn delete_in_head(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let _order = self.head.order.lock();
        let slots = self.slots_in(range, matchers);
        let stones: Vec<(u32, u64, TimeRange)> = slots
            .into_iter()
            .filter_map(|slot| self.stone(slot, range))
            .collect();
        if stones.is_empty() {
            return Ok(());
        }
        let named: Vec<(u64, TimeRange)> = stones.iter().map(|s| (s.1, s.2)).collect();
        let record = Log::encode_tombstones(&named);
        let ticket = self.log.write(&[record], &[])?;
        for (slot, log_ref, range) in stones {
            if let Some(cell) = self.head.slots.get(slot) {
                let mut series = cell.lock();
                if series.log_ref == log_ref {
                    series.delete(range);
                }
            }
        }
        ticket.wait()
    }

    fn stone(&self, slot: u32, range: TimeRange) -> Option<(u32, u64, TimeRange)> {
        let series = self.head.slots.get(slot)?.lock();
        let stone = clamped(range, series.all_times()?)?;
        Some((slot, series.log_ref, stone))
    }
}

/// The part of a range that lies within the times of a series: what comes
/// later is not meant by a deletion.
fn clamped(range: TimeRange, times: TimeRange) -> Option<TimeRange> {
    let both = TimeRange::new(range.start.max(times.start), range.end.min(times.end));
    (!both.is_empty()).then_some(both)
}
