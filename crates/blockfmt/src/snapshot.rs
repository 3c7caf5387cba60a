//! Records of a chunk snapshot: the head as it was at shutdown, framed like the write-ahead log.
//!
//! | type | record | body |
//! |---|---|---|
//! | 1 | series | u64 reference, labels, u64 zero (once the chunk range), uvarint 1 if a chunk follows |
//! | | its chunk | u64 first time, u64 last time, u8 encoding, uvarint length, data |
//! | | its last value | floats: three times 16 zero bytes, u64 zero, u64 value; histograms: as in log records |
//! | 2 | tombstones | uvarint length, then version and tombstones as in the tombstones file |
//! | 3 | exemplars | as in log records |
//!
//! Series come first, one a record, then one record of tombstones, then exemplars, at most
//! [`MAX_EXEMPLARS_PER_RECORD`] each. Source: Prometheus, `tsdb/head_wal.go`; its format page
//! shows an older layout.

use headwater_model::{FloatHistogram, Histogram, Labels, Timestamp};

use crate::chunk::Encoding;
use crate::error::{Cause, DecodeError};
use crate::input::{Input, put_be64, put_bytes, put_float};
use crate::record::{
    ExemplarEntry, Exemplars, ExemplarsWriter, LabelPairs, SeriesRef, TombstoneEntry,
    decode_float_histogram, decode_histogram, encode_float_histogram, encode_histogram, put_labels,
    read_labels,
};
use crate::tombstones;

const SERIES: u8 = 1;
const TOMBSTONES: u8 = 2;
const EXEMPLARS: u8 = 3;
/// Writers begin a new record after so many exemplars.
pub const MAX_EXEMPLARS_PER_RECORD: usize = 10_000;
/// Where the last four samples of a float series once stood.
const OLD_SAMPLES: [u8; 56] = [0; 56];

/// A record of a snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SnapshotRecord<'a> {
    /// A series.
    Series(SnapshotSeries<'a>),
    /// All tombstones.
    Tombstones(Vec<TombstoneEntry>),
    /// Some exemplars.
    Exemplars(Exemplars<'a>),
    /// A type that this crate does not know.
    Unknown(u8),
}

/// A series of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotSeries<'a> {
    /// Its reference.
    pub reference: SeriesRef,
    /// Its labels, borrowed from the record.
    pub labels: LabelPairs<'a>,
    /// Its growing chunk, if it had one.
    pub chunk: Option<SnapshotChunk<'a>>,
}

/// The growing chunk of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotChunk<'a> {
    /// Time of the first sample, in milliseconds.
    pub min_time: Timestamp,
    /// Time of the last sample, in milliseconds.
    pub max_time: Timestamp,
    /// How to read `data`.
    pub encoding: Encoding,
    /// The chunk's bytes.
    pub data: &'a [u8],
    /// The last sample's value.
    pub last: LastValue,
}

/// The value of a series' last sample.
#[derive(Clone, Debug, PartialEq)]
pub enum LastValue {
    /// A float.
    Float(f64),
    /// An integer histogram.
    Histogram(Box<Histogram>),
    /// A float histogram.
    FloatHistogram(Box<FloatHistogram>),
}

impl<'a> SnapshotRecord<'a> {
    /// Reads a record.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn parse(record: &'a [u8]) -> Result<Self, DecodeError> {
        let mut input = Input::new("snapshot record", record);
        Ok(match input.byte()? {
            SERIES => Self::Series(read_series(input)?),
            TOMBSTONES => Self::Tombstones(read_tombstones(input)?),
            EXEMPLARS => Self::Exemplars(Exemplars::new(input)?),
            number => Self::Unknown(number),
        })
    }
}

fn read_series(mut input: Input<'_>) -> Result<SnapshotSeries<'_>, DecodeError> {
    let reference = input.be64()?;
    let mut labels = Vec::new();
    read_labels(&mut input, &mut labels)?;
    let _chunk_range = input.be64()?;
    let chunk = match input.uvarint()? {
        0 => None,
        _ => Some(read_chunk(&mut input)?),
    };
    Ok(SnapshotSeries {
        reference,
        labels,
        chunk,
    })
}

fn read_chunk<'a>(input: &mut Input<'a>) -> Result<SnapshotChunk<'a>, DecodeError> {
    let (min_time, max_time) = (input.be64()? as Timestamp, input.be64()? as Timestamp);
    let (at, number) = (input.offset(), input.byte()?);
    let encoding = Encoding::from_number(number).map_err(|error| error.at_base(at))?;
    let data = input.len_bytes()?;
    let last = read_last(input, encoding)?;
    Ok(SnapshotChunk {
        min_time,
        max_time,
        encoding,
        data,
        last,
    })
}

fn read_last(input: &mut Input<'_>, encoding: Encoding) -> Result<LastValue, DecodeError> {
    let at = input.offset();
    Ok(match encoding {
        Encoding::Xor | Encoding::Xor2 => {
            input.bytes(OLD_SAMPLES.len())?;
            LastValue::Float(input.float()?)
        }
        Encoding::Histogram | Encoding::HistogramSt => {
            let histogram = decode_histogram(input.rest()).map_err(|error| error.at_base(at))?;
            LastValue::Histogram(Box::new(histogram))
        }
        Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
            let histogram =
                decode_float_histogram(input.rest()).map_err(|error| error.at_base(at))?;
            LastValue::FloatHistogram(Box::new(histogram))
        }
    })
}

fn read_tombstones(mut input: Input<'_>) -> Result<Vec<TombstoneEntry>, DecodeError> {
    let body = input.len_bytes()?;
    let at = input.offset() - body.len();
    input.finish()?;
    tombstones::read_body(Input::new("snapshot record", body)).map_err(|error| error.at_base(at))
}

/// Appends the record of a series.
///
/// # Panics
/// The last value is not of the chunk's kind.
pub fn put_series(
    out: &mut Vec<u8>,
    reference: SeriesRef,
    labels: &Labels,
    chunk: Option<&SnapshotChunk<'_>>,
) {
    out.push(SERIES);
    put_be64(out, reference);
    put_labels(out, labels);
    put_be64(out, 0);
    let Some(chunk) = chunk else {
        return out.push(0);
    };
    out.push(1);
    put_be64(out, chunk.min_time as u64);
    put_be64(out, chunk.max_time as u64);
    out.push(chunk.encoding.number());
    put_bytes(out, chunk.data);
    match (chunk.encoding, &chunk.last) {
        (Encoding::Xor | Encoding::Xor2, LastValue::Float(value)) => {
            out.extend_from_slice(&OLD_SAMPLES);
            put_float(out, *value);
        }
        (Encoding::Histogram | Encoding::HistogramSt, LastValue::Histogram(histogram)) => {
            encode_histogram(out, histogram);
        }
        (
            Encoding::FloatHistogram | Encoding::FloatHistogramSt,
            LastValue::FloatHistogram(histogram),
        ) => {
            encode_float_histogram(out, histogram);
        }
        (encoding, last) => panic!("a chunk of encoding {encoding:?} does not end in {last:?}"),
    }
}

/// Appends the record of all tombstones.
pub fn put_tombstones(out: &mut Vec<u8>, entries: impl IntoIterator<Item = TombstoneEntry>) {
    let mut body = Vec::new();
    tombstones::put_body(&mut body, entries);
    out.push(TOMBSTONES);
    put_bytes(out, &body);
}

/// Appends a record of exemplars. The caller keeps to [`MAX_EXEMPLARS_PER_RECORD`].
pub fn put_exemplars<'a>(
    out: &mut Vec<u8>,
    exemplars: impl IntoIterator<Item = (ExemplarEntry, &'a Labels)>,
) {
    out.push(EXEMPLARS);
    let mut writer = ExemplarsWriter::body(out);
    for (exemplar, labels) in exemplars {
        writer.push(exemplar, labels);
    }
}

/// An error for a snapshot record of unknown type, for callers that refuse those.
pub fn unknown_type(number: u8) -> DecodeError {
    DecodeError::new(
        "snapshot record",
        0,
        Cause::Unsupported {
            what: "record type",
            number: number.into(),
        },
    )
}

#[cfg(test)]
mod tests {
    use headwater_model::TimeRange;
    use proptest::prelude::*;

    use super::*;

    fn labels() -> Labels {
        Labels::from_pairs([("__name__", "up"), ("job", "x")])
    }

    fn chunk(encoding: Encoding, last: LastValue) -> SnapshotChunk<'static> {
        SnapshotChunk {
            min_time: -1,
            max_time: 5,
            encoding,
            data: &[1, 2, 3],
            last,
        }
    }

    #[test]
    fn series_come_back() {
        let histogram = Histogram {
            count: 5,
            positive_deltas: vec![1, 2],
            ..Histogram::default()
        };
        let float = LastValue::FloatHistogram(Box::new(histogram.to_float()));
        for chunk in [
            None,
            Some(chunk(Encoding::Xor, LastValue::Float(-0.5))),
            Some(chunk(Encoding::Xor2, LastValue::Float(1.0))),
            Some(chunk(
                Encoding::Histogram,
                LastValue::Histogram(Box::new(histogram)),
            )),
            Some(chunk(Encoding::FloatHistogramSt, float)),
        ] {
            let mut out = Vec::new();
            put_series(&mut out, 9, &labels(), chunk.as_ref());
            let SnapshotRecord::Series(series) = SnapshotRecord::parse(&out).unwrap() else {
                panic!("a series")
            };
            assert_eq!((series.reference, series.labels.len()), (9, 2));
            assert_eq!(Labels::from_pairs(series.labels), labels());
            assert_eq!(series.chunk, chunk);
            assert!((1..out.len()).all(|len| SnapshotRecord::parse(&out[..len]).is_err()));
        }
    }

    #[test]
    fn tombstones_and_exemplars_come_back() {
        let stone = TombstoneEntry {
            reference: 3,
            range: TimeRange::new(-9, 9),
        };
        let mut out = Vec::new();
        put_tombstones(&mut out, [stone]);
        assert_eq!(out, [2, 4, 1, 3, 17, 18]);
        let SnapshotRecord::Tombstones(read) = SnapshotRecord::parse(&out).unwrap() else {
            panic!("tombstones")
        };
        assert_eq!(read, [stone]);
        out.clear();
        let exemplar = ExemplarEntry {
            reference: 4,
            time: 7,
            value: 2.0,
        };
        put_exemplars(&mut out, [(exemplar, &labels())]);
        let SnapshotRecord::Exemplars(mut read) = SnapshotRecord::parse(&out).unwrap() else {
            panic!("exemplars")
        };
        assert_eq!(read.next_into(&mut Vec::new()).unwrap(), Some(exemplar));
        assert!(matches!(
            SnapshotRecord::parse(&[9]).unwrap(),
            SnapshotRecord::Unknown(9)
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(kind in 0u8..4, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut record = vec![kind];
            record.extend(body);
            let _ = SnapshotRecord::parse(&record);
        }
    }
}
