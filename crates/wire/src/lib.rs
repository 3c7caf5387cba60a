#![doc = include_str!("../README.md")]

pub mod chunked;
pub mod error;
pub mod fields;
pub mod histogram;
#[cfg(feature = "loki")]
pub mod loki;
pub mod messages;
pub mod read;
pub mod snappy;
pub mod write1;
pub mod write2;

pub use error::WireError;

/// The most bytes of a message once decompressed. Source: the decoding limit of Prometheus's
/// remote write and read handlers.
pub const MAX_DECOMPRESSED: usize = 32 << 20;
