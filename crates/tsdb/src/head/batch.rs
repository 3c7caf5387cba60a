//! Collecting samples and committing them together.

use std::sync::Arc;

use hashbrown::HashMap;
use headwater_model::exemplar::EXEMPLAR_MAX_LABEL_CHARS;
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{
    Exemplar, FloatHistogram, Histogram, HistogramRef, Labels, Metadata, TimeRange, Timestamp,
};
use headwater_storage::{
    AppendError, AppendOptions, Appender, Error, ErrorKind, FloatSample, Result, SampleValue,
    SeriesRef, Ticket,
};

use super::exemplars::admit as admit_exemplar;
use super::late::{Late, LateValue};
use super::series::{Admission, Kind, Pending, Place, Series};
use super::{Head, slots};
use crate::log::Log;

/// A sample on its way into the head.
#[derive(Clone, Debug)]
pub(crate) struct Entry<V> {
    pub(crate) slot: u32,
    pub(crate) log_ref: u64,
    pub(crate) time: Timestamp,
    pub(crate) value: V,
}

/// Samples that may be logged and applied kind by kind: no series changes
/// its kind within a section.
#[derive(Debug, Default)]
pub(crate) struct Section {
    pub(crate) floats: Vec<Entry<f64>>,
    pub(crate) integers: Vec<Entry<Arc<Histogram>>>,
    pub(crate) float_histograms: Vec<Entry<Arc<FloatHistogram>>>,
}

impl Section {
    /// Adds the late samples of a series in a range.
    pub(crate) fn add_late(&mut self, slot: u32, log_ref: u64, late: &Late, range: TimeRange) {
        for (time, value) in late.iter().filter(|(time, _)| range.contains(*time)) {
            self.push_late(slot, log_ref, time, value.clone());
        }
    }

    fn push_late(&mut self, slot: u32, log_ref: u64, time: Timestamp, value: LateValue) {
        match value {
            LateValue::Float(value) => self.floats.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
            LateValue::Integer(value) => self.integers.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
            LateValue::FloatHistogram(value) => self.float_histograms.push(Entry {
                slot,
                log_ref,
                time,
                value,
            }),
        }
    }
}

/// What a batch will log and apply.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Series that the log does not know yet.
    pub(crate) new_series: Vec<(u64, Labels)>,
    pub(crate) sections: Vec<Section>,
    /// Samples older than the newest of their series.
    pub(crate) late: Section,
    pub(crate) exemplars: Vec<Entry<(Labels, Exemplar)>>,
    pub(crate) metadata: Vec<Entry<Arc<Metadata>>>,
}

/// How a sample comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    InOrder,
    Repeated,
    Late,
}

/// One open batch.
pub(crate) struct Batch<'h> {
    head: &'h Head,
    log: &'h Log,
    number: u32,
    oldest_accepted: Timestamp,
    /// The oldest time of a late sample that is accepted, if any is.
    oldest_late: Option<Timestamp>,
    contents: Contents,
    /// Slots of series that the log does not know yet, with repetitions.
    unlogged: Vec<u32>,
    /// Newest samples of series that another batch has claimed.
    contended: HashMap<u32, Place>,
    times: TimeRange,
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
        }
    }

    /// The newest sample of the series in this batch.
    #[inline]
    fn pending(&self, series: &Series, slot: u32) -> Option<Place> {
        match series.pending.batch {
            0 => None,
            batch if batch == self.number => Some(series.pending.place),
            _ => self.contended.get(&slot).copied(),
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

    /// Whether a sample may come in order, late, or not at all. `admission`
    /// says how it stands to the newest sample of its series.
    fn judge(
        &self,
        time: Timestamp,
        admission: Result<Admission, AppendError>,
    ) -> Result<Judgement, AppendError> {
        let in_time = time >= self.oldest_accepted;
        match (admission, self.oldest_late) {
            (Ok(Admission::New), _) if in_time => Ok(Judgement::InOrder),
            (Ok(Admission::Repeated), _) if in_time => Ok(Judgement::Repeated),
            (Err(AppendError::DuplicateTimestamp), _) if in_time => {
                self.head.counters.duplicates.add(1);
                Err(AppendError::DuplicateTimestamp)
            }
            (_, Some(oldest)) if time >= oldest => Ok(Judgement::Late),
            (_, Some(oldest)) => {
                self.head.counters.out_of_bounds.add(1);
                Err(AppendError::TooOld { oldest })
            }
            (Err(error), None) if in_time => {
                self.head.counters.out_of_order.add(1);
                Err(error)
            }
            (_, None) => {
                self.head.counters.out_of_bounds.add(1);
                Err(AppendError::OutOfBounds {
                    oldest: self.oldest_accepted,
                })
            }
        }
    }

    /// Takes a late sample, unless its series has a late one at its time.
    #[cold]
    fn append_late(
        &mut self,
        series: &mut Series,
        slot: u32,
        time: Timestamp,
        value: LateValue,
    ) -> Result<(), AppendError> {
        match series.late().and_then(|late| late.get(time)) {
            Some(there) if *there == value => return Ok(()),
            Some(_) => {
                self.head.counters.duplicates.add(1);
                return Err(AppendError::DuplicateTimestamp);
            }
            None => {}
        }
        if !series.logged {
            self.unlogged.push(slot);
        }
        self.contents
            .late
            .push_late(slot, series.log_ref, time, value);
        Ok(())
    }

    /// Whether a sample may follow the one at `place` of this batch.
    fn admit_after(
        &self,
        place: Place,
        time: Timestamp,
        value: &SampleValue<'_>,
    ) -> Result<Admission, AppendError> {
        let section = &self.contents.sections[usize::from(place.section)];
        let at = place.at as usize;
        let (newest, same) = match (place.kind, value) {
            (Kind::Float, value) => {
                let entry = &section.floats[at];
                let same =
                    matches!(value, SampleValue::Float(v) if v.to_bits() == entry.value.to_bits());
                (entry.time, same)
            }
            (Kind::Integer | Kind::CustomInteger, value) => {
                let entry = &section.integers[at];
                let same = matches!(value, SampleValue::Histogram(v) if **v == *entry.value);
                (entry.time, same)
            }
            (Kind::FloatHistogram | Kind::CustomFloatHistogram, value) => {
                let entry = &section.float_histograms[at];
                let same = matches!(value, SampleValue::FloatHistogram(v) if **v == *entry.value);
                (entry.time, same)
            }
        };
        match time.cmp(&newest) {
            std::cmp::Ordering::Greater => Ok(Admission::New),
            std::cmp::Ordering::Less => Err(AppendError::OutOfOrder { newest }),
            std::cmp::Ordering::Equal if same => Ok(Admission::Repeated),
            std::cmp::Ordering::Equal => Err(AppendError::DuplicateTimestamp),
        }
    }

    /// The section for a sample of this kind: a new one if the series has
    /// another kind in the current one.
    #[inline]
    fn section_for(&mut self, pending: Option<Place>, kind: Kind) -> Result<u16, AppendError> {
        let current = self.contents.sections.len() - 1;
        let clash = pending.is_some_and(|p| p.kind != kind && usize::from(p.section) == current);
        let section = if clash { current + 1 } else { current };
        let number = u16::try_from(section).map_err(|_| {
            let what = "a batch changes between kinds of samples more than 65535 times: commit it";
            AppendError::Store(Error::new(ErrorKind::Limit, what))
        })?;
        if clash {
            self.contents.sections.push(Section::default());
        }
        Ok(number)
    }

    #[inline]
    fn append_float(
        &mut self,
        reference: SeriesRef,
        time: Timestamp,
        value: f64,
    ) -> Result<(), AppendError> {
        let head = self.head;
        let (slot, _) = slots::split(reference);
        let mut series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        let pending = self.pending(&series, slot);
        let admission = match pending {
            None => series.admit_float(time, value),
            Some(place) => self.admit_after(place, time, &SampleValue::Float(value)),
        };
        match self.judge(time, admission)? {
            Judgement::InOrder => {}
            Judgement::Repeated => return Ok(()),
            Judgement::Late => {
                return self.append_late(&mut series, slot, time, LateValue::Float(value));
            }
        }
        let section = self.section_for(pending, Kind::Float)?;
        let floats = &mut self.contents.sections[usize::from(section)].floats;
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
        self.claim(&mut series, slot, place);
        self.note_time(time);
        Ok(())
    }

    fn append_histogram(
        &mut self,
        reference: SeriesRef,
        time: Timestamp,
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
                return self.append_late(&mut series, slot, time, value);
            }
        }
        let kind = kind_of(value);
        let section = self.section_for(pending, kind)?;
        let at = self.push_histogram(section, slot, series.log_ref, time, value);
        self.claim(&mut series, slot, Place { section, kind, at });
        self.note_time(time);
        Ok(())
    }

    fn push_histogram(
        &mut self,
        section: u16,
        slot: u32,
        log_ref: u64,
        time: Timestamp,
        value: HistogramRef<'_>,
    ) -> u32 {
        let section = &mut self.contents.sections[usize::from(section)];
        match value {
            HistogramRef::Integer(value) => {
                section.integers.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value: Arc::new(value.clone()),
                });
                section.integers.len() as u32 - 1
            }
            HistogramRef::Float(value) => {
                section.float_histograms.push(Entry {
                    slot,
                    log_ref,
                    time,
                    value: Arc::new(value.clone()),
                });
                section.float_histograms.len() as u32 - 1
            }
        }
    }

    #[inline]
    fn note_time(&mut self, time: Timestamp) {
        self.times.start = self.times.start.min(time);
        self.times.end = self.times.end.max(time);
    }

    fn collect_new_series(&mut self) {
        self.unlogged.sort_unstable();
        self.unlogged.dedup();
        for slot in &self.unlogged {
            if let Some(cell) = self.head.slots.get(*slot) {
                let series = cell.lock();
                let labels = series.labels.clone();
                self.contents.new_series.push((series.log_ref, labels));
            }
        }
    }

    fn mark_logged(&self) {
        for slot in &self.unlogged {
            if let Some(cell) = self.head.slots.get(*slot) {
                cell.lock().logged = true;
            }
        }
    }

    /// Applies what was logged. Another batch may have been faster with a
    /// series: what is not newer any more is dropped, here and in a replay.
    fn apply(&mut self) {
        let head = self.head;
        let range = head.bounds.chunk_range;
        let (commit, keep_from) = head.isolation.begin();
        for section in &self.contents.sections {
            each_series(head, self.number, &section.floats, |series, entry| {
                if series.push_float(entry.time, entry.value, range) {
                    series.trace.note(commit, keep_from, entry.time);
                }
            });
            each_series(head, self.number, &section.integers, |series, entry| {
                if series.push_integer(entry.time, &entry.value, range) {
                    series.trace.note(commit, keep_from, entry.time);
                }
            });
            each_series(
                head,
                self.number,
                &section.float_histograms,
                |series, entry| {
                    if series.push_float_histogram(entry.time, &entry.value, range) {
                        series.trace.note(commit, keep_from, entry.time);
                    }
                },
            );
        }
        self.apply_late();
        head.times.cover(self.times);
        head.isolation.complete(commit);
        self.apply_beside_samples();
        self.count();
    }

    fn apply_late(&mut self) {
        let (head, number) = (self.head, self.number);
        let mut times = TimeRange::new(Timestamp::MAX, Timestamp::MIN);
        let mut push = |series: &mut Series, time: Timestamp, value: LateValue| {
            if series.push_late(time, value) {
                times = TimeRange::new(times.start.min(time), times.end.max(time));
                head.counters.late_appended.add(1);
            }
        };
        let late = &self.contents.late;
        each_series(head, number, &late.floats, |series, entry| {
            push(series, entry.time, LateValue::Float(entry.value));
        });
        each_series(head, number, &late.integers, |series, entry| {
            push(
                series,
                entry.time,
                LateValue::Integer(Arc::clone(&entry.value)),
            );
        });
        each_series(head, number, &late.float_histograms, |series, entry| {
            let value = LateValue::FloatHistogram(Arc::clone(&entry.value));
            push(series, entry.time, value);
        });
        head.late_times.cover(times);
    }

    fn apply_beside_samples(&mut self) {
        let head = self.head;
        each_series(
            head,
            self.number,
            &self.contents.metadata,
            |series, entry| {
                let rare = series.rare.get_or_insert_default();
                rare.metadata = Some(Arc::clone(&entry.value));
            },
        );
        if !self.contents.exemplars.is_empty() {
            let mut ring = head.exemplars.lock();
            for entry in self.contents.exemplars.drain(..) {
                let (labels, exemplar) = entry.value;
                if ring.push(&labels, exemplar) {
                    head.counters.exemplars_appended.add(1);
                }
            }
        }
    }

    fn count(&self) {
        let counters = &self.head.counters;
        for section in &self.contents.sections {
            counters.floats_appended.add(section.floats.len() as u64);
            let histograms = section.integers.len() + section.float_histograms.len();
            counters.histograms_appended.add(histograms as u64);
        }
    }

    /// Gives up the claims on series.
    fn release(&mut self) {
        for section in &self.contents.sections {
            each_series(self.head, self.number, &section.floats, |_, _| {});
            each_series(self.head, self.number, &section.integers, |_, _| {});
            each_series(self.head, self.number, &section.float_histograms, |_, _| {});
        }
        self.contents.sections.clear();
    }
}

/// How many series ahead memory is asked for.
const SLOT_AHEAD: usize = 24;
const CHUNK_AHEAD: usize = 8;

/// Locks the series of each entry, gives up the batch's claim and acts.
#[inline]
fn each_series<V>(
    head: &Head,
    batch: u32,
    entries: &[Entry<V>],
    mut act: impl FnMut(&mut Series, &Entry<V>),
) {
    let slot_at = |at: usize| entries.get(at).and_then(|e| head.slots.get(e.slot));
    for (at, entry) in entries.iter().enumerate() {
        if let Some(later) = slot_at(at + SLOT_AHEAD) {
            later.prefetch();
        }
        if let Some(soon) = slot_at(at + CHUNK_AHEAD) {
            soon.prefetch_chunk();
        }
        let Some(cell) = head.slots.get(entry.slot) else {
            continue;
        };
        let mut series = cell.lock();
        if series.pending.batch == batch {
            series.pending.batch = 0;
        }
        // The slot may have got another series if this one was forgotten.
        if series.alive && series.log_ref == entry.log_ref {
            act(&mut series, entry);
            cell.note_chunk(&series);
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Appender for Batch<'_> {
    fn series(&mut self, labels: &Labels) -> Result<SeriesRef, AppendError> {
        if labels.is_empty() {
            let what = "a series needs at least one label".into();
            return Err(AppendError::InvalidLabels(what));
        }
        loop {
            let slot = self.head.get_or_create(labels, None)?;
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
        _start: Timestamp,
        value: SampleValue<'_>,
    ) -> Result<(), AppendError> {
        match value {
            SampleValue::Float(float) => self.append_float(series, time, float),
            SampleValue::Histogram(histogram) => {
                self.append_histogram(series, time, value, HistogramRef::Integer(histogram))
            }
            SampleValue::FloatHistogram(histogram) => {
                self.append_histogram(series, time, value, HistogramRef::Float(histogram))
            }
        }
    }

    fn append_floats(
        &mut self,
        samples: &[FloatSample],
        refused: &mut dyn FnMut(usize, AppendError),
    ) {
        let floats = self.contents.sections.last_mut().map(|s| &mut s.floats);
        if let Some(floats) = floats {
            floats.reserve(samples.len());
        }
        for (at, sample) in samples.iter().enumerate() {
            let later = samples.get(at + SLOT_AHEAD);
            let later = later.and_then(|s| self.head.slots.get(slots::split(s.series).0));
            if let Some(later) = later {
                later.prefetch_head();
            }
            if let Err(error) = self.append_float(sample.series, sample.time, sample.value) {
                refused(at, error);
            }
        }
    }

    fn exemplar(&mut self, reference: SeriesRef, exemplar: &Exemplar) -> Result<(), AppendError> {
        let head = self.head;
        let series = head
            .slots
            .lock(reference)
            .ok_or(AppendError::UnknownSeries)?;
        check_exemplar(exemplar)?;
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
            None => ring.newest(&series.labels),
        };
        if let Some(newest) = newest {
            admit_exemplar(newest, exemplar)?;
        }
        if !series.logged {
            self.unlogged.push(slot);
        }
        self.contents.exemplars.push(Entry {
            slot,
            log_ref: series.log_ref,
            time: exemplar.time.unwrap_or_default(),
            value: (series.labels.clone(), exemplar.clone()),
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
        let ticket = self.log.write(&records, &late)?;
        self.mark_logged();
        self.apply();
        // The claims were given up on the way.
        self.contents.sections.clear();
        Ok(ticket)
    }

    fn rollback(self: Box<Self>) {}
}

fn kind_of(value: HistogramRef<'_>) -> Kind {
    let custom = |schema| schema == CUSTOM_BUCKETS_SCHEMA;
    match value {
        HistogramRef::Integer(h) if custom(h.schema) => Kind::CustomInteger,
        HistogramRef::Integer(_) => Kind::Integer,
        HistogramRef::Float(h) if custom(h.schema) => Kind::CustomFloatHistogram,
        HistogramRef::Float(_) => Kind::FloatHistogram,
    }
}

fn check_exemplar(exemplar: &Exemplar) -> Result<(), AppendError> {
    let limit = EXEMPLAR_MAX_LABEL_CHARS;
    let chars: usize = exemplar
        .labels
        .iter()
        .map(|(name, value)| name.chars().count() + value.chars().count())
        .sum();
    if chars > limit {
        return Err(AppendError::ExemplarTooLong { limit });
    }
    if exemplar.time.is_none() {
        let what = "an exemplar needs a time before it can be stored";
        return Err(AppendError::Store(Error::new(ErrorKind::Invalid, what)));
    }
    Ok(())
}
