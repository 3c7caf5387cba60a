//! Columns to chunks, cut as Prometheus cuts them.

use bytes::Bytes;
use headwater_model::{HistogramRef, SeriesColumns, Timestamp};

use super::{
    Appender, Cut, EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, Kind,
    Xor2Appender, XorAppender, shrink,
};

/// Samples of a float chunk. Source: Prometheus, `tsdb/head.go`, `storage/series.go`.
pub const FLOATS_PER_CHUNK: usize = 120;
/// Bytes from which on a histogram chunk is cut. Source: Prometheus, `tsdb/chunkenc/chunk.go`.
pub const HISTOGRAM_CHUNK_BYTES: usize = 1024;
/// Samples that a histogram chunk has before its size counts.
pub const HISTOGRAMS_PER_CHUNK_MIN: usize = 10;

/// Room for the first chunk of a series.
const FIRST_CHUNK_BYTES: usize = 256;

/// What may be written beside what every Prometheus since 2.55 reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// Write floats as XOR2, with their start timestamps if they have any. Prometheus 3.11 and
    /// later reads it. Otherwise XOR is written, which has no start timestamps.
    pub xor2: bool,
    /// Write histograms with start timestamps if they have any. Prometheus 3.14 reads them,
    /// later versions perhaps not.
    pub histogram_starts: bool,
}

impl EncodeOptions {
    /// Whether to write floats as XOR2.
    #[must_use]
    pub const fn xor2(mut self, xor2: bool) -> Self {
        self.xor2 = xor2;
        self
    }

    /// Whether to write the start timestamps of histograms.
    #[must_use]
    pub const fn histogram_starts(mut self, histogram_starts: bool) -> Self {
        self.histogram_starts = histogram_starts;
        self
    }
}

/// Encodes all samples of a series with [`EncodeOptions::default`]; see [`encode_columns_with`].
pub fn encode_columns(columns: &SeriesColumns) -> Vec<EncodedChunk> {
    encode_columns_with(columns, EncodeOptions::default())
}

/// Encodes all samples of a series, in the order of their times.
///
/// Chunks end after [`FLOATS_PER_CHUNK`] floats, or at [`HISTOGRAM_CHUNK_BYTES`] if they have at
/// least [`HISTOGRAMS_PER_CHUNK_MIN`] histograms; where the kind of sample changes; and where
/// histograms cannot share a chunk (see [`Appender`]).
pub fn encode_columns_with(columns: &SeriesColumns, options: EncodeOptions) -> Vec<EncodedChunk> {
    let SeriesColumns { floats, histograms } = columns;
    let mut chunks = Chunks {
        options,
        done: Vec::new(),
        growing: None,
    };
    let (mut float, mut histogram) = (0, 0);
    loop {
        let next_float = floats.times.get(float).copied();
        let next_histogram = histograms.times().get(histogram).copied();
        match (next_float, next_histogram) {
            (Some(time), other) if other.is_none_or(|other| time <= other) => {
                let start = floats.starts.get(float).copied().unwrap_or(0);
                chunks.push_float(time, floats.values[float], start);
                float += 1;
            }
            (_, Some(time)) => {
                let start = histograms.start(histogram);
                chunks.push_histogram(time, histograms.get(histogram), start);
                histogram += 1;
            }
            _ => return chunks.finish(),
        }
    }
}

/// Finished chunks and the one that grows.
struct Chunks {
    options: EncodeOptions,
    done: Vec<EncodedChunk>,
    growing: Option<(Timestamp, Growing)>,
}

enum Growing {
    Xor(XorAppender),
    Xor2(Box<Xor2Appender>),
    Integer(Box<HistogramAppender>),
    Float(Box<FloatHistogramAppender>),
}

impl Growing {
    /// A chunk of floats behind one of `bytes` bytes: those of one series are alike in size.
    fn new_floats(options: EncodeOptions, bytes: usize) -> Self {
        if options.xor2 {
            Self::Xor2(Box::new(Xor2Appender::with_capacity(bytes)))
        } else {
            Self::Xor(XorAppender::with_capacity(bytes))
        }
    }

    /// Appends a float if this is a chunk of floats with room.
    fn append_float(&mut self, time: Timestamp, value: f64, start: Timestamp) -> bool {
        match self {
            Self::Xor(it) if it.count() < FLOATS_PER_CHUNK => it.append(time, value),
            Self::Xor2(it) if it.count() < FLOATS_PER_CHUNK => {
                it.append_with_start(time, value, start);
            }
            _ => return false,
        }
        true
    }

    fn finish(&self) -> (Encoding, Timestamp, Bytes) {
        match self {
            Self::Xor(it) => (Encoding::Xor, it.last_time(), it.to_bytes()),
            Self::Xor2(it) => (Encoding::Xor2, it.last_time(), it.to_bytes()),
            Self::Integer(it) => (it.encoding(), it.last_time(), it.to_bytes()),
            Self::Float(it) => (it.encoding(), it.last_time(), it.to_bytes()),
        }
    }
}

impl Chunks {
    fn push_float(&mut self, time: Timestamp, value: f64, start: Timestamp) {
        if let Some((_, growing)) = &mut self.growing
            && growing.append_float(time, value, start)
        {
            return;
        }
        let before = self
            .done
            .last()
            .map_or(FIRST_CHUNK_BYTES, |chunk| chunk.data.len());
        let mut next = Growing::new_floats(self.options, before);
        next.append_float(time, value, start);
        self.begin(time, next);
    }

    fn push_histogram(&mut self, time: Timestamp, histogram: HistogramRef<'_>, start: Timestamp) {
        let start = Some(start).filter(|_| self.options.histogram_starts);
        match histogram {
            HistogramRef::Integer(histogram) => {
                let appender = match &mut self.growing {
                    Some((_, Growing::Integer(appender))) => Some(&mut **appender),
                    _ => None,
                };
                if let Some(next) = append(appender, time, histogram, start) {
                    self.begin(time, Growing::Integer(Box::new(next)));
                }
            }
            HistogramRef::Float(histogram) => {
                let appender = match &mut self.growing {
                    Some((_, Growing::Float(appender))) => Some(&mut **appender),
                    _ => None,
                };
                if let Some(next) = append(appender, time, histogram, start) {
                    self.begin(time, Growing::Float(Box::new(next)));
                }
            }
        }
    }

    fn begin(&mut self, time: Timestamp, next: Growing) {
        let before = self.growing.replace((time, next));
        self.done.extend(before.map(encoded));
    }

    fn finish(mut self) -> Vec<EncodedChunk> {
        self.done.extend(self.growing.map(encoded));
        self.done
    }
}

fn encoded((min_time, chunk): (Timestamp, Growing)) -> EncodedChunk {
    let (encoding, max_time, data) = chunk.finish();
    let chunk = EncodedChunk {
        encoding,
        min_time,
        max_time,
        data,
    };
    // All samples are known now, so the best windows can be found.
    shrink(&chunk).ok().flatten().unwrap_or(chunk)
}

/// Appends a histogram, or answers the chunk that has to follow, with the histogram in it.
/// `start` is `None` if starts are not written.
fn append<K: Kind>(
    appender: Option<&mut Appender<K>>,
    time: Timestamp,
    histogram: &K::Histogram,
    start: Option<Timestamp>,
) -> Option<Appender<K>> {
    let cut = match appender {
        None => None,
        Some(appender) if is_full(appender) => Some(appender.cut_before(histogram)),
        Some(appender) => match appender.append_with_start(time, histogram, start.unwrap_or(0)) {
            Ok(()) => return None,
            Err(cut) => Some(cut),
        },
    };
    let mut next = cut.map_or_else(Appender::new, Appender::after);
    if start.is_some() {
        next = next.with_starts();
    }
    let first: Result<(), Cut> = next.append_with_start(time, histogram, start.unwrap_or(0));
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
    fn start_timestamps_are_kept_on_demand() {
        let mut columns = SeriesColumns::default();
        for time in 1..20 {
            columns.floats.push_with_start(time, 1.0, time / 7);
            columns
                .histograms
                .push_integer(time + 100, histogram(time as u64), 3);
        }
        let plain = encode_columns(&columns);
        assert_eq!(
            plain
                .iter()
                .map(|it| it.encoding.number())
                .collect::<Vec<_>>(),
            [1, 2]
        );
        assert!(decode_all(&plain).floats.starts.is_empty());
        let options = EncodeOptions::default().xor2(true).histogram_starts(true);
        let with_starts = encode_columns_with(&columns, options);
        assert_eq!(
            with_starts
                .iter()
                .map(|it| it.encoding.number())
                .collect::<Vec<_>>(),
            [4, 5]
        );
        let back = decode_all(&with_starts);
        assert_eq!(back.floats, columns.floats);
        assert!((0..back.histograms.len()).all(|at| back.histograms.start(at) == 3));
    }

    #[test]
    fn nothing_makes_no_chunk() {
        assert!(encode_columns(&SeriesColumns::default()).is_empty());
    }
}
