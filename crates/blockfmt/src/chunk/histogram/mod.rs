//! Encodings 2, 3, 5 and 6: native histograms.
//!
//! | field | form |
//! |---|---|
//! | 2, 3: number of samples, flags | u16, u8; the two top bits of the flags tell of counter resets |
//! | 5, 6: flags and number of samples, starts | 2 + 14 bits, u8 (see `starts`) |
//! | zero threshold | u8: 0 is 0, 1 to 254 is 2^(n−244), 255 is followed by 64 bits |
//! | schema | signed varbit |
//! | positive spans, negative spans | number, then length and offset each, varbits |
//! | custom bounds | only for schema −53: number, then each bound |
//! | samples | time, count, zero count, sum, positive buckets, negative buckets, (start) |
//!
//! The first sample has its numbers whole. After that, integers are differences of differences
//! and floats (of float histograms, and every sum) are XORed with the value before. A stale
//! marker has no buckets. All samples of a chunk share one layout; a histogram that needs other
//! buckets makes the chunk be written anew, or cuts it.
//! Source: Prometheus, `tsdb/docs/format/chunks.md`, `tsdb/chunkenc/histogram.go`.

mod append;
mod fit;
mod kind;
mod layout;
mod read;
#[cfg(test)]
mod tests;
mod track;

pub use append::{Appender, Cut};
pub use kind::{Float, Integer, Kind};
pub(super) use read::decode;

use headwater_model::ResetHint;

/// Bytes before the layout, in every histogram encoding.
const HEADER: usize = 3;

/// The two bits that tell of a counter reset between this chunk and the one before.
fn reset_bits(reset: ResetHint) -> u8 {
    match reset {
        ResetHint::Unknown => 0b00,
        ResetHint::NotReset => 0b01,
        ResetHint::Reset => 0b10,
        ResetHint::Gauge => 0b11,
    }
}

fn reset_of_bits(bits: u8) -> ResetHint {
    match bits & 0b11 {
        0b01 => ResetHint::NotReset,
        0b10 => ResetHint::Reset,
        0b11 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}
