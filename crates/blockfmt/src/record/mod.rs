//! Records of the write-ahead log: what a head writes before it believes it.
//!
//! A record is a type byte and a body. [`Record::parse`] looks at the type; what it answers is
//! read entry by entry, borrowed from the record, so that replay allocates nothing but what it
//! keeps. The writers of this module append a record to a buffer. How records become pages and
//! segments, and how they are compressed, is the log's business.
//!
//! | type | record | body |
//! |---|---|---|
//! | 1 | series | (u64 reference, labels)* |
//! | 2 | samples | u64 reference, u64 time; then (varint reference, varint time, u64 value)* as differences to these |
//! | 3 | tombstones | (u64 reference, varint first, varint last)* |
//! | 4 | exemplars | as 2, each with labels behind |
//! | 5 | mmap markers | (u64 reference, u64 chunk reference)*: what came before is in that chunk; out-of-order log only |
//! | 6 | metadata | (uvarint reference, u8 type, uvarint fields, (name, text)*)* |
//! | 7, 8 | integer, float histograms | as 2, a histogram instead of the value |
//! | 9, 10 | the same with custom bounds | apart, so that older readers skip them |
//! | 11 | samples with start timestamps | see [`Samples`] |
//! | 12, 13 | integer, float histograms with start timestamps | see [`Samples`] |
//! | 14 | least valid time | u64; checkpoints of Prometheus after 3.14 |
//!
//! Integers of fixed width are big-endian; labels are a uvarint number of pairs, then names and
//! values, each behind its length. Source: Prometheus, `tsdb/record/record.go`; its format page
//! lacks types 5 and 11 to 13.

mod exemplars;
mod histograms;
mod labels;
mod marks;
mod metadata;
mod samples;
mod series;

use headwater_model::Timestamp;

use crate::error::DecodeError;
use crate::input::Input;

pub use exemplars::{ExemplarEntry, Exemplars, ExemplarsWriter};
pub use histograms::{
    Entries as AnyHistograms, Entry as AnyHistogramEntry, FloatHistogramEntry, FloatHistograms,
    FloatHistogramsWriter, HistogramEntry, Histograms, HistogramsWriter, RecordedHistogram,
    Writer as AnyHistogramsWriter, decode_float_histogram, decode_histogram,
    encode_float_histogram, encode_histogram,
};
pub use labels::LabelPairs;
pub use marks::{
    MmapMarker, MmapMarkers, MmapMarkersWriter, TombstoneEntry, Tombstones, TombstonesWriter,
};
pub use metadata::{MetadataEntries, MetadataEntry, MetadataWriter};
pub use samples::{SampleEntry, Samples, SamplesWriter};
pub use series::{Series, SeriesWriter};

pub(crate) use labels::{put_labels, read_labels};

/// The number that stands for a series in a head and its log.
pub type SeriesRef = u64;

/// The types that this crate knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the table of the module says what each is")]
pub enum RecordType {
    Series = 1,
    Samples = 2,
    Tombstones = 3,
    Exemplars = 4,
    MmapMarkers = 5,
    Metadata = 6,
    Histograms = 7,
    FloatHistograms = 8,
    CustomHistograms = 9,
    CustomFloatHistograms = 10,
    SamplesWithStarts = 11,
    HistogramsWithStarts = 12,
    FloatHistogramsWithStarts = 13,
    MinValidTime = 14,
}

impl RecordType {
    /// All types, in ascending order of their numbers.
    pub const ALL: [Self; 14] = [
        Self::Series,
        Self::Samples,
        Self::Tombstones,
        Self::Exemplars,
        Self::MmapMarkers,
        Self::Metadata,
        Self::Histograms,
        Self::FloatHistograms,
        Self::CustomHistograms,
        Self::CustomFloatHistograms,
        Self::SamplesWithStarts,
        Self::HistogramsWithStarts,
        Self::FloatHistogramsWithStarts,
        Self::MinValidTime,
    ];

    /// The type with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// The number at the head of a record.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The name that Prometheus gives the type in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Series => "series",
            Self::Samples => "samples",
            Self::Tombstones => "tombstones",
            Self::Exemplars => "exemplars",
            Self::MmapMarkers => "mmapmarkers",
            Self::Metadata => "metadata",
            Self::Histograms => "histogram_samples",
            Self::FloatHistograms => "float_histogram_samples",
            Self::CustomHistograms => "custom_buckets_histogram_samples",
            Self::CustomFloatHistograms => "custom_buckets_float_histogram_samples",
            Self::SamplesWithStarts => "samples_v2",
            Self::HistogramsWithStarts => "histogram_samples_v2",
            Self::FloatHistogramsWithStarts => "float_histogram_samples_v2",
            Self::MinValidTime => "min_valid_time",
        }
    }
}

/// A record, ready to be read entry by entry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Record<'a> {
    /// New series with their labels.
    Series(Series<'a>),
    /// Floats, types 2 and 11.
    Samples(Samples<'a>),
    /// Deleted ranges of time.
    Tombstones(Tombstones<'a>),
    /// Exemplars.
    Exemplars(Exemplars<'a>),
    /// Chunks that hold what came before them in the out-of-order log.
    MmapMarkers(MmapMarkers<'a>),
    /// Type, unit and help of series.
    Metadata(MetadataEntries<'a>),
    /// Integer histograms, types 7, 9 and 12.
    Histograms(Histograms<'a>),
    /// Float histograms, types 8, 10 and 13.
    FloatHistograms(FloatHistograms<'a>),
    /// No sample before this time is valid.
    MinValidTime(Timestamp),
    /// A type that this crate does not know; it is for the caller to count and report it.
    Unknown(u8),
}

impl<'a> Record<'a> {
    /// Looks at the type of a record and at what stands before its entries.
    ///
    /// # Errors
    /// The record is empty, or too short for its head.
    pub fn parse(record: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::new("record", record);
        let number = input.byte()?;
        let Some(record_type) = RecordType::from_number(number) else {
            return Ok(Self::Unknown(number));
        };
        let body = Input::new(part(record_type), record).after_type()?;
        Ok(match record_type {
            RecordType::Series => Self::Series(Series::new(body)),
            RecordType::Samples => Self::Samples(Samples::new(body, false)?),
            RecordType::SamplesWithStarts => Self::Samples(Samples::new(body, true)?),
            RecordType::Tombstones => Self::Tombstones(Tombstones::new(body)),
            RecordType::Exemplars => Self::Exemplars(Exemplars::new(body)?),
            RecordType::MmapMarkers => Self::MmapMarkers(MmapMarkers::new(body)),
            RecordType::Metadata => Self::Metadata(MetadataEntries::new(body)),
            RecordType::Histograms | RecordType::CustomHistograms => {
                Self::Histograms(Histograms::new(body, false)?)
            }
            RecordType::HistogramsWithStarts => Self::Histograms(Histograms::new(body, true)?),
            RecordType::FloatHistograms | RecordType::CustomFloatHistograms => {
                Self::FloatHistograms(FloatHistograms::new(body, false)?)
            }
            RecordType::FloatHistogramsWithStarts => {
                Self::FloatHistograms(FloatHistograms::new(body, true)?)
            }
            RecordType::MinValidTime => Self::MinValidTime(min_valid_time(body)?),
        })
    }
}

/// Appends a record that says "no sample before `time` is valid", type 14.
pub fn encode_min_valid_time(out: &mut Vec<u8>, time: Timestamp) {
    out.push(RecordType::MinValidTime.number());
    crate::input::put_be64(out, time as u64);
}

fn min_valid_time(mut body: Input<'_>) -> Result<Timestamp, DecodeError> {
    let time = body.be64()? as Timestamp;
    body.finish()?;
    Ok(time)
}

fn part(record_type: RecordType) -> &'static str {
    match record_type {
        RecordType::Series => "series record",
        RecordType::Samples | RecordType::SamplesWithStarts => "samples record",
        RecordType::Tombstones => "tombstones record",
        RecordType::Exemplars => "exemplars record",
        RecordType::MmapMarkers => "mmap markers record",
        RecordType::Metadata => "metadata record",
        RecordType::MinValidTime => "least valid time record",
        RecordType::Histograms
        | RecordType::CustomHistograms
        | RecordType::HistogramsWithStarts => "histograms record",
        RecordType::FloatHistograms
        | RecordType::CustomFloatHistograms
        | RecordType::FloatHistogramsWithStarts => "float histograms record",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads a record to its end; answers the number of entries.
    fn drain(record: &[u8]) -> Result<usize, DecodeError> {
        let (mut labels, mut entries) = (Vec::new(), 0);
        match Record::parse(record)? {
            Record::Series(mut it) => {
                while it.next_into(&mut labels)?.is_some() {
                    entries += 1;
                }
            }
            Record::Exemplars(mut it) => {
                while it.next_into(&mut labels)?.is_some() {
                    entries += 1;
                }
            }
            Record::Samples(it) => entries = count(it)?,
            Record::Tombstones(it) => entries = count(it)?,
            Record::MmapMarkers(it) => entries = count(it)?,
            Record::Metadata(it) => entries = count(it)?,
            Record::Histograms(it) => entries = count(it)?,
            Record::FloatHistograms(it) => entries = count(it)?,
            Record::MinValidTime(_) | Record::Unknown(_) => {}
        }
        Ok(entries)
    }

    fn count<T>(
        mut entries: impl Iterator<Item = Result<T, DecodeError>>,
    ) -> Result<usize, DecodeError> {
        entries.try_fold(0, |count, entry| entry.map(|_| count + 1))
    }

    #[test]
    fn numbers_and_types_agree() {
        for record_type in RecordType::ALL {
            assert_eq!(
                RecordType::from_number(record_type.number()),
                Some(record_type)
            );
        }
        assert_eq!(
            (RecordType::from_number(0), RecordType::from_number(15)),
            (None, None)
        );
    }

    #[test]
    fn unknown_types_are_named() {
        assert!(matches!(
            Record::parse(&[77, 1, 2]).unwrap(),
            Record::Unknown(77)
        ));
        assert!(Record::parse(&[]).is_err());
    }

    #[test]
    fn the_least_valid_time_comes_back() {
        let mut out = Vec::new();
        encode_min_valid_time(&mut out, -5);
        assert!(matches!(
            Record::parse(&out).unwrap(),
            Record::MinValidTime(-5)
        ));
        out.push(0);
        assert!(Record::parse(&out).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record_type in 0u8..16, body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut record = vec![record_type];
            record.extend(body);
            if let Ok(entries) = drain(&record) {
                prop_assert!(entries <= record.len());
            }
        }
    }
}
