//! Columns to chunks, cut as Prometheus cuts them.

use bytes::Bytes;
use headwater_model::{HistogramRef, SeriesColumns, Timestamp};

use super::{
    Appender, Cut, EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, Kind,
    XorAppender,
};

/// Samples of a float chunk. Source: Prometheus, `tsdb/head.go`, `storage/series.go`.
pub const FLOATS_PER_CHUNK: usize = 120;
/// Bytes from which on a histogram chunk is cut. Source: Prometheus, `tsdb/chunkenc/chunk.go`.
pub const HISTOGRAM_CHUNK_BYTES: usize = 1024;
/// Samples that a histogram chunk has before its size counts.
pub const HISTOGRAMS_PER_CHUNK_MIN: usize = 10;

/// Encodes all samples of a series, in the order of their times, without start timestamps.
///
/// Chunks end after [`FLOATS_PER_CHUNK`] floats, or at [`HISTOGRAM_CHUNK_BYTES`] if they have at
/// least [`HISTOGRAMS_PER_CHUNK_MIN`] histograms; where the kind of sample changes; and where
/// histograms cannot share a chunk (see [`Appender`]).
pub fn encode_columns(columns: &SeriesColumns) -> Vec<EncodedChunk> {
    let SeriesColumns { floats, histograms } = columns;
    let mut chunks = Chunks::default();
    let (mut float, mut histogram) = (0, 0);
    loop {
        let next_float = floats.times.get(float).copied();
        let next_histogram = histograms.times().get(histogram).copied();
        match (next_float, next_histogram) {
            (Some(time), other) if other.is_none_or(|other| time <= other) => {
                chunks.push_float(time, floats.values[float]);
                float += 1;
            }
            (_, Some(time)) => {
                chunks.push_histogram(time, histograms.get(histogram));
                histogram += 1;
            }
            _ => return chunks.finish(),
        }
    }
}

/// Finished chunks and the one that grows.
#[derive(Default)]
struct Chunks {
    done: Vec<EncodedChunk>,
    growing: Option<(Timestamp, Growing)>,
}

enum Growing {
    Floats(XorAppender),
    Integer(Box<HistogramAppender>),
    Float(Box<FloatHistogramAppender>),
}

impl Growing {
    fn finish(&self) -> (Encoding, Timestamp, Bytes) {
        match self {
            Self::Floats(it) => (Encoding::Xor, it.last_time(), it.to_bytes()),
            Self::Integer(it) => (it.encoding(), it.last_time(), it.to_bytes()),
            Self::Float(it) => (it.encoding(), it.last_time(), it.to_bytes()),
        }
    }
}

impl Chunks {
    fn push_float(&mut self, time: Timestamp, value: f64) {
        match &mut self.growing {
            Some((_, Growing::Floats(appender))) if appender.count() < FLOATS_PER_CHUNK => {
                appender.append(time, value);
            }
            _ => {
                let mut appender = XorAppender::new();
                appender.append(time, value);
                self.begin(time, Growing::Floats(appender));
            }
        }
    }

    fn push_histogram(&mut self, time: Timestamp, histogram: HistogramRef<'_>) {
        match histogram {
            HistogramRef::Integer(histogram) => {
                let appender = match &mut self.growing {
                    Some((_, Growing::Integer(appender))) => Some(&mut **appender),
                    _ => None,
                };
                if let Some(next) = append(appender, time, histogram) {
                    self.begin(time, Growing::Integer(Box::new(next)));
                }
            }
            HistogramRef::Float(histogram) => {
                let appender = match &mut self.growing {
                    Some((_, Growing::Float(appender))) => Some(&mut **appender),
                    _ => None,
                };
                if let Some(next) = append(appender, time, histogram) {
                    self.begin(time, Growing::Float(Box::new(next)));
                }
            }
        }
    }

    fn begin(&mut self, time: Timestamp, next: Growing) {
        let before = self.growing.replace((time, next));
        self.done.extend(before.map(|(min_time, chunk)| {
            let (encoding, max_time, data) = chunk.finish();
            EncodedChunk {
                encoding,
                min_time,
                max_time,
                data,
            }
        }));
    }

    fn finish(mut self) -> Vec<EncodedChunk> {
        self.begin(0, Growing::Floats(XorAppender::new()));
        self.done
    }
}

/// Appends a histogram, or answers the chunk that has to follow, with the histogram in it.
fn append<K: Kind>(
    appender: Option<&mut Appender<K>>,
    time: Timestamp,
    histogram: &K::Histogram,
) -> Option<Appender<K>> {
    let cut = match appender {
        None => None,
        Some(appender) if is_full(appender) => Some(appender.cut_before(histogram)),
        Some(appender) => match appender.append(time, histogram) {
            Ok(()) => return None,
            Err(cut) => Some(cut),
        },
    };
    let mut next = cut.map_or_else(Appender::new, Appender::after);
    let first: Result<(), Cut> = next.append(time, histogram);
    debug_assert!(first.is_ok(), "an empty chunk takes any histogram");
    Some(next)
}

fn is_full<K: Kind>(appender: &Appender<K>) -> bool {
    appender.count() >= HISTOGRAMS_PER_CHUNK_MIN && appender.bytes().len() >= HISTOGRAM_CHUNK_BYTES
}

#[cfg(test)]
mod tests {
    use headwater_model::{Histogram, Span, TimeRange};

    use super::*;
    use crate::chunk::decode;

    fn histogram(count: u64) -> Histogram {
        Histogram {
            count,
            sum: count as f64 * 1.7,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_deltas: vec![count as i64, -(count as i64)],
            ..Histogram::default()
        }
    }

    fn decode_all(chunks: &[EncodedChunk]) -> SeriesColumns {
        let mut columns = SeriesColumns::default();
        for chunk in chunks {
            decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns).unwrap();
        }
        columns
    }

    #[test]
    fn kinds_take_turns() {
        let mut columns = SeriesColumns::default();
        for time in 0..300 {
            columns.floats.push(time, time as f64);
        }
        columns.histograms.push_integer(50, histogram(1), 0);
        columns
            .histograms
            .push_float(400, histogram(2).to_float(), 0);
        columns.floats.times.retain(|&time| time != 50);
        columns.floats.values.retain(|&value| value != 50.0);
        let chunks = encode_columns(&columns);
        let ranges: Vec<_> = chunks.iter().map(|it| (it.min_time, it.max_time)).collect();
        assert_eq!(
            ranges,
            [
                (0, 49),
                (50, 50),
                (51, 170),
                (171, 290),
                (291, 299),
                (400, 400)
            ]
        );
        assert_eq!(decode_all(&chunks), columns);
    }

    #[test]
    fn histogram_chunks_are_cut_by_size() {
        let mut columns = SeriesColumns::default();
        for time in 0..2000 {
            columns
                .histograms
                .push_integer(time, histogram(time as u64 * time as u64), 0);
        }
        let chunks = encode_columns(&columns);
        assert!(chunks.len() > 3);
        for chunk in &chunks[..chunks.len() - 1] {
            assert!(
                (1024..1100).contains(&chunk.data.len()),
                "{}",
                chunk.data.len()
            );
        }
        assert_eq!(
            decode_all(&chunks).histograms.times(),
            columns.histograms.times()
        );
    }

    #[test]
    fn nothing_makes_no_chunk() {
        assert!(encode_columns(&SeriesColumns::default()).is_empty());
    }
}
