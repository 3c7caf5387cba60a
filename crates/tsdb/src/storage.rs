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
use crate::delete::Deletion;
use crate::head::Head;
use crate::head::batch::Batch;
use crate::head::cursor::{HeadCursor, View};
use crate::read::{self, Question, Selection, StoreChunkCursor, StoreCursor};

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
        let view = View::new(self.head, request.range).of_newest(request.hints.newest);
        let slots = self.slots_in(request.range, &request.matchers);
        let blocks = self.blocks.overlapping(request.range);
        if blocks.is_empty() && !request.hints.sorted && self.warning.is_none() {
            return Ok(head_only(view, slots, &request.hints));
        }
        let question = Question {
            matchers: &request.matchers,
            hints: &request.hints,
        };
        let (found, mut warnings) = self.find(&blocks, &view, &slots, &question);
        warnings.extend(self.warning.map(str::to_owned));
        Ok(Box::new(StoreCursor::new(view, found, warnings)))
    }

    pub(crate) fn select_chunks(&self, request: &SelectRequest) -> Result<Box<dyn ChunkCursor>> {
        let view = View::new(self.head, request.range);
        let slots = self.slots_in(request.range, &request.matchers);
        let blocks = self.blocks.overlapping(request.range);
        let mut hints = request.hints.clone();
        hints.sorted = true;
        let question = Question {
            matchers: &request.matchers,
            hints: &hints,
        };
        let (found, mut warnings) = self.find(&blocks, &view, &slots, &question);
        warnings.extend(self.warning.map(str::to_owned));
        Ok(Box::new(StoreChunkCursor::new(view, found, warnings)))
    }

    fn find(
        &self,
        blocks: &[Arc<Block>],
        view: &View,
        slots: &[u32],
        question: &Question<'_>,
    ) -> (Selection, Vec<String>) {
        let head = (&**self.head, view, slots);
        read::find(blocks, &self.blocks.known, head, question)
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
    /// An error says what is not deleted; [`Db::delete_series`] says it as data.
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        let deletion = self.delete_series(&matchers, range);
        Box::pin(ready(deletion.and_then(Deletion::into_result)))
    }
}
