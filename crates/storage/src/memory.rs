//! A store in memory: the simplest thing that keeps every contract. For tests and small programs.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_blockfmt::{EncodedChunk, encode_columns};
use headwater_model::{
    Exemplar, FloatColumn, FloatHistogram, Histogram, HistogramColumn, HistogramRef, Labels,
    Matcher, Metadata, SeriesColumns, TimeRange, Timestamp,
};
use parking_lot::RwLock;

use crate::BoxFuture;
use crate::append::{Append, AppendOptions, Appender, SampleValue, SeriesRef};
use crate::chunks::{ChunkCursor, SelectChunks};
use crate::error::{AppendError, Error, ErrorKind, Result};
use crate::extras::{Delete, ExemplarSeries, MetadataEntry, MetadataStore, SelectExemplars};
use crate::labels::{LabelAnswer, LabelQueries, LabelRequest};
use crate::select::{CursorVec, Select, SelectRequest, SeriesCursor};
use crate::ticket::Ticket;

/// All samples in columns, in memory, for ever.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    series: Vec<Series>,
    by_labels: HashMap<Labels, usize>,
}

#[derive(Debug, Default)]
struct Series {
    labels: Labels,
    columns: SeriesColumns,
    exemplars: Vec<Exemplar>,
    metadata: Option<Metadata>,
}

impl MemoryStore {
    /// A store without series.
    pub fn new() -> Self {
        Self::default()
    }

    fn matching(&self, matchers: &[Matcher], mut found: impl FnMut(&Series)) {
        for series in &self.state.read().series {
            if fulfils(&series.labels, matchers) {
                found(series);
            }
        }
    }

    fn matching_any(&self, sets: &[Vec<Matcher>], mut found: impl FnMut(&Series)) {
        for series in &self.state.read().series {
            if sets.is_empty()
                || sets
                    .iter()
                    .any(|matchers| fulfils(&series.labels, matchers))
            {
                found(series);
            }
        }
    }

    fn in_range(&self, request: &LabelRequest, mut found: impl FnMut(&Labels)) {
        self.matching_any(&request.matcher_sets, |series| {
            if series.has_samples_in(request.range) {
                found(&series.labels);
            }
        });
    }
}

fn fulfils(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
}

/// Positions of the times in a range.
fn span(times: &[Timestamp], range: TimeRange) -> std::ops::Range<usize> {
    let from = times.partition_point(|time| *time < range.start);
    let to = times.partition_point(|time| *time <= range.end);
    from..to.max(from)
}

fn keep_floats(column: &FloatColumn, keep: impl Fn(Timestamp) -> bool) -> FloatColumn {
    let mut out = FloatColumn::default();
    for (at, time) in column
        .times
        .iter()
        .enumerate()
        .filter(|(_, time)| keep(**time))
    {
        out.push_with_start(
            *time,
            column.values[at],
            column.starts.get(at).copied().unwrap_or(0),
        );
    }
    out
}

fn keep_histograms(column: &HistogramColumn, keep: impl Fn(Timestamp) -> bool) -> HistogramColumn {
    let mut out = HistogramColumn::default();
    for (at, _) in column
        .times()
        .iter()
        .enumerate()
        .filter(|(_, time)| keep(**time))
    {
        out.push_from(column, at);
    }
    out
}

fn keep(columns: &SeriesColumns, wanted: impl Fn(Timestamp) -> bool) -> SeriesColumns {
    SeriesColumns {
        floats: keep_floats(&columns.floats, &wanted),
        histograms: keep_histograms(&columns.histograms, &wanted),
    }
}

impl Series {
    fn newest(&self) -> Option<Timestamp> {
        self.columns
            .floats
            .times
            .last()
            .max(self.columns.histograms.times().last())
            .copied()
    }

    fn has_samples_in(&self, range: TimeRange) -> bool {
        !span(&self.columns.floats.times, range).is_empty()
            || !span(self.columns.histograms.times(), range).is_empty()
    }

    /// Whether the newest sample is this one.
    fn ends_with(&self, sample: &Sample) -> bool {
        match &sample.value {
            Owned::Float(value) => {
                let floats = &self.columns.floats;
                let same = floats
                    .values
                    .last()
                    .is_some_and(|last| last.to_bits() == value.to_bits());
                same && floats.times.last() == Some(&sample.time)
            }
            Owned::Histogram(value) => {
                self.ends_with_histogram(sample.time, HistogramRef::Integer(value))
            }
            Owned::FloatHistogram(value) => {
                self.ends_with_histogram(sample.time, HistogramRef::Float(value))
            }
        }
    }

    fn ends_with_histogram(&self, time: Timestamp, value: HistogramRef<'_>) -> bool {
        let column = &self.columns.histograms;
        column.times().last() == Some(&time) && column.get(column.len() - 1) == value
    }

    fn push(&mut self, sample: Sample) {
        let Sample {
            time, start, value, ..
        } = sample;
        match value {
            Owned::Float(value) => self.columns.floats.push_with_start(time, value, start),
            Owned::Histogram(value) => self.columns.histograms.push_integer(time, value, start),
            Owned::FloatHistogram(value) => self.columns.histograms.push_float(time, value, start),
        }
    }
}

impl State {
    /// Applies a sample; a batch that was committed in between may have made it stale.
    fn apply(&mut self, sample: Sample) {
        let series = &mut self.series[sample.series];
        if series.newest().is_none_or(|newest| newest < sample.time) {
            series.push(sample);
        }
    }
}

impl Append for MemoryStore {
    fn appender(&self, _: AppendOptions) -> Result<Box<dyn Appender + '_>> {
        Ok(Box::new(Batch {
            store: self,
            samples: Vec::new(),
            newest: HashMap::new(),
            exemplars: Vec::new(),
            metadata: Vec::new(),
        }))
    }
}

/// A batch that was not committed yet.
struct Batch<'a> {
    store: &'a MemoryStore,
    samples: Vec<Sample>,
    /// Position in `samples` of the newest sample of each series.
    newest: HashMap<usize, usize>,
    exemplars: Vec<(usize, Exemplar)>,
    metadata: Vec<(usize, Metadata)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    series: usize,
    time: Timestamp,
    start: Timestamp,
    value: Owned,
}

#[derive(Clone, Debug)]
enum Owned {
    Float(f64),
    Histogram(Arc<Histogram>),
    FloatHistogram(Arc<FloatHistogram>),
}

impl PartialEq for Owned {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Histogram(a), Self::Histogram(b)) => a == b,
            (Self::FloatHistogram(a), Self::FloatHistogram(b)) => a == b,
            _ => false,
        }
    }
}

impl Owned {
    fn checked(value: SampleValue<'_>) -> Result<Self, AppendError> {
        Ok(match value {
            SampleValue::Float(value) => Self::Float(value),
            SampleValue::Histogram(value) => {
                value.validate()?;
                Self::Histogram(Arc::new(value.clone()))
            }
            SampleValue::FloatHistogram(value) => {
                value.validate()?;
                Self::FloatHistogram(Arc::new(value.clone()))
            }
        })
    }
}

impl Batch<'_> {
    fn known(&self, series: SeriesRef) -> Result<usize, AppendError> {
        let at = usize::try_from(series.0).map_err(|_| AppendError::UnknownSeries)?;
        if at < self.store.state.read().series.len() {
            Ok(at)
        } else {
            Err(AppendError::UnknownSeries)
        }
    }

    /// Whether the sample is new, a silent repetition, or not acceptable.
    fn admit(&self, sample: &Sample) -> Result<bool, AppendError> {
        let (newest, same) = match self.newest.get(&sample.series) {
            Some(at) => (Some(self.samples[*at].time), self.samples[*at] == *sample),
            None => {
                let state = self.store.state.read();
                let series = &state.series[sample.series];
                (series.newest(), series.ends_with(sample))
            }
        };
        match newest {
            Some(newest) if newest > sample.time => Err(AppendError::OutOfOrder { newest }),
            Some(newest) if newest == sample.time && same => Ok(false),
            Some(newest) if newest == sample.time => Err(AppendError::DuplicateTimestamp),
            _ => Ok(true),
        }
    }
}

impl Appender for Batch<'_> {
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            return Err(AppendError::InvalidLabels(
                "a series needs at least one label".into(),
            ));
        }
        let mut state = self.store.state.write();
        let next = state.series.len();
        let at = *state.by_labels.entry(labels.clone()).or_insert(next);
        if at == next {
            state.series.push(Series {
                labels: labels.clone(),
                ..Series::default()
            });
        }
        Ok(SeriesRef(at as u64))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        start: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        let series = self.known(series)?;
        let sample = Sample {
            series,
            time,
            start,
            value: Owned::checked(value)?,
        };
        if self.admit(&sample)? {
            self.newest.insert(series, self.samples.len());
            self.samples.push(sample);
        }
        Ok(())
    }

    fn exemplar(&mut self, series: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let at = self.known(series)?;
        check_exemplar(exemplar)?;
        let pending = self
            .exemplars
            .iter()
            .rev()
            .find(|(series, _)| *series == at)
            .map(|(_, exemplar)| exemplar.clone());
        let newest =
            pending.or_else(|| self.store.state.read().series[at].exemplars.last().cloned());
        match newest {
            Some(newest) if newest == *exemplar => return Err(AppendError::ExemplarDuplicate),
            Some(newest) if newest.time > exemplar.time => {
                return Err(AppendError::ExemplarOutOfOrder);
            }
            _ => self.exemplars.push((at, exemplar.clone())),
        }
        Ok(())
    }

    fn metadata(&mut self, series: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let at = self.known(series)?;
        self.metadata.push((at, metadata.clone()));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Ticket> {
        let mut state = self.store.state.write();
        for sample in self.samples {
            state.apply(sample);
        }
        for (at, exemplar) in self.exemplars {
            state.series[at].exemplars.push(exemplar);
        }
        for (at, metadata) in self.metadata {
            state.series[at].metadata = Some(metadata);
        }
        Ok(Ticket::ready())
    }

    fn rollback(self: Box<Self>) {}
}

fn check_exemplar(exemplar: &Exemplar) -> Result<(), AppendError> {
    let limit = headwater_model::exemplar::EXEMPLAR_MAX_LABEL_CHARS;
    let chars: usize = exemplar
        .labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();
    if chars > limit {
        return Err(AppendError::ExemplarTooLong { limit });
    }
    if exemplar.time.is_none() {
        return Err(AppendError::Store(Error::new(
            ErrorKind::Invalid,
            "an exemplar needs a time before it can be stored",
        )));
    }
    Ok(())
}

impl Select for MemoryStore {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        let mut found = Vec::new();
        self.matching(&request.matchers, |series| {
            let columns = keep(&series.columns, |time| request.range.contains(time));
            if !columns.is_empty() {
                found.push((series.labels.clone(), columns));
            }
        });
        if request.hints.sorted {
            found.sort_by(|a, b| a.0.cmp(&b.0));
        }
        let cursor: Box<dyn SeriesCursor> = Box::new(CursorVec::new(found));
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

impl SelectChunks for MemoryStore {
    fn select_chunks(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn ChunkCursor>>> {
        let mut found = Vec::new();
        self.matching(&request.matchers, |series| {
            let mut chunks = encode_columns(&series.columns);
            chunks.retain(|chunk| {
                request
                    .range
                    .overlaps(&TimeRange::new(chunk.min_time, chunk.max_time))
            });
            if !chunks.is_empty() {
                found.push((series.labels.clone(), chunks));
            }
        });
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let cursor: Box<dyn ChunkCursor> = Box::new(Chunks {
            series: found.into_iter(),
            current: Vec::new(),
        });
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

struct Chunks {
    series: std::vec::IntoIter<(Labels, Vec<EncodedChunk>)>,
    current: Vec<EncodedChunk>,
}

impl ChunkCursor for Chunks {
    fn advance(&mut self) -> Result<Option<Labels>> {
        Ok(self.series.next().map(|(labels, chunks)| {
            self.current = chunks;
            labels
        }))
    }

    fn read(&mut self, into: &mut Vec<EncodedChunk>) -> Result<()> {
        *into = std::mem::take(&mut self.current);
        Ok(())
    }
}

impl LabelQueries for MemoryStore {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let mut names = Vec::new();
        self.in_range(&request, |labels| {
            names.extend(labels.iter().map(|(name, _)| name.to_owned()))
        });
        ready(LabelAnswer::from_unsorted(names, request.limit))
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let mut values = Vec::new();
        self.in_range(&request, |labels| {
            values.extend(labels.get(name).map(str::to_owned))
        });
        ready(LabelAnswer::from_unsorted(values, request.limit))
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        let mut found = Vec::new();
        self.in_range(&request, |labels| found.push(labels.clone()));
        ready(LabelAnswer::from_unsorted(found, request.limit))
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl SelectExemplars for MemoryStore {
    fn exemplars(
        &self,
        matcher_sets: Vec<Vec<Matcher>>,
        range: TimeRange,
    ) -> BoxFuture<'_, Result<Vec<ExemplarSeries>>> {
        let mut found = Vec::new();
        self.matching_any(&matcher_sets, |series| {
            let in_range =
                |exemplar: &&Exemplar| exemplar.time.is_some_and(|time| range.contains(time));
            let exemplars: Vec<_> = series.exemplars.iter().filter(in_range).cloned().collect();
            if !exemplars.is_empty() {
                found.push(ExemplarSeries {
                    labels: series.labels.clone(),
                    exemplars,
                });
            }
        });
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        ready(found)
    }
}

impl MetadataStore for MemoryStore {
    fn series_metadata(
        &self,
        matchers: Vec<Matcher>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<MetadataEntry>>> {
        let mut found = Vec::new();
        self.matching(&matchers, |series| {
            let room = limit == 0 || found.len() < limit;
            if let Some(metadata) = series.metadata.clone().filter(|_| room) {
                found.push(MetadataEntry {
                    labels: series.labels.clone(),
                    metadata,
                });
            }
        });
        ready(found)
    }
}

impl Delete for MemoryStore {
    fn delete(&self, matchers: Vec<Matcher>, range: TimeRange) -> BoxFuture<'_, Result<()>> {
        for series in &mut self.state.write().series {
            if fulfils(&series.labels, &matchers) {
                series.columns = keep(&series.columns, |time| !range.contains(time));
            }
        }
        ready(())
    }
}
