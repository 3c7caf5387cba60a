//! The chunk of a series that still grows, and when it ends.
//!
//! The rules are Prometheus's (`tsdb/head_append.go`): a chunk never crosses a
//! boundary of the block range; after a quarter of its samples the end is
//! predicted so that the chunks of a range are of about equal size; twice the
//! target is the hard limit.

use bytes::Bytes;
use headwater_blockfmt::{
    EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, Xor2Appender, XorAppender,
};
use headwater_model::{FloatHistogram, Histogram, Timestamp};

use super::rules::Rules;

/// Samples that a float chunk should get.
pub(super) const FLOATS_TARGET: usize = 120;
/// A float chunk of this size is full: index and segment readers were built
/// for chunks of about a kilobyte.
const FLOATS_MAX_BYTES: usize = 1005;
/// Bytes that a histogram chunk should get.
const HISTOGRAM_TARGET_BYTES: usize = 1024;
/// Samples that a histogram chunk gets before its size counts.
const HISTOGRAMS_MIN: usize = 10;

/// The growing chunk with its kind of samples.
#[derive(Debug, Default)]
pub(crate) enum Growing {
    #[default]
    None,
    Floats(XorAppender),
    Floats2(Box<Xor2Appender>),
    Integer(Box<HistogramAppender>),
    Float(Box<FloatHistogramAppender>),
}

/// The growing chunk with its bounds in time. The fields are in the order in
/// which a series wants them in its cache lines.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct OpenChunk {
    /// A sample at this time or later begins a new chunk.
    pub(super) end: Timestamp,
    pub(crate) growing: Growing,
    /// Time of the first sample.
    pub(crate) min_time: Timestamp,
}

/// Time, value and start timestamp of a float, 0 for none.
pub(crate) type Started = (Timestamp, f64, Timestamp);

/// What an append did beside appending.
pub(crate) type Finished = Option<EncodedChunk>;

impl Default for OpenChunk {
    fn default() -> OpenChunk {
        OpenChunk {
            growing: Growing::None,
            min_time: Timestamp::MAX,
            end: Timestamp::MIN,
        }
    }
}

impl Growing {
    pub(crate) fn count(&self) -> usize {
        match self {
            Growing::None => 0,
            Growing::Floats(it) => it.count(),
            Growing::Floats2(it) => it.count(),
            Growing::Integer(it) => it.count(),
            Growing::Float(it) => it.count(),
        }
    }

    /// The chunk so far.
    pub(crate) fn to_bytes(&self) -> Bytes {
        match self {
            Growing::None => Bytes::new(),
            Growing::Floats(it) => it.to_bytes(),
            Growing::Floats2(it) => it.to_bytes(),
            Growing::Integer(it) => it.to_bytes(),
            Growing::Float(it) => it.to_bytes(),
        }
    }

    /// Appends the chunk so far to `into`.
    pub(crate) fn copy_to(&self, into: &mut Vec<u8>) {
        match self {
            Growing::None => {}
            Growing::Floats(it) => it.copy_to(into),
            Growing::Floats2(it) => into.extend_from_slice(it.bytes()),
            Growing::Integer(it) => into.extend_from_slice(it.bytes()),
            Growing::Float(it) => into.extend_from_slice(it.bytes()),
        }
    }

    /// How many bytes of a histogram chunk there are.
    fn histogram_bytes(&self) -> usize {
        match self {
            Growing::Integer(it) => it.bytes().len(),
            Growing::Float(it) => it.bytes().len(),
            Growing::None | Growing::Floats(_) | Growing::Floats2(_) => 0,
        }
    }

    /// Where the next sample goes, as far as it matters to fetch it ahead.
    #[inline]
    pub(crate) fn tail_address(&self) -> usize {
        match self {
            Growing::Floats(it) => it.tail_address(),
            Growing::Floats2(it) => it.bytes().as_ptr_range().end.addr(),
            Growing::None | Growing::Integer(_) | Growing::Float(_) => 0,
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Growing::None | Growing::Floats(_) => Encoding::Xor,
            Growing::Floats2(_) => Encoding::Xor2,
            Growing::Integer(it) => it.encoding(),
            Growing::Float(it) => it.encoding(),
        }
    }

    pub(crate) fn last_time(&self) -> Timestamp {
        match self {
            Growing::None => Timestamp::MIN,
            Growing::Floats(it) => it.last_time(),
            Growing::Floats2(it) => it.last_time(),
            Growing::Integer(it) => it.last_time(),
            Growing::Float(it) => it.last_time(),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Growing::None => 0,
            Growing::Floats(it) => it.heap_bytes(),
            Growing::Floats2(it) => it.heap_bytes() + size_of::<Xor2Appender>(),
            Growing::Integer(it) => it.heap_bytes() + size_of::<HistogramAppender>(),
            Growing::Float(it) => it.heap_bytes() + size_of::<FloatHistogramAppender>(),
        }
    }
}

impl OpenChunk {
    /// The chunk as it is now, or `None` if it has no samples.
    pub(crate) fn encoded(&self) -> Option<EncodedChunk> {
        (self.growing.count() > 0).then(|| EncodedChunk {
            encoding: self.growing.encoding(),
            min_time: self.min_time,
            max_time: self.growing.last_time(),
            data: self.growing.to_bytes(),
        })
    }

    /// Finishes the chunk, as if it were full.
    pub(crate) fn finish(&mut self) -> Finished {
        let chunk = self.encoded();
        *self = OpenChunk::default();
        chunk
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.growing.heap_bytes()
    }

    /// Appends a float, in a new chunk if this one has to end.
    #[inline]
    pub(crate) fn push_float(&mut self, time: Timestamp, value: f64, rules: Rules) -> Finished {
        let Growing::Floats(floats) = &mut self.growing else {
            return self.push_xor2((time, value, 0), rules);
        };
        let count = floats.count();
        if count == FLOATS_TARGET / 4 {
            self.end = predict_end(self.min_time, floats.last_time(), self.end);
        }
        if time >= self.end || count >= 2 * FLOATS_TARGET || floats.len() > FLOATS_MAX_BYTES {
            return self.begin_floats((time, value, 0), rules);
        }
        floats.append(time, value);
        None
    }

    /// Appends a float with a start timestamp, or 0 for none. A chunk that
    /// cannot keep it ends.
    pub(crate) fn push_float_with_start(&mut self, sample: Started, rules: Rules) -> Finished {
        match &self.growing {
            Growing::Floats(_) if sample.2 == 0 => self.push_float(sample.0, sample.1, rules),
            _ => self.push_xor2(sample, rules),
        }
    }

    #[inline(never)]
    fn push_xor2(&mut self, sample: Started, rules: Rules) -> Finished {
        let (time, value, start) = sample;
        let Growing::Floats2(floats) = &mut self.growing else {
            return self.begin_floats(sample, rules);
        };
        let count = floats.count();
        if count == FLOATS_TARGET / 4 {
            self.end = predict_end(self.min_time, floats.last_time(), self.end);
        }
        if time >= self.end || count >= 2 * FLOATS_TARGET || floats.bytes().len() > FLOATS_MAX_BYTES
        {
            return self.begin_floats(sample, rules);
        }
        floats.append_with_start(time, value, start);
        None
    }

    #[cold]
    fn begin_floats(&mut self, (time, value, start): Started, rules: Rules) -> Finished {
        let finished = self.finish();
        let growing = match rules.xor2 || start != 0 {
            false => {
                let mut floats = XorAppender::new();
                floats.append(time, value);
                Growing::Floats(floats)
            }
            true => {
                let mut floats = Box::new(Xor2Appender::new());
                floats.append_with_start(time, value, start);
                Growing::Floats2(floats)
            }
        };
        self.begin(growing, time, rules);
        finished
    }

    fn begin(&mut self, growing: Growing, time: Timestamp, rules: Rules) {
        *self = OpenChunk {
            growing,
            min_time: time,
            end: end_of_range(time, rules.range),
        };
    }

    /// Whether a histogram chunk of this size has to end before `time`.
    fn histograms_full(&mut self, count: usize, bytes: usize, time: Timestamp) -> bool {
        // The prediction needs a quarter of the bytes and enough samples to
        // know how large one is.
        if bytes >= HISTOGRAM_TARGET_BYTES / 4 && count == HISTOGRAMS_MIN {
            let (first, last) = (self.min_time, self.growing.last_time());
            let per_sample = bytes / count;
            let wanted = (HISTOGRAM_TARGET_BYTES / per_sample.max(1)).max(HISTOGRAMS_MIN);
            let ratio = wanted as f64 / count as f64;
            self.end = predict_end_by(first, last, self.end, ratio);
        }
        time >= self.end || (bytes >= HISTOGRAM_TARGET_BYTES && count >= HISTOGRAMS_MIN)
    }

    /// Appends an integer histogram, in a new chunk if this one has to end.
    pub(crate) fn push_integer(
        &mut self,
        time: Timestamp,
        value: &Histogram,
        start: Timestamp,
        rules: Rules,
    ) -> Finished {
        let (count, bytes) = (self.growing.count(), self.growing.histogram_bytes());
        let full = self.histograms_full(count, bytes, time);
        let mut next = match &mut self.growing {
            Growing::Integer(it) if full => HistogramAppender::after(it.cut_before(value)),
            Growing::Integer(it) => match it.append_with_start(time, value, start) {
                Ok(()) => return None,
                Err(cut) => HistogramAppender::after(cut),
            },
            _ => HistogramAppender::new(),
        };
        let finished = self.finish();
        if rules.histogram_starts {
            next = next.with_starts();
        }
        if next.append_with_start(time, value, start).is_err() {
            next = HistogramAppender::new();
            let _ = next.append(time, value);
        }
        self.begin(Growing::Integer(Box::new(next)), time, rules);
        finished
    }

    /// Appends a float histogram, in a new chunk if this one has to end.
    pub(crate) fn push_float_histogram(
        &mut self,
        time: Timestamp,
        value: &FloatHistogram,
        start: Timestamp,
        rules: Rules,
    ) -> Finished {
        let (count, bytes) = (self.growing.count(), self.growing.histogram_bytes());
        let full = self.histograms_full(count, bytes, time);
        let mut next = match &mut self.growing {
            Growing::Float(it) if full => FloatHistogramAppender::after(it.cut_before(value)),
            Growing::Float(it) => match it.append_with_start(time, value, start) {
                Ok(()) => return None,
                Err(cut) => FloatHistogramAppender::after(cut),
            },
            _ => FloatHistogramAppender::new(),
        };
        let finished = self.finish();
        if rules.histogram_starts {
            next = next.with_starts();
        }
        if next.append_with_start(time, value, start).is_err() {
            next = FloatHistogramAppender::new();
            let _ = next.append(time, value);
        }
        self.begin(Growing::Float(Box::new(next)), time, rules);
        finished
    }
}

/// The end of the block range that `time` lies in.
pub(super) fn end_of_range(time: Timestamp, range: i64) -> Timestamp {
    (time.div_euclid(range))
        .saturating_add(1)
        .saturating_mul(range)
}

/// A chunk that began at `first` is a quarter full at `last`: the end that
/// divides what is left up to `limit` into chunks of equal length.
pub(super) fn predict_end(first: Timestamp, last: Timestamp, limit: Timestamp) -> Timestamp {
    predict_end_by(first, last, limit, 4.0)
}

fn predict_end_by(first: Timestamp, last: Timestamp, limit: Timestamp, ratio: f64) -> Timestamp {
    let full = last.saturating_sub(first).saturating_add(1) as f64 * ratio;
    let left = limit.saturating_sub(first) as f64;
    let chunks = (left / full).floor();
    if chunks <= 1.0 {
        return limit;
    }
    first.saturating_add((left / chunks) as i64)
}

#[cfg(test)]
mod tests {
    use headwater_model::{SeriesColumns, TimeRange};

    use super::*;

    const RANGE: i64 = 7_200_000;

    fn chunks(times: impl IntoIterator<Item = i64>) -> Vec<(i64, i64, usize)> {
        let mut open = OpenChunk::default();
        let mut finished = Vec::new();
        for time in times {
            finished.extend(open.push_float(time, time as f64, Rules::plain(RANGE)));
        }
        finished.extend(open.finish());
        let count = |chunk: &EncodedChunk| {
            let mut columns = SeriesColumns::default();
            headwater_blockfmt::decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns)
                .unwrap();
            columns.len()
        };
        finished
            .iter()
            .map(|c| (c.min_time, c.max_time, count(c)))
            .collect()
    }

    #[test]
    fn even_samples_fill_the_range_evenly() {
        let found = chunks((0..960).map(|i| i * 15_000));
        let counts: Vec<usize> = found.iter().map(|c| c.2).collect();
        assert_eq!(counts, [120; 8]);
    }

    #[test]
    fn chunks_end_at_block_boundaries() {
        let found = chunks((0..100).map(|i| 7_000_000 + i * 15_000));
        assert_eq!(found[0].1, 7_000_000 + 13 * 15_000);
        assert_eq!(found[1].0, 7_000_000 + 14 * 15_000);
    }

    #[test]
    fn negative_times_lie_in_ranges_too() {
        assert_eq!(end_of_range(-1, RANGE), 0);
        assert_eq!(end_of_range(-RANGE, RANGE), 0);
        assert_eq!(end_of_range(0, RANGE), RANGE);
        assert_eq!(end_of_range(i64::MAX - 1, RANGE), i64::MAX);
    }

    #[test]
    fn bursts_are_cut_at_twice_the_target() {
        let found = chunks((0..1000).map(|i| if i < 40 { i * 15_000 } else { 600_000 + i }));
        assert!(found.iter().all(|c| c.2 <= 240));
    }
}
