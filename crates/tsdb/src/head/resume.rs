//! Growing chunks that go on where a snapshot has left them.

use headwater_blockfmt::{
    DecodeError, Encoding, FloatHistogramAppender, HistogramAppender, Xor2Appender, XorAppender,
};
use headwater_model::Timestamp;

use super::open_chunk::{FLOATS_TARGET, Growing, OpenChunk, end_of_range, predict_end};
use super::rules::Rules;

impl OpenChunk {
    /// The growing chunk with these bytes, which begins at `min_time`.
    ///
    /// # Errors
    /// The bytes are damaged.
    pub(crate) fn resume(
        encoding: Encoding,
        data: &[u8],
        min_time: Timestamp,
        rules: Rules,
    ) -> Result<OpenChunk, DecodeError> {
        let growing = match encoding {
            Encoding::Xor => Growing::Floats(XorAppender::resume(data)?),
            Encoding::Xor2 => Growing::Floats2(Box::new(Xor2Appender::resume(data)?)),
            Encoding::Histogram | Encoding::HistogramSt => {
                Growing::Integer(Box::new(HistogramAppender::resume(encoding, data)?))
            }
            Encoding::FloatHistogram | Encoding::FloatHistogramSt => {
                Growing::Float(Box::new(FloatHistogramAppender::resume(encoding, data)?))
            }
        };
        let end = end_of_range(min_time, rules.range);
        let predicted = match encoding.is_histogram() {
            // Their size ends them.
            true => end,
            false => predicted_end(&growing, min_time, end),
        };
        Ok(OpenChunk {
            growing,
            min_time,
            end: predicted,
        })
    }
}

/// The end as it was predicted when the chunk was a quarter full. How far it
/// had come then is forgotten; samples mostly come evenly.
fn predicted_end(growing: &Growing, min_time: Timestamp, limit: Timestamp) -> Timestamp {
    let (count, quarter) = (growing.count(), FLOATS_TARGET / 4);
    if count <= quarter {
        return limit;
    }
    let span = growing.last_time().saturating_sub(min_time) as f64;
    let at_quarter = span * (quarter - 1) as f64 / (count - 1) as f64;
    predict_end(
        min_time,
        min_time.saturating_add(at_quarter.round() as i64),
        limit,
    )
}

#[cfg(test)]
mod tests {
    use headwater_blockfmt::{EncodedChunk, decode};
    use headwater_model::{Histogram, SeriesColumns, TimeRange};

    use super::*;

    const RANGE: i64 = 7_200_000;

    /// All chunks of 1,000 pushes, if the growing chunk is written down and
    /// read back every `every` of them.
    fn chunks(
        every: i64,
        push: impl Fn(&mut OpenChunk, i64) -> Option<EncodedChunk>,
    ) -> Vec<EncodedChunk> {
        let mut open = OpenChunk::default();
        let mut out = Vec::new();
        for n in 0..1000 {
            out.extend(push(&mut open, n));
            if n % every == every - 1 {
                let chunk = open.encoded().unwrap();
                let rules = Rules::plain(RANGE);
                open =
                    OpenChunk::resume(chunk.encoding, &chunk.data, chunk.min_time, rules).unwrap();
            }
        }
        out.extend(open.finish());
        out
    }

    #[test]
    fn chunks_grow_and_end_as_if_there_had_been_no_break() {
        for every in [1, 7, 29, 30, 31, 50] {
            for xor2 in [false, true] {
                let rules = Rules {
                    xor2,
                    ..Rules::plain(RANGE)
                };
                let push = |open: &mut OpenChunk, n: i64| {
                    open.push_float(n * 15_000, (n % 17) as f64, rules)
                };
                // The bytes may differ: windows of values begin anew.
                let samples = |chunks: Vec<EncodedChunk>| {
                    let decoded = |chunk: &EncodedChunk| {
                        let mut columns = SeriesColumns::default();
                        decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns).unwrap();
                        (chunk.min_time, chunk.max_time, columns)
                    };
                    chunks.iter().map(decoded).collect::<Vec<_>>()
                };
                let (found, wanted) = (chunks(every, push), chunks(i64::MAX, push));
                let ends = |chunks: &[EncodedChunk]| -> Vec<_> {
                    chunks.iter().map(|c| (c.min_time, c.max_time)).collect()
                };
                assert_eq!(ends(&found), ends(&wanted), "{every} {xor2}");
                assert!(samples(found) == samples(wanted), "{every} {xor2}");
            }
            let histogram = |n: i64| Histogram {
                count: n as u64,
                zero_count: n as u64,
                ..Histogram::default()
            };
            let rules = Rules::plain(RANGE);
            let samples = |chunks: Vec<EncodedChunk>| {
                let count =
                    |c: &EncodedChunk| headwater_blockfmt::chunk::sample_count(c.encoding, &c.data);
                chunks.iter().map(|c| count(c).unwrap()).sum::<usize>()
            };
            let push = |open: &mut OpenChunk, n: i64| {
                open.push_integer(n * 15_000, &histogram(n), 0, rules)
            };
            assert_eq!(samples(chunks(every, push)), 1000);
            let push = |open: &mut OpenChunk, n: i64| {
                open.push_float_histogram(n * 15_000, &histogram(n).to_float(), 0, rules)
            };
            assert_eq!(samples(chunks(every, push)), 1000);
        }
    }

    #[test]
    fn damage_is_noticed() {
        let rules = Rules::plain(RANGE);
        assert!(OpenChunk::resume(Encoding::Xor, &[0, 9, 1], 0, rules).is_err());
        assert!(OpenChunk::resume(Encoding::Histogram, &[0], 0, rules).is_err());
    }
}
