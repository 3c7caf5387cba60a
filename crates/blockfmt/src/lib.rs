#![doc = include_str!("../README.md")]

mod bits;
pub mod chunk;
mod error;
mod input;
pub mod record;

pub use chunk::{ChunkError, EncodedChunk, Encoding, XorAppender, decode, encode_columns};
pub use error::{Cause, ChunkError, DecodeError};
pub use record::Record;
