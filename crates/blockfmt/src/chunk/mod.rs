//! Chunks: runs of samples of one series, compressed.
//!
//! [`decode`] turns any encoding into columns; [`encode_columns`] turns columns into chunks, cut
//! where Prometheus cuts them. A head that grows a series sample by sample uses
//! [`XorAppender`] and its peers, which can be read at any time and resumed from bytes.

mod cut;
mod fill;
mod histogram;
mod shrink;
mod starts;
mod value;
mod varbit;
mod xor;
mod xor2;
mod xor_read;

use bytes::Bytes;
use headwater_model::{SeriesColumns, TimeRange, Timestamp};

use crate::error::{Cause, DecodeError};

pub use crate::error::ChunkError;

pub use cut::{
    EncodeOptions, FLOATS_PER_CHUNK, HISTOGRAM_CHUNK_BYTES, HISTOGRAMS_PER_CHUNK_MIN,
    encode_columns, encode_columns_with,
};
pub use histogram::{Appender, Cut, Float, Integer, Kind};
pub use shrink::shrink;
pub use xor::XorAppender;
pub use xor2::Xor2Appender;

/// Writes chunks of integer histograms.
pub type HistogramAppender = Appender<Integer>;
/// Writes chunks of float histograms.
pub type FloatHistogramAppender = Appender<Float>;

/// How a chunk's bytes are to be read. The numbers are those of Prometheus's files and protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Encoding {
    /// Floats: times as deltas of deltas, values XORed with the one before.
    Xor = 1,
    /// Native histograms with integer counts.
    Histogram = 2,
    /// Native histograms with float counts.
    FloatHistogram = 3,
    /// Floats with joint control bits and, optionally, start timestamps; Prometheus 3.11 and later.
    Xor2 = 4,
    /// Integer histograms with start timestamps; Prometheus 3.14, may change there.
    HistogramSt = 5,
    /// Float histograms with start timestamps; Prometheus 3.14, may change there.
    FloatHistogramSt = 6,
}

impl Encoding {
    /// The encoding of a number in a file.
    ///
    /// # Errors
    /// No encoding has that number.
    pub fn from_number(number: u8) -> Result<Self, ChunkError> {
        Ok(match number {
            1 => Self::Xor,
            2 => Self::Histogram,
            3 => Self::FloatHistogram,
            4 => Self::Xor2,
            5 => Self::HistogramSt,
            6 => Self::FloatHistogramSt,
            _ => {
                let cause = Cause::Unsupported {
                    what: "chunk encoding",
                    number: number.into(),
                };
                return Err(DecodeError::new("chunk", 0, cause));
            }
        })
    }

    /// The number in files.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether chunks of this encoding hold histograms.
    pub const fn is_histogram(self) -> bool {
        !matches!(self, Self::Xor | Self::Xor2)
    }
}

/// A finished chunk with the times that an index keeps beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedChunk {
    /// How to read `data`.
    pub encoding: Encoding,
    /// Time of the first sample, in milliseconds.
    pub min_time: Timestamp,
    /// Time of the last sample, in milliseconds.
    pub max_time: Timestamp,
    /// The bytes, without length, encoding or checksum.
    pub data: Bytes,
}

/// The number of samples that a chunk says it holds.
///
/// # Errors
/// The chunk is too short for its header.
pub fn sample_count(encoding: Encoding, data: &[u8]) -> Result<usize, ChunkError> {
    let Some(head) = data.first_chunk::<2>() else {
        return Err(DecodeError::truncated("chunk", 0));
    };
    let count = u16::from_be_bytes(*head);
    Ok(match encoding {
        Encoding::HistogramSt | Encoding::FloatHistogramSt => count & 0x3fff,
        _ => count,
    }
    .into())
}

/// Appends the samples of a chunk that lie within `range` to the column of their kind.
///
/// `into` may hold earlier samples of the series. If an error is returned, it is as it was before.
///
/// # Errors
/// The bytes are damaged. What is allocated is bounded by their number: 24 bytes a bit for
/// floats; for histograms, 24 a bit and at most 1.5 KiB a sample, of which there are no more
/// than a quarter of the bits, and no more than 65535.
pub fn decode(
    encoding: Encoding,
    data: &[u8],
    range: TimeRange,
    into: &mut SeriesColumns,
) -> Result<(), ChunkError> {
    let SeriesColumns { floats, histograms } = into;
    match encoding {
        Encoding::Xor => xor_read::decode(data, range, floats),
        Encoding::Histogram => histogram::decode::<Integer>(data, false, range, histograms),
        Encoding::FloatHistogram => histogram::decode::<Float>(data, false, range, histograms),
        Encoding::HistogramSt => histogram::decode::<Integer>(data, true, range, histograms),
        Encoding::FloatHistogramSt => histogram::decode::<Float>(data, true, range, histograms),
        Encoding::Xor2 => xor2::decode(data, range, floats),
    }
}
