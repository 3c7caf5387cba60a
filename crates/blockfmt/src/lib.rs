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
    EncodedChunk, Encoding, FloatHistogramAppender, HistogramAppender, XorAppender, decode,
    encode_columns,
};
pub use error::{Cause, ChunkError, DecodeError};
pub use index::{Index, IndexWriter};
pub use meta::BlockMeta;
pub use record::Record;
