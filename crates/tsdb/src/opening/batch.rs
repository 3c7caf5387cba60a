//! Collecting samples for a store that is not there yet.

use std::sync::Arc;

use hashbrown::HashMap;
use headwater_model::{
    Exemplar, FloatHistogram, Histogram, HistogramRef, Labels, Metadata, Timestamp,
};
use headwater_storage::{AppendError, Appender, Result, SampleValue, SeriesRef, Ticket};

use super::early::{Early, EarlyPlace};
use crate::head::admit::{check_exemplar, kind_of};
use crate::head::contents::{Contents, Entry, Section};
use crate::head::series::Kind;
use crate::head::slots::{join, split};

/// No slot ever sees so many series: references with this generation are of
/// early series.
const EARLY: u32 = u32::MAX;
/// What a float takes while it waits.
const FLOAT_BYTES: usize = size_of::<Entry<f64>>();

/// One batch of early samples.
pub(super) struct EarlyBatch<'e> {
    early: &'e Early,
    contents: Contents,
    bytes: usize,
    /// Section and kind of the newest sample of each series.
    kinds: HashMap<u64, (usize, Kind)>,
}

impl<'e> EarlyBatch<'e> {
    pub(super) fn new(early: &'e Early) -> EarlyBatch<'e> {
        EarlyBatch {
            early,
            contents: Contents {
                sections: vec![Section::default()],
                ..Contents::default()
            },
            bytes: 0,
            kinds: HashMap::new(),
        }
    }

    fn number(&self, reference: SeriesRef) -> std::result::Result<u64, AppendError> {
        let (number, generation) = split(reference);
        match generation {
            EARLY => Ok(number.into()),
            _ => Err(AppendError::UnknownSeries),
        }
    }

    /// The section for a sample: no series changes its kind within one.
    fn section(&mut self, number: u64, kind: Kind) -> &mut Section {
        let current = self.contents.sections.len() - 1;
        let before = self.kinds.insert(number, (current, kind));
        if before.is_some_and(|(section, before)| section == current && before != kind) {
            self.contents.sections.push(Section::default());
            self.kinds.insert(number, (current + 1, kind));
        }
        let last = self.contents.sections.len() - 1;
        &mut self.contents.sections[last]
    }
}

impl Appender for EarlyBatch<'_> {
    fn series(&mut self, labels: &Labels) -> std::result::Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            let what = "a series needs at least one label".into();
            return Err(AppendError::InvalidLabels(what));
        }
        let number = self.early.state.lock().number_of(labels)?;
        let slot = u32::try_from(number)
            .map_err(|_| AppendError::SeriesLimit("too many early series".into()))?;
        Ok(join(slot, EARLY))
    }

    fn append(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        start: Timestamp,
        value: SampleValue<'_>,
    ) -> std::result::Result<(), AppendError> {
        let number = self.number(series)?;
        let start = if self.early.starts { start } else { 0 };
        let place = (number, time, start);
        let histogram = match value {
            SampleValue::Float(value) => {
                self.section(number, Kind::Float).add_float(place, value);
                self.bytes += FLOAT_BYTES;
                return Ok(());
            }
            SampleValue::Histogram(histogram) => HistogramRef::Integer(histogram),
            SampleValue::FloatHistogram(histogram) => HistogramRef::Float(histogram),
        };
        histogram.validate()?;
        self.section(number, kind_of(histogram))
            .add_histogram(place, histogram);
        self.bytes += FLOAT_BYTES + bytes_of(histogram);
        Ok(())
    }

    fn exemplar(
        &mut self,
        series: SeriesRef,
        exemplar: &Exemplar,
    ) -> std::result::Result<(), AppendError> {
        let number = self.number(series)?;
        check_exemplar(exemplar)?;
        self.bytes += size_of::<Exemplar>() + exemplar.labels.packed_len();
        self.contents.add_exemplar(number, exemplar.clone());
        Ok(())
    }

    fn metadata(
        &mut self,
        series: SeriesRef,
        metadata: &Metadata,
    ) -> std::result::Result<(), AppendError> {
        let number = self.number(series)?;
        self.bytes += size_of::<Metadata>() + metadata.unit.len() + metadata.help.len();
        self.contents.add_metadata(number, metadata.clone());
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<Ticket> {
        let batch = *self;
        batch.early.commit(batch.contents, batch.bytes)
    }

    fn rollback(self: Box<Self>) {}
}

fn bytes_of(histogram: HistogramRef<'_>) -> usize {
    let (spans, buckets) = match histogram {
        HistogramRef::Integer(h) => (
            h.positive_spans.len() + h.negative_spans.len(),
            h.positive_deltas.len() + h.negative_deltas.len(),
        ),
        HistogramRef::Float(h) => (
            h.positive_spans.len() + h.negative_spans.len(),
            h.positive_buckets.len() + h.negative_buckets.len(),
        ),
    };
    size_of::<Histogram>().max(size_of::<FloatHistogram>()) + 8 * (spans + buckets)
}

impl Section {
    /// Adds a float of an early series.
    pub(super) fn add_float(&mut self, (number, time, start): EarlyPlace, value: f64) {
        self.float_starts.note(self.floats.len(), start);
        self.floats.push(Entry {
            slot: 0,
            log_ref: number,
            time,
            value,
        });
    }

    /// Adds a histogram of an early series.
    pub(super) fn add_histogram(
        &mut self,
        (number, time, start): EarlyPlace,
        value: HistogramRef<'_>,
    ) {
        self.push_histogram(0, number, (time, start), value);
    }
}

impl Contents {
    /// Adds an exemplar of an early series.
    pub(super) fn add_exemplar(&mut self, number: u64, exemplar: Exemplar) {
        self.exemplars.push(Entry {
            slot: 0,
            log_ref: number,
            time: exemplar.time.unwrap_or_default(),
            value: (Labels::empty(), exemplar),
        });
    }

    /// Adds metadata of an early series.
    pub(super) fn add_metadata(&mut self, number: u64, metadata: Metadata) {
        self.metadata.push(Entry {
            slot: 0,
            log_ref: number,
            time: 0,
            value: Arc::new(metadata),
        });
    }
}
