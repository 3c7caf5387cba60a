#![doc = include_str!("../README.md")]

mod bits;
pub mod chunk;
mod error;
mod frame;
pub mod head_chunks;
pub mod index;
mod input;
pub mod meta;
pub mod record;
pub mod segment;
pub mod snapshot;
pub mod tombstones;

pub use chunk::{
    EncodeOptions, EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, Xor2Appender,
    XorAppender, decode, encode_columns, encode_columns_with,
};
pub use error::{Cause, ChunkError, DecodeError};
pub use index::{Index, IndexWriter};
pub use meta::BlockMeta;
pub use record::Record;
