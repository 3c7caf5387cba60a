#![doc = include_str!("../README.md")]

mod bits;
pub mod chunk;
mod error;
mod input;
pub mod record;

pub use chunk::{
    EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, XorAppender, decode,
    encode_columns,
};
pub use error::{Cause, ChunkError, DecodeError};
pub use record::Record;
