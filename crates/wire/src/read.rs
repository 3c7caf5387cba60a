//! Remote read: the request, and the sampled answer.
//!
//! The answer is one snappy block of nested messages, each of which begins with its length. It is
//! compressed while it is written: what stays in memory is the compressed form.

use headwater_model::{Labels, SeriesColumns, TimeRange};
use prost::Message;

use crate::error::WireError;
use crate::fields::put;
use crate::histogram;
use crate::messages::{self, LabelMatcher};
use crate::snappy::{self, BlockWriter};

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// [`messages::ReadResponse`] in a snappy block.
    Samples,
    /// Frames of [`messages::ChunkedReadResponse`], see [`crate::chunked`].
    StreamedXorChunks,
}

/// The most queries in one read.
pub const MAX_QUERIES: usize = 1024;

/// What a read asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The queries.
    pub queries: Vec<Query>,
    /// How to answer.
    pub response: ResponseType,
}

/// One query of a read.
#[derive(Clone, Debug)]
pub struct Query {
    /// Conditions that a series fulfils, with the number of their kind: see
    /// [`messages::LabelMatcher`].
    pub matchers: Vec<LabelMatcher>,
    /// Samples with these times are wanted, both ends included.
    pub range: TimeRange,
    /// What will be done with the data.
    pub hints: messages::ReadHints,
}

/// Reads a decompressed request. Of the kinds of answers that the asker understands, the first that
/// exists here is taken; who names none understands samples.
///
/// # Errors
/// The message is damaged, has too many queries, or understands no kind of answer that exists here.
pub fn decode(message: &[u8]) -> Result<Request, WireError> {
    let request = messages::ReadRequest::decode(message)
        .map_err(|error| WireError::Query(format!("proto: {error}")))?;
    if request.queries.len() > MAX_QUERIES {
        return Err(WireError::TooMany {
            what: "queries in a read",
            limit: MAX_QUERIES,
        });
    }
    let response = negotiate(&request.accepted_response_types)?;
    let query = |query: messages::Query| Query {
        matchers: query.matchers,
        range: TimeRange::new(query.start_timestamp_ms, query.end_timestamp_ms),
        hints: query.hints.unwrap_or_default(),
    };
    Ok(Request {
        queries: request.queries.into_iter().map(query).collect(),
        response,
    })
}

fn negotiate(accepted: &[i32]) -> Result<ResponseType, WireError> {
    let known = |number: &i32| match number {
        0 => Some(ResponseType::Samples),
        1 => Some(ResponseType::StreamedXorChunks),
        _ => None,
    };
    if accepted.is_empty() {
        return Ok(ResponseType::Samples);
    }
    accepted.iter().find_map(known).ok_or_else(|| {
        WireError::Query(format!(
            "server does not support any of the requested response types: {accepted:?}; supported: SAMPLES, STREAMED_XOR_CHUNKS"
        ))
    })
}

/// Writes a sampled answer, a series at a time.
#[derive(Debug, Default)]
pub struct ResponseWriter {
    parts: Vec<(Vec<u8>, usize, Vec<u8>)>,
    current: BlockWriter,
    /// Histograms of the series at hand.
    histograms: Vec<Vec<u8>>,
}

impl ResponseWriter {
    /// A writer for the results of the first query.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a series to the result of the query at hand. Labels of the answering server are put
    /// beside those of the series, which win.
    pub fn series(&mut self, labels: &Labels, external: &Labels, columns: &SeriesColumns) {
        let floats = &columns.floats;
        let samples = floats.times.iter().zip(&floats.values);
        let sizes = samples
            .clone()
            .map(|(time, value)| sample_len(*time, *value));
        self.histograms.clear();
        let column = &columns.histograms;
        self.histograms.extend(
            (0..column.len())
                .map(|at| histogram::encode(column.times()[at], column.start(at), column.get(at))),
        );
        let pairs = || merged(labels, external);
        let length = pairs()
            .map(|(name, value)| put::block_len(label_len(name, value)))
            .sum::<usize>()
            + sizes.map(put::block_len).sum::<usize>()
            + self
                .histograms
                .iter()
                .map(|h| put::block_len(h.len()))
                .sum::<usize>();
        let out = self.current.buffer();
        put::block_head(out, 1, length);
        for (name, value) in pairs() {
            put_label(out, name, value);
        }
        for (at, (time, value)) in samples.enumerate() {
            put_sample(self.current.buffer(), *time, *value);
            if at % 1024 == 1023 {
                self.current.settle();
            }
        }
        for histogram in &self.histograms {
            put::block(self.current.buffer(), 4, histogram);
            self.current.settle();
        }
        self.current.settle();
    }

    /// Ends the result of the query at hand; what follows belongs to the next one.
    pub fn end_query(&mut self) {
        let (length, block) = std::mem::take(&mut self.current).finish();
        let mut head = Vec::new();
        put::block_head(&mut head, 1, length);
        self.parts.push((head, length, block));
    }

    /// Bytes of the answer so far, before compression.
    pub fn plain_len(&self) -> usize {
        self.parts
            .iter()
            .map(|(_, length, _)| length)
            .sum::<usize>()
            + self.current.plain_len()
    }

    /// The answer, compressed.
    pub fn finish(self) -> Vec<u8> {
        snappy::join(&self.parts)
    }
}

/// The labels of a series and those of the server that the series lacks, sorted.
pub(crate) fn merged<'a>(
    labels: &'a Labels,
    external: &'a Labels,
) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
    let (mut own, mut added) = (labels.iter().peekable(), external.iter().peekable());
    std::iter::from_fn(move || match (own.peek(), added.peek()) {
        (Some((name, _)), Some((other, _))) => {
            if name == other {
                added.next();
                own.next()
            } else if name < other {
                own.next()
            } else {
                added.next()
            }
        }
        (Some(_), None) => own.next(),
        _ => added.next(),
    })
}

pub(crate) fn label_len(name: &str, value: &str) -> usize {
    put::block_len(name.len()) + put::block_len(value.len())
}

pub(crate) fn put_label(out: &mut Vec<u8>, name: &str, value: &str) {
    put::block_head(out, 1, label_len(name, value));
    put::block(out, 1, name.as_bytes());
    put::block(out, 2, value.as_bytes());
}

/// A value of zero is left out, but not one of negative zero.
fn sample_len(time: i64, value: f64) -> usize {
    let value = if value.to_bits() == 0 { 0 } else { 9 };
    let time = if time == 0 {
        0
    } else {
        1 + put::varint_len(time as u64)
    };
    value + time
}

#[inline]
fn put_sample(out: &mut Vec<u8>, time: i64, value: f64) {
    // Samples of our time with a value, nearly all: 18 bytes at once.
    let time_len = put::varint_len(time as u64);
    if time_len == 6 && value.to_bits() != 0 {
        let mut bytes = [0u8; 18];
        bytes[..3].copy_from_slice(&[0x12, 16, 0x09]);
        bytes[3..11].copy_from_slice(&value.to_le_bytes());
        bytes[11] = 0x10;
        for (at, byte) in bytes[12..].iter_mut().enumerate() {
            *byte = (time >> (7 * at)) as u8 & 0x7f | 0x80;
        }
        bytes[17] &= 0x7f;
        out.extend_from_slice(&bytes);
        return;
    }
    put::block_head(out, 2, sample_len(time, value));
    if value.to_bits() != 0 {
        out.push(0x09);
        out.extend_from_slice(&value.to_le_bytes());
    }
    put::number(out, 2, time as u64);
}

#[cfg(test)]
mod tests {
    use headwater_model::Histogram;
    use proptest::prelude::*;

    use super::*;
    use crate::messages::{ReadResponse, Sample, TimeSeries, arbitrary};

    fn labels_of(series: &TimeSeries) -> Labels {
        Labels::from_pairs(series.labels.iter().map(|l| (&l.name, &l.value)))
    }

    /// Labels as the store would have them.
    fn canonical(labels: &Labels) -> Vec<messages::Label> {
        let label = |(name, value): (&str, &str)| messages::Label {
            name: name.into(),
            value: value.into(),
        };
        labels.iter().map(label).collect()
    }

    fn answer(results: &[Vec<TimeSeries>], external: &Labels) -> Vec<u8> {
        let mut writer = ResponseWriter::new();
        for result in results {
            for series in result {
                let mut columns = SeriesColumns::default();
                for sample in &series.samples {
                    columns.floats.push(sample.timestamp, sample.value);
                }
                for message in &series.histograms {
                    match histogram::decode(&message.encode_to_vec()).unwrap() {
                        histogram::HistogramSample {
                            time,
                            start,
                            histogram: histogram::AnyHistogram::Integer(h),
                        } => {
                            columns.histograms.push_integer(time, h, start);
                        }
                        histogram::HistogramSample {
                            time,
                            start,
                            histogram: histogram::AnyHistogram::Float(h),
                        } => {
                            columns.histograms.push_float(time, h, start);
                        }
                    }
                }
                writer.series(&labels_of(series), external, &columns);
            }
            writer.end_query();
        }
        let mut plain = Vec::new();
        let plain_len = writer.plain_len();
        snappy::decompress(&writer.finish(), 1 << 26, &mut plain).unwrap();
        assert!(plain.len() >= plain_len);
        plain
    }

    #[test]
    fn labels_of_the_server_stand_beside() {
        let own = Labels::from_pairs([("a", "1"), ("c", "1")]);
        let external = Labels::from_pairs([("b", "2"), ("c", "2"), ("d", "2")]);
        let merged: Vec<_> = merged(&own, &external).collect();
        assert_eq!(merged, [("a", "1"), ("b", "2"), ("c", "1"), ("d", "2")]);
    }

    #[test]
    fn long_series_are_written_in_pieces() {
        let samples: Vec<Sample> = (0..100_000)
            .map(|at| Sample {
                value: f64::from(at),
                timestamp: 1_700_000_000_000 + i64::from(at) * 15_000,
            })
            .collect();
        let series = TimeSeries {
            samples,
            ..TimeSeries::default()
        };
        let plain = answer(
            &[vec![series.clone()], vec![], vec![series.clone()]],
            &Labels::empty(),
        );
        let back = ReadResponse::decode(&*plain).unwrap();
        assert_eq!(back.results.len(), 3);
        for at in [0, 2] {
            assert_eq!(back.results[at].timeseries, std::slice::from_ref(&series));
        }
    }

    #[test]
    fn kinds_of_answers_are_negotiated() {
        let of = |accepted: &[i32]| {
            let request = messages::ReadRequest {
                queries: Vec::new(),
                accepted_response_types: accepted.to_vec(),
            };
            decode(&request.encode_to_vec()).map(|request| request.response)
        };
        assert_eq!(of(&[]), Ok(ResponseType::Samples));
        assert_eq!(of(&[7, 1, 0]), Ok(ResponseType::StreamedXorChunks));
        assert!(of(&[7]).unwrap_err().to_string().contains("[7]"));
    }

    #[test]
    fn negative_zero_stays() {
        let mut columns = SeriesColumns::default();
        columns.floats.push(1, -0.0);
        columns.histograms.push_integer(2, Histogram::default(), 0);
        let mut writer = ResponseWriter::new();
        writer.series(&Labels::empty(), &Labels::empty(), &columns);
        writer.end_query();
        let mut plain = Vec::new();
        snappy::decompress(&writer.finish(), 1 << 10, &mut plain).unwrap();
        let back = ReadResponse::decode(&*plain).unwrap();
        let series = &back.results[0].timeseries[0];
        assert_eq!(series.samples[0].value.to_bits(), (-0.0f64).to_bits());
        assert_eq!(series.histograms[0].timestamp, 2);
    }

    proptest! {
        #[test]
        fn agrees_with_the_structs(series in proptest::collection::vec(arbitrary::series(), 0..4)) {
            let back = ReadResponse::decode(&*answer(std::slice::from_ref(&series), &Labels::empty())).unwrap();
            prop_assert_eq!(back.results[0].timeseries.len(), series.len());
            for (back, sent) in back.results[0].timeseries.iter().zip(&series) {
                prop_assert_eq!(&back.labels, &canonical(&labels_of(sent)));
                prop_assert_eq!(&back.samples, &sent.samples);
                prop_assert_eq!(&back.histograms, &sent.histograms);
            }
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
