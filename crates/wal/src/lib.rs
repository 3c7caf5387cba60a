#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `config` names the choices, `position` the places. `pages` and `frames`
//! describe the bytes; `compress` and `decode` serve them. `segment` writes
//! from one thread, `log` shares it between threads and keeps the promises of
//! durability, `follower` reads along. `reader` reads logs at rest, `repair` and
//! `checkpoint` work on them, `whole` writes one that is there whole or not at all.

mod checkpoint;
mod compress;
mod config;
mod decode;
mod error;
mod follower;
mod frames;
mod log;
mod pages;
mod position;
mod reader;
mod repair;
mod segment;
mod whole;

pub use checkpoint::{Checkpoint, CheckpointWriter, list_checkpoints, remove_checkpoints_before};
pub use config::{Compression, Config, DamagePolicy, Framing, SyncPolicy};
pub use decode::SegmentDecoder;
pub use error::{Damage, DamageReason, Result, WalError};
pub use follower::{Follower, Record};
pub use log::{Ticket, Wal};
pub use position::{Position, list_segments, segment_path};
pub use reader::{SegmentReader, Stored};
pub use repair::{repair, repair_segment};
pub use segment::SegmentWriter;
pub use whole::WholeLogWriter;
