#![doc = include_str!("../README.md")]

mod bits;
pub mod chunk;
mod error;

pub use chunk::{ChunkError, EncodedChunk, Encoding, XorAppender, decode, encode_columns};
pub use error::{Cause, DecodeError};
