//! Collecting samples that are committed together.

use std::sync::Arc;

use hashbrown::HashMap;
use headwater_model::{Exemplar, HistogramRef, Labels, Metadata, TimeRange, Timestamp};
use headwater_storage::{
    AppendError, AppendOptions, Appender, Error, ErrorKind, FloatSample, Result, SampleValue,
    SeriesRef, Ticket,
};

use super::admit::{Judgement, check_exemplar, kind_of};
use super::commit::SLOT_AHEAD;
use super::contents::{Contents, Entry, Section};
use super::exemplars::admit as admit_exemplar;
use super::float_run::FloatRun;
use super::late::{LateSample, LateValue};
use super::series::{Kind, Pending, Place, Series};
use super::slots::{Ahead, Walk};
use super::{Head, slots};
use crate::log::Log;

/// One open batch.
pub(crate) struct Batch<'h> {
    pub(super) head: &'h Head,
    pub(super) log: &'h Log,
    pub(super) number: u32,
    pub(super) oldest_accepted: Timestamp,
    /// The oldest time of a late sample that is accepted, if any is.
    pub(super) oldest_late: Option<Timestamp>,
    pub(super) contents: Contents,
    /// Slots of series that the log does not know yet, with repetitions.
    pub(super) unlogged: Vec<u32>,
    /// Newest samples of series that another batch has claimed.
    pub(super) contended: HashMap<u32, Place>,
    pub(super) times: TimeRange,
    /// [`Head::forgotten`] when the batch began.
    forgotten: u64,
}
impl<'h> Batch<'h> {
    pub(crate) fn new(head: &'h Head, log: &'h Log, options: AppendOptions) -> Batch<'h> {
        let oldest_late = head.oldest_late().filter(|_| !options.discard_out_of_order);
        Batch {
            head,
            log,
            number: head.batch_number(),
            oldest_accepted: head.oldest_accepted(),
            oldest_late,
            contents: Contents {
                sections: vec![Section::default()],
                ..Contents::default()
            },
            unlogged: Vec::new(),
            contended: HashMap::new(),
            times: TimeRange::new(Timestamp::MAX, Timestamp::MIN),
            forgotten: head.forgotten(),
        }
    }

    /// Remembers the newest sample of the series in this batch.
    #[inline]
    fn claim(&mut self, series: &mut Series, slot: u32, place: Place) {
        if series.pending.batch == 0 || series.pending.batch == self.number {
            series.pending = Pending {
                batch: self.number,
                place,
            };
        } else {
            self.contended.insert(slot, place);
        }
        if !series.logged {
            self.unlogged.push(slot);
        }
    }

    /// Takes a late sample, unless its series has a late one at its time.
    #[cold]
    fn append_late(
        &mut self,
        series: &mut Series,
        slot: u32,
        sample: LateSample,
    ) -> Result<(), AppendError> {
        match series.late().and_then(|late| late.get(sample.time)) {
            Some(there) if *there == sample.value => return Ok(()),
            Some(_) => {
                self.head.counters.duplicates.add(1);
                return Err(AppendError::DuplicateTimestamp);
            }
            None => {}
        }
        if !series.logged {
            self.unlogged.push(slot);
        }
        self.contents.late.push_late(slot, series.log_ref, sample);
        Ok(())
    }

    fn append_float(
        &mut self,
        reference: SeriesRef,
        times: (Timestamp, Timestamp),
        value: f64,
    ) -> Result<(), AppendError> {
        let head = self.head;
        let (slot, _) = slots::split(reference);
        let mut series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        self.append_float_to(&mut series, slot, times, value)
    }

    #[inline]
    fn append_float_to(
        &mut self,
        series: &mut Series,
        slot: u32,
        (time, start): (Timestamp, Timestamp),
        value: f64,
    ) -> Result<(), AppendError> {
        let pending = self.pending(series, slot);
        // Nearly all samples are the first of their series in the batch and
        // newer than what is there: no more need be asked of them.
        let plain = pending.is_none() && time > series.newest && time >= self.oldest_accepted;
        if !plain {
            let admission = match pending {
                None => series.admit_float(time, value),
                Some(place) => self.admit_after(place, time, &SampleValue::Float(value)),
            };
            match self.judge(time, admission)? {
                Judgement::InOrder => {}
                Judgement::Repeated => return Ok(()),
                Judgement::Late => {
                    let value = LateValue::Float(value);
                    let sample = LateSample { time, start, value };
                    return self.append_late(series, slot, sample);
                }
            }
        }
        let section = self.section_for(pending, Kind::Float)?;
        let current = &mut self.contents.sections[usize::from(section)];
        let floats = &mut current.floats;
        current.float_starts.note(floats.len(), start);
        let place = Place {
            section,
            kind: Kind::Float,
            at: floats.len() as u32,
        };
        floats.push(Entry {
            slot,
            log_ref: series.log_ref,
            time,
            value,
        });
        self.claim(series, slot, place);
        self.note_time(time);
        Ok(())
    }

    fn append_histogram(
        &mut self,
        reference: SeriesRef,
        (time, start): (Timestamp, Timestamp),
        sample: SampleValue<'_>,
        value: HistogramRef<'_>,
    ) -> Result<(), AppendError> {
        let head = self.head;
        let (slot, _) = slots::split(reference);
        let mut series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        value.validate()?;
        let pending = self.pending(&series, slot);
        let admission = match pending {
            None => series.admit_histogram(time, value),
            Some(place) => self.admit_after(place, time, &sample),
        };
        match self.judge(time, admission)? {
            Judgement::InOrder => {}
            Judgement::Repeated => return Ok(()),
            Judgement::Late => {
                let value = match value {
                    HistogramRef::Integer(value) => LateValue::Integer(Arc::new(value.clone())),
                    HistogramRef::Float(value) => {
                        LateValue::FloatHistogram(Arc::new(value.clone()))
                    }
                };
                let sample = LateSample { time, start, value };
                return self.append_late(&mut series, slot, sample);
            }
        }
        let kind = kind_of(value);
        let section = self.section_for(pending, kind)?;
        let current = &mut self.contents.sections[usize::from(section)];
        let at = current.push_histogram(slot, series.log_ref, (time, start), value);
        self.claim(&mut series, slot, Place { section, kind, at });
        self.note_time(time);
        Ok(())
    }

    #[inline]
    fn note_time(&mut self, time: Timestamp) {
        self.times.start = self.times.start.min(time);
        self.times.end = self.times.end.max(time);
    }
}

impl Appender for Batch<'_> {
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            let what = "a series needs at least one label".into();
            return Err(AppendError::InvalidLabels(what));
        }
        loop {
            let slot = self.head.get_or_create(labels)?;
            // The series may have been forgotten between the two steps.
            if let Some(cell) = self.head.slots.get(slot) {
                let series = cell.lock();
                if series.alive && series.labels == *labels {
                    return Ok(slots::join(slot, series.generation));
                }
            }
        }
    }

    fn append(
        &mut self,
        series: SeriesRef,
        time: Timestamp,
        start: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        let start = if self.head.choice.starts { start } else { 0 };
        let times = (time, start);
        match value {
            SampleValue::Float(float) => self.append_float(series, times, float),
            SampleValue::Histogram(histogram) => {
                self.append_histogram(series, times, value, HistogramRef::Integer(histogram))
            }
            SampleValue::FloatHistogram(histogram) => {
                self.append_histogram(series, times, value, HistogramRef::Float(histogram))
            }
        }
    }

    fn append_floats(
        &mut self,
        samples: &[FloatSample],
        refused: &mut dyn FnMut(usize, AppendError),
    ) {
        let head = self.head;
        let mut run = FloatRun::begin(self, samples.len());
        let mut walk = Walk::new(&head.slots);
        let mut ahead = Ahead::new(&head.slots);
        for (at, sample) in samples.iter().enumerate() {
            if let Some(later) = samples.get(at + SLOT_AHEAD)
                && let Some(slot) = ahead.next(slots::split(later.series).0)
            {
                slot.prefetch_head();
            }
            let (slot, generation) = slots::split(sample.series);
            let mut series = walk.series(slot).map(|(series, _)| series);
            if let Some(series) = &mut series
                && series.is(generation)
                && run.take(series, slot, sample)
            {
                continue;
            }
            run.end(self);
            let done = match series.filter(|series| series.is(generation)) {
                Some(series) => self.append_float_to(series, slot, (sample.time, 0), sample.value),
                None => Err(AppendError::UnknownSeries),
            };
            if let Err(error) = done {
                // Who hears of it may want to look at the series.
                walk.release();
                refused(at, error);
            }
            run = FloatRun::begin(self, samples.len() - at);
        }
        run.end(self);
    }

    fn exemplar(&mut self, reference: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let head = self.head;
        let series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        check_exemplar(exemplar)?;
        let (labels, log_ref, logged) = (series.labels.clone(), series.log_ref, series.logged);
        // The ring may be locked by one who asks for series.
        drop(series);
        let ring = head.exemplars.lock();
        if !ring.is_enabled() {
            return Ok(());
        }
        let (slot, _) = slots::split(reference);
        let pending = self
            .contents
            .exemplars
            .iter()
            .rev()
            .find(|e| e.slot == slot);
        let newest = match pending {
            Some(entry) => Some(&entry.value.1),
            None => ring.newest(&labels),
        };
        if let Some(newest) = newest {
            admit_exemplar(newest, exemplar)?;
        }
        if !logged {
            self.unlogged.push(slot);
        }
        self.contents.exemplars.push(Entry {
            slot,
            log_ref,
            time: exemplar.time.unwrap_or_default(),
            value: (labels, exemplar.clone()),
        });
        Ok(())
    }

    fn metadata(&mut self, reference: SeriesRef, metadata: &Metadata) -> Result<(), AppendError> {
        let head = self.head;
        let series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        let known = series.rare.as_ref().and_then(|rare| rare.metadata.as_ref());
        if known.is_some_and(|known| **known == *metadata) {
            return Ok(());
        }
        let (slot, _) = slots::split(reference);
        if !series.logged {
            self.unlogged.push(slot);
        }
        self.contents.metadata.push(Entry {
            slot,
            log_ref: series.log_ref,
            time: 0,
            value: head.intern_metadata(metadata),
        });
        Ok(())
    }

    fn commit(mut self: Box<Self>) -> Result<Ticket> {
        self.collect_new_series();
        let records = self.log.encode(&self.contents);
        let late = self.log.encode_late(&self.contents);
        let head = self.head;
        let _order = head.order.lock();
        if self.times.start < head.times.min_valid() && !self.times.is_empty() {
            let what = "a block was made of the time of this batch while it was open: try again";
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        if self.forgotten != head.forgotten() && !self.has_its_series() {
            let what = "a series of this batch has left the head while it was open: try again";
            return Err(Error::new(ErrorKind::Unavailable, what));
        }
        let ticket = self.log.write(&records, &late)?;
        self.mark_logged();
        self.apply();
        // The claims were given up on the way.
        self.contents.sections.clear();
        Ok(ticket)
    }

    fn rollback(self: Box<Self>) {}
}
