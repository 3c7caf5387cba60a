//! Which samples a batch takes: in order, late, or not at all.

use headwater_model::exemplar::EXEMPLAR_MAX_LABEL_CHARS;
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{Exemplar, HistogramRef, Timestamp};
use headwater_storage::{AppendError, Error, ErrorKind, SampleValue};

use super::batch::Batch;
use super::contents::Section;
use super::series::{Admission, Kind, Place, Series};

/// How a sample comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    InOrder,
    Repeated,
    Late,
}

impl Batch<'_> {
    /// The newest sample of the series in this batch.
    #[inline]
    pub(super) fn pending(&self, series: &Series, slot: u32) -> Option<Place> {
        match series.pending.batch {
            0 => None,
            batch if batch == self.number => Some(series.pending.place),
            _ => self.contended.get(&slot).copied(),
        }
    }

    /// Whether a sample may come in order, late, or not at all. `admission`
    /// says how it stands to the newest sample of its series.
    pub(super) fn judge(
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

    /// Whether a sample may follow the one at `place` of this batch.
    pub(super) fn admit_after(
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
    pub(super) fn section_for(
        &mut self,
        pending: Option<Place>,
        kind: Kind,
    ) -> Result<u16, AppendError> {
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
}

pub(crate) fn kind_of(value: HistogramRef<'_>) -> Kind {
    let custom = |schema| schema == CUSTOM_BUCKETS_SCHEMA;
    match value {
        HistogramRef::Integer(h) if custom(h.schema) => Kind::CustomInteger,
        HistogramRef::Integer(_) => Kind::Integer,
        HistogramRef::Float(h) if custom(h.schema) => Kind::CustomFloatHistogram,
        HistogramRef::Float(_) => Kind::FloatHistogram,
    }
}

pub(crate) fn check_exemplar(exemplar: &Exemplar) -> Result<(), AppendError> {
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
