//! XOR2 chunks, as small as the format allows.
//!
//! Each value that differs from the one before is written in a window of significant bits: the last
//! one, or a new one, which costs eleven bits or twelve. A writer that sees one sample at a time can
//! only guess which is better in the end; the usual rule, Prometheus's, stays with a window for as long
//! as values fit into it, and pays for one wide value with every narrow one that follows.
//!
//! Once all samples are known, the best choice is a partition into runs, each of which has the
//! smallest window that all its values fit into. It is found by dynamic programming over where the last
//! run begins: some thousand additions for a chunk of 120 samples.

use bytes::Bytes;
use headwater_model::{FloatColumn, STALE_NAN_BITS, SeriesColumns, TimeRange};

use super::value::Window;
use super::{EncodedChunk, Encoding, Xor2Appender, decode};
use crate::error::ChunkError;

/// Bits of a new window beside what going on with the last one takes.
const NEW_WINDOW: u32 = 11;

/// The chunk with its samples encoded anew, if that makes it smaller. Only XOR2 is tried: for others
/// the answer is `None`.
///
/// # Errors
/// The chunk is damaged.
pub fn shrink(chunk: &EncodedChunk) -> Result<Option<EncodedChunk>, ChunkError> {
    if chunk.encoding != Encoding::Xor2 {
        return Ok(None);
    }
    let mut columns = SeriesColumns::default();
    decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns)?;
    let data = encode(&columns.floats);
    Ok((data.len() < chunk.data.len()).then(|| EncodedChunk {
        data,
        ..chunk.clone()
    }))
}

/// Encodes floats as XOR2 in as few bits as there can be.
fn encode(floats: &FloatColumn) -> Bytes {
    let mut windows = best_windows(&differences(floats)).into_iter().peekable();
    let mut appender = Xor2Appender::with_capacity(floats.len() * 4);
    for (at, (time, value)) in floats.times.iter().zip(&floats.values).enumerate() {
        if let Some((_, window)) = windows.next_if(|(begins, _)| *begins == at) {
            appender.begin_window(window);
        }
        let start = floats.starts.get(at).copied().unwrap_or(0);
        appender.append_with_start(*time, *value, start);
    }
    appender.to_bytes()
}

/// A sample whose value is written in a window.
struct Difference {
    at: usize,
    needed: Window,
    /// What a new window costs here.
    anew: u32,
}

fn differences(floats: &FloatColumn) -> Vec<Difference> {
    let mut out = Vec::with_capacity(floats.len());
    let (mut before, mut delta) = (0u64, 0);
    for (at, value) in floats
        .values
        .iter()
        .map(|value| value.to_bits())
        .enumerate()
    {
        let step = match at {
            0 => 0,
            _ => floats.times[at].wrapping_sub(floats.times[at - 1]),
        };
        let even = at > 1 && step == delta;
        delta = step;
        // A stale marker has a code of its own and changes nothing.
        if value == STALE_NAN_BITS {
            continue;
        }
        if at > 0 && value != before {
            out.push(Difference {
                at,
                needed: Window::of(value ^ before),
                anew: NEW_WINDOW + u32::from(!even),
            });
        }
        before = value;
    }
    out
}

/// At which samples to begin which windows.
fn best_windows(differences: &[Difference]) -> Vec<(usize, Window)> {
    // By the number of differences so far: bits, where the last run begins, and its window.
    let mut best: Vec<(u32, usize, Window)> = vec![(0, 0, Window::NONE)];
    for end in 1..=differences.len() {
        let mut found = (u32::MAX, 0, Window::NONE);
        let mut window = differences[end - 1].needed;
        for begin in (0..end).rev() {
            window = window.around(differences[begin].needed);
            let bits = (end - begin) as u32 * window.width();
            if bits >= found.0 {
                break;
            }
            let bits = bits + best[begin].0 + differences[begin].anew;
            if bits < found.0 {
                found = (bits, begin, window);
            }
        }
        best.push(found);
    }
    let mut runs = Vec::new();
    let mut end = differences.len();
    while end > 0 {
        let (_, begin, window) = best[end];
        runs.push((differences[begin].at, window));
        end = begin;
    }
    runs.reverse();
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(floats: &FloatColumn) -> EncodedChunk {
        let mut appender = Xor2Appender::new();
        for (at, (time, value)) in floats.times.iter().zip(&floats.values).enumerate() {
            let start = floats.starts.get(at).copied().unwrap_or(0);
            appender.append_with_start(*time, *value, start);
        }
        EncodedChunk {
            encoding: Encoding::Xor2,
            min_time: floats.times.first().copied().unwrap_or(0),
            max_time: floats.times.last().copied().unwrap_or(0),
            data: appender.to_bytes(),
        }
    }

    fn decoded(chunk: &EncodedChunk) -> FloatColumn {
        let mut columns = SeriesColumns::default();
        decode(chunk.encoding, &chunk.data, TimeRange::ALL, &mut columns).unwrap();
        columns.floats
    }

    #[test]
    fn one_wide_value_does_not_widen_all_that_follow() {
        let mut floats = FloatColumn::default();
        for n in 0..120 {
            let value = if n == 3 { 0.1 } else { f64::from(n % 2) };
            floats.push(i64::from(n) * 15_000, value);
        }
        let before = chunk(&floats);
        let after = shrink(&before).unwrap().unwrap();
        assert!(after.data.len() * 3 < before.data.len());
        assert_eq!(decoded(&after), floats);
    }

    #[test]
    fn other_chunks_are_left_alone() {
        let floats = EncodedChunk {
            encoding: Encoding::Xor,
            min_time: 0,
            max_time: 0,
            data: Bytes::from_static(&[0, 0]),
        };
        assert_eq!(shrink(&floats).unwrap(), None);
        assert_eq!(shrink(&chunk(&FloatColumn::default())).unwrap(), None);
        let mut damaged = chunk(&FloatColumn::default());
        damaged.data = Bytes::from_static(&[0, 9, 0, 1]);
        assert!(shrink(&damaged).is_err());
    }

    proptest! {
        #[test]
        fn samples_stay_and_no_bit_is_added(
            samples in proptest::collection::vec(
                (1i64..40_000, prop_oneof![
                    any::<u64>(),
                    (0u32..40).prop_map(|n| f64::from(n).to_bits()),
                    Just(STALE_NAN_BITS),
                ], 0i64..3),
                0..150,
            )
        ) {
            let mut floats = FloatColumn::default();
            let mut time = -7;
            for (step, bits, start) in samples {
                time += step;
                floats.push_with_start(time, f64::from_bits(bits), start * 1000);
            }
            let before = chunk(&floats);
            let shrunk = shrink(&before).unwrap();
            let plain = |floats: FloatColumn| {
                let bits: Vec<u64> = floats.values.iter().map(|value| value.to_bits()).collect();
                (floats.times, bits, floats.starts)
            };
            if let Some(after) = shrunk {
                prop_assert!(after.data.len() < before.data.len());
                prop_assert_eq!(plain(decoded(&after)), plain(decoded(&before)));
            }
        }
    }
}
