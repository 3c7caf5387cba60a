//! Histograms in records, types 7 to 10, 12 and 13.
//!
//! | field | integer | float |
//! |---|---|---|
//! | counter reset hint | u8: 0 unknown, 1 reset, 2 no reset, 3 gauge | same |
//! | schema, zero threshold | varint, 64 bits | same |
//! | zero count, count, sum | uvarint, uvarint, 64 bits | 64 bits each |
//! | positive spans, negative spans | uvarint number, (varint offset, uvarint length)* | same |
//! | positive buckets, negative buckets | uvarint number, varint* | uvarint number, 64 bits* |
//! | custom bounds | only for schema −53: uvarint number, 64 bits* | same |

use std::sync::Arc;

use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{FloatHistogram, Histogram, ResetHint, Span, Timestamp};

use super::samples::{Place, PlaceWriter, Places};
use super::{RecordType, SeriesRef};
use crate::error::DecodeError;
use crate::input::{Input, put_float, put_uvarint, put_varint};

/// One histogram of one series. The histogram is as it was read: validate it before use.
#[derive(Clone, Debug)]
pub struct Entry<H> {
    /// The series.
    pub reference: SeriesRef,
    /// Time in milliseconds.
    pub time: Timestamp,
    /// Start timestamp, 0 for none.
    pub start: Timestamp,
    /// The value; may be a stale marker.
    pub histogram: H,
}

/// One integer histogram of one series.
pub type HistogramEntry = Entry<Histogram>;
/// One float histogram of one series.
pub type FloatHistogramEntry = Entry<FloatHistogram>;

/// Integer and float histograms, as far as records are concerned. Sealed.
pub trait RecordedHistogram: Sized + sealed::Sealed {
    #[doc(hidden)]
    const TYPES: [RecordType; 3];
    #[doc(hidden)]
    fn schema(&self) -> i32;
    #[doc(hidden)]
    fn encode(&self, out: &mut Vec<u8>);
    #[doc(hidden)]
    fn decode(input: &mut sealed::Bytes<'_>) -> Result<Self, DecodeError>;
}

mod sealed {
    use super::{FloatHistogram, Histogram, Input};

    pub trait Sealed {}
    impl Sealed for Histogram {}
    impl Sealed for FloatHistogram {}

    #[derive(Clone, Debug)]
    pub struct Bytes<'a>(pub(in crate::record) Input<'a>);
}

/// The histograms of a record.
#[derive(Clone, Debug)]
pub struct Entries<'a, H> {
    input: sealed::Bytes<'a>,
    places: Places,
    kind: std::marker::PhantomData<H>,
}

/// The integer histograms of a record.
pub type Histograms<'a> = Entries<'a, Histogram>;
/// The float histograms of a record.
pub type FloatHistograms<'a> = Entries<'a, FloatHistogram>;

impl<'a, H: RecordedHistogram> Entries<'a, H> {
    pub(super) fn new(mut input: Input<'a>, with_starts: bool) -> Result<Self, DecodeError> {
        let places = Places::read_head(&mut input, with_starts)?;
        Ok(Self {
            input: sealed::Bytes(input),
            places,
            kind: std::marker::PhantomData,
        })
    }

    fn read(&mut self) -> Result<Entry<H>, DecodeError> {
        let Place {
            reference,
            time,
            start,
        } = self.places.read(&mut self.input.0)?;
        Ok(Entry {
            reference,
            time,
            start,
            histogram: H::decode(&mut self.input)?,
        })
    }
}

impl<H: RecordedHistogram> Iterator for Entries<'_, H> {
    type Item = Result<Entry<H>, DecodeError>;

    /// After an error, nothing follows.
    fn next(&mut self) -> Option<Self::Item> {
        if self.input.0.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.input.0.end();
        }
        Some(entry)
    }
}

/// Writes a record of histograms.
#[derive(Debug)]
pub struct Writer<'a, H> {
    out: &'a mut Vec<u8>,
    places: PlaceWriter,
    kind: std::marker::PhantomData<H>,
}

/// Writes a record of integer histograms.
pub type HistogramsWriter<'a> = Writer<'a, Histogram>;
/// Writes a record of float histograms.
pub type FloatHistogramsWriter<'a> = Writer<'a, FloatHistogram>;

impl<'a, H: RecordedHistogram> Writer<'a, H> {
    /// Begins a record of exponential histograms, type 7 or 8, at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self::begin(out, H::TYPES[0], false)
    }

    /// Begins a record of histograms with custom bounds, type 9 or 10.
    pub fn custom(out: &'a mut Vec<u8>) -> Self {
        Self::begin(out, H::TYPES[1], false)
    }

    /// Begins a record of either, with start timestamps, type 12 or 13, which Prometheus before
    /// 3.12 skips silently.
    pub fn with_starts(out: &'a mut Vec<u8>) -> Self {
        Self::begin(out, H::TYPES[2], true)
    }

    fn begin(out: &'a mut Vec<u8>, record_type: RecordType, with_starts: bool) -> Self {
        out.push(record_type.number());
        Self {
            out,
            places: PlaceWriter::new(with_starts),
            kind: std::marker::PhantomData,
        }
    }

    /// Adds a histogram. `start` is kept only in a record with starts.
    pub fn push(&mut self, reference: SeriesRef, time: Timestamp, start: Timestamp, histogram: &H) {
        self.places.write(
            self.out,
            Place {
                reference,
                time,
                start,
            },
        );
        histogram.encode(self.out);
    }
}

/// Appends a histogram as records hold it: chunk snapshots do so, too.
pub fn encode_histogram(out: &mut Vec<u8>, histogram: &Histogram) {
    histogram.encode(out);
}

/// Appends a float histogram as records hold it.
pub fn encode_float_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    histogram.encode(out);
}

/// Reads a histogram that fills `data`.
///
/// # Errors
/// The bytes are damaged.
pub fn decode_histogram(data: &[u8]) -> Result<Histogram, DecodeError> {
    whole(Input::new("histogram", data))
}

/// Reads a float histogram that fills `data`.
///
/// # Errors
/// The bytes are damaged.
pub fn decode_float_histogram(data: &[u8]) -> Result<FloatHistogram, DecodeError> {
    whole(Input::new("float histogram", data))
}

fn whole<H: RecordedHistogram>(input: Input<'_>) -> Result<H, DecodeError> {
    let mut bytes = sealed::Bytes(input);
    let histogram = H::decode(&mut bytes)?;
    bytes.0.finish()?;
    Ok(histogram)
}

impl RecordedHistogram for Histogram {
    const TYPES: [RecordType; 3] = [
        RecordType::Histograms,
        RecordType::CustomHistograms,
        RecordType::HistogramsWithStarts,
    ];

    fn schema(&self) -> i32 {
        self.schema
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(hint_number(self.reset_hint));
        put_varint(out, self.schema.into());
        put_float(out, self.zero_threshold);
        put_uvarint(out, self.zero_count);
        put_uvarint(out, self.count);
        put_float(out, self.sum);
        put_spans(out, &self.positive_spans);
        put_spans(out, &self.negative_spans);
        for deltas in [&self.positive_deltas, &self.negative_deltas] {
            put_uvarint(out, deltas.len() as u64);
            deltas.iter().for_each(|&delta| put_varint(out, delta));
        }
        put_bounds(out, self.schema, &self.custom_values);
    }

    fn decode(input: &mut sealed::Bytes<'_>) -> Result<Self, DecodeError> {
        let input = &mut input.0;
        let (reset_hint, schema, zero_threshold) = read_head(input)?;
        Ok(Self {
            reset_hint,
            schema,
            zero_threshold,
            zero_count: input.uvarint()?,
            count: input.uvarint()?,
            sum: input.float()?,
            positive_spans: read_spans(input)?,
            negative_spans: read_spans(input)?,
            positive_deltas: read_deltas(input)?,
            negative_deltas: read_deltas(input)?,
            custom_values: read_bounds(input, schema)?,
        })
    }
}

impl RecordedHistogram for FloatHistogram {
    const TYPES: [RecordType; 3] = [
        RecordType::FloatHistograms,
        RecordType::CustomFloatHistograms,
        RecordType::FloatHistogramsWithStarts,
    ];

    fn schema(&self) -> i32 {
        self.schema
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(hint_number(self.reset_hint));
        put_varint(out, self.schema.into());
        for number in [self.zero_threshold, self.zero_count, self.count, self.sum] {
            put_float(out, number);
        }
        put_spans(out, &self.positive_spans);
        put_spans(out, &self.negative_spans);
        put_floats(out, &self.positive_buckets);
        put_floats(out, &self.negative_buckets);
        put_bounds(out, self.schema, &self.custom_values);
    }

    fn decode(input: &mut sealed::Bytes<'_>) -> Result<Self, DecodeError> {
        let input = &mut input.0;
        let (reset_hint, schema, zero_threshold) = read_head(input)?;
        Ok(Self {
            reset_hint,
            schema,
            zero_threshold,
            zero_count: input.float()?,
            count: input.float()?,
            sum: input.float()?,
            positive_spans: read_spans(input)?,
            negative_spans: read_spans(input)?,
            positive_buckets: read_floats(input)?,
            negative_buckets: read_floats(input)?,
            custom_values: read_bounds(input, schema)?,
        })
    }
}

fn hint_number(hint: ResetHint) -> u8 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

fn read_head(input: &mut Input<'_>) -> Result<(ResetHint, i32, f64), DecodeError> {
    let hint = match input.byte()? {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    let before = *input;
    let schema =
        i32::try_from(input.varint()?).map_err(|_| before.invalid("a schema beyond all bounds"))?;
    Ok((hint, schema, input.float()?))
}

fn put_spans(out: &mut Vec<u8>, spans: &[Span]) {
    put_uvarint(out, spans.len() as u64);
    for span in spans {
        put_varint(out, span.offset.into());
        put_uvarint(out, span.length.into());
    }
}

fn read_spans(input: &mut Input<'_>) -> Result<Vec<Span>, DecodeError> {
    let count = input.count(2)?;
    let mut spans = Vec::with_capacity(count);
    for _ in 0..count {
        let before = *input;
        let (offset, length) = (
            i32::try_from(input.varint()?),
            u32::try_from(input.uvarint()?),
        );
        let (Ok(offset), Ok(length)) = (offset, length) else {
            return Err(before.invalid("a span beyond all bounds"));
        };
        spans.push(Span { offset, length });
    }
    Ok(spans)
}

fn read_deltas(input: &mut Input<'_>) -> Result<Vec<i64>, DecodeError> {
    let count = input.count(1)?;
    (0..count).map(|_| input.varint()).collect()
}

fn put_floats(out: &mut Vec<u8>, floats: &[f64]) {
    put_uvarint(out, floats.len() as u64);
    floats.iter().for_each(|&float| put_float(out, float));
}

fn read_floats<C: FromIterator<f64>>(input: &mut Input<'_>) -> Result<C, DecodeError> {
    let count = input.count(8)?;
    (0..count).map(|_| input.float()).collect()
}

fn put_bounds(out: &mut Vec<u8>, schema: i32, bounds: &[f64]) {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        put_floats(out, bounds);
    }
}

fn read_bounds(input: &mut Input<'_>, schema: i32) -> Result<Arc<[f64]>, DecodeError> {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        read_floats(input)
    } else {
        Ok(Arc::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::*;

    fn histogram(counts: &[i64], custom: bool) -> Histogram {
        let spans = vec![Span {
            offset: -3,
            length: counts.len() as u32,
        }];
        Histogram {
            reset_hint: ResetHint::Gauge,
            schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { 3 },
            zero_threshold: 0.001,
            zero_count: 300,
            count: u64::MAX,
            sum: -0.5,
            positive_spans: spans.clone(),
            negative_spans: spans,
            positive_deltas: counts.to_vec(),
            negative_deltas: counts.to_vec(),
            custom_values: if custom {
                [0.5, 1.0].into()
            } else {
                Arc::default()
            },
        }
    }

    #[test]
    fn types_follow_what_is_written() {
        let mut out = Vec::new();
        for (at, number) in [7, 9, 12].into_iter().enumerate() {
            out.clear();
            match at {
                0 => HistogramsWriter::new(&mut out),
                1 => HistogramsWriter::custom(&mut out),
                _ => HistogramsWriter::with_starts(&mut out),
            };
            assert_eq!(out, [number]);
        }
        out.clear();
        FloatHistogramsWriter::custom(&mut out);
        assert_eq!(out, [10]);
    }

    #[test]
    fn counts_cannot_ask_for_memory() {
        let mut out = Vec::new();
        encode_histogram(&mut out, &Histogram::default());
        // The number of positive spans, behind hint, schema, threshold, two counts and sum.
        out.splice(20..21, [0xff, 0xff, 0xff, 0xff, 0x0f]);
        let error = decode_histogram(&out).unwrap_err();
        assert_eq!(
            error.to_string(),
            "histogram, byte 20: a count is larger than what follows"
        );
    }

    proptest! {
        #[test]
        fn histograms_come_back(
            entries in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>(), proptest::collection::vec(any::<i64>(), 0..5), any::<bool>()), 0..5),
        ) {
            let (mut integers, mut floats) = (Vec::new(), Vec::new());
            let mut writer = HistogramsWriter::with_starts(&mut integers);
            let mut float_writer = FloatHistogramsWriter::new(&mut floats);
            for (reference, time, start, counts, custom) in &entries {
                let histogram = histogram(counts, *custom);
                writer.push(*reference, *time, *start, &histogram);
                float_writer.push(*reference, *time, *start, &histogram.to_float());
            }
            let Record::Histograms(read) = Record::parse(&integers).unwrap() else { panic!("integers") };
            let Record::FloatHistograms(read_floats) = Record::parse(&floats).unwrap() else { panic!("floats") };
            prop_assert_eq!(read.clone().count(), entries.len());
            prop_assert_eq!(read_floats.clone().count(), entries.len());
            for ((read, float), (reference, time, start, counts, custom)) in read.zip(read_floats).zip(&entries) {
                let (read, float, written) = (read.unwrap(), float.unwrap(), histogram(counts, *custom));
                prop_assert_eq!((read.reference, read.time, read.start), (*reference, *time, *start));
                prop_assert_eq!((float.reference, float.time, float.start), (*reference, *time, 0));
                prop_assert_eq!(float.histogram, written.to_float());
                prop_assert_eq!(read.histogram, written);
            }
        }
    }
}
