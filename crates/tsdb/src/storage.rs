//! The contracts of `headwater-storage`, kept by [`Db`].

use std::future::ready;

use headwater_model::{Labels, Matcher, TimeRange, Timestamp};
use headwater_storage::{
    Append, AppendOptions, Appender, BoxFuture, ChunkCursor, Delete, ExemplarSeries, LabelAnswer,
    LabelQueries, LabelRequest, MetadataEntry, MetadataStore, Result, Select, SelectChunks,
    SelectExemplars, SelectRequest, SeriesCursor,
};
use roaring::RoaringBitmap;

use crate::db::{Db, Inner};
use crate::head::Head;
use crate::head::batch::Batch;
use crate::head::cursor::{HeadChunkCursor, HeadCursor, View};
use crate::log::Log;

impl Append for Db {
    fn appender(&self, _options: AppendOptions) -> Result<Box<dyn Appender + '_>> {
        self.inner.writable()?;
        Ok(Box::new(Batch::new(&self.inner.head, &self.inner.log)))
    }
}

impl Select for Db {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        Box::pin(ready(self.inner.select(&request)))
    }
}

impl SelectChunks for Db {
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>> {
        Box::pin(ready(self.inner.select_chunks(&request)))
    }
}

impl Inner {
    fn select(&self, request: &SelectRequest) -> Result<Box<dyn SeriesCursor>> {
        let view = View::new(&self.head, request.range);
        let mut slots = self.slots_in(request.range, &request.matchers);
        if request.hints.sorted {
            let sorted = sorted_by_labels(&view, slots);
            slots = sorted.into_iter().map(|(_, slot)| slot).collect();
        }
        if request.hints.limit > 0 {
            slots.truncate(request.hints.limit);
        }
        Ok(Box::new(HeadCursor::new(view, slots)))
    }

    fn select_chunks(&self, request: &SelectRequest) -> Result<Box<dyn ChunkCursor>> {
        let view = View::new(&self.head, request.range);
        let slots = self.slots_in(request.range, &request.matchers);
        let series = sorted_by_labels(&view, slots);
        Ok(Box::new(HeadChunkCursor::new(view, series)))
    }

    fn slots_in(&self, range: TimeRange, matchers: &[Matcher]) -> Vec<u32> {
        let head = self.head.times.range();
        match head.is_some_and(|times| times.overlaps(&range)) {
            true => self.head.matching(matchers),
            false => Vec::new(),
        }
    }
}

fn sorted_by_labels(view: &View, slots: Vec<u32>) -> Vec<(Labels, u32)> {
    let mut series: Vec<(Labels, u32)> = slots
        .into_iter()
        .filter_map(|slot| Some((view.labels(slot)?, slot)))
        .collect();
    series.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    series
}

impl LabelQueries for Db {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let names = self.inner.head.label_names(&request);
        Box::pin(ready(Ok(LabelAnswer::from_unsorted(names, request.limit))))
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let values = self.inner.head.label_values(name, &request);
        Box::pin(ready(Ok(LabelAnswer::from_unsorted(values, request.limit))))
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        let series = self.inner.head.series_labels(&request);
        Box::pin(ready(Ok(LabelAnswer::from_unsorted(series, request.limit))))
    }
}

impl Head {
    /// The slots of the series that a label request is about; `None` for all.
    fn asked_about(&self, request: &LabelRequest) -> Option<RoaringBitmap> {
        let times = self.times.range();
        if !times.is_some_and(|times| times.overlaps(&request.range)) {
            return Some(RoaringBitmap::new());
        }
        if request.matcher_sets.is_empty() {
            return None;
        }
        let index = self.index.read();
        let sets = request.matcher_sets.iter().map(|set| index.matching(set));
        Some(sets.fold(RoaringBitmap::new(), |sum, set| sum | set))
    }

    fn label_names(&self, request: &LabelRequest) -> Vec<String> {
        let slots = self.asked_about(request);
        let index = self.index.read();
        let asked = |present: &RoaringBitmap| {
            slots
                .as_ref()
                .is_none_or(|slots| !present.is_disjoint(slots))
        };
        let names = index.names().filter(|(_, values)| asked(values.present()));
        names.map(|(name, _)| name.to_owned()).collect()
    }

    fn label_values(&self, name: &str, request: &LabelRequest) -> Vec<String> {
        let slots = self.asked_about(request);
        let index = self.index.read();
        let Some(values) = index.values(name) else {
            return Vec::new();
        };
        let values = values
            .iter()
            .filter(|(_, postings)| slots.as_ref().is_none_or(|slots| postings.meets(slots)));
        values.map(|(value, _)| value.to_owned()).collect()
    }

    fn series_labels(&self, request: &LabelRequest) -> Vec<Labels> {
        let slots = self.asked_about(request);
        let slots = slots.unwrap_or_else(|| self.index.read().all().clone());
        let labels = |slot: u32| {
            let series = self.slots.get(slot)?.lock();
            let there = series.times().is_some_and(|t| t.overlaps(&request.range));
            (series.alive && there).then(|| series.labels.clone())
        };
        slots.iter().filter_map(labels).collect()
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
        let ticket = self.log.write(&[record])?;
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

    /// What there is to delete of a series: later samples are not meant, so
    /// the range ends with what is there.
    fn stone(&self, slot: u32, range: TimeRange) -> Option<(u32, u64, TimeRange)> {
        let series = self.head.slots.get(slot)?.lock();
        let times = series.times()?;
        let clamp = |time: Timestamp| time.clamp(times.start, times.end);
        let clamped = TimeRange::new(clamp(range.start), clamp(range.end));
        times
            .overlaps(&range)
            .then_some((slot, series.log_ref, clamped))
    }
}
