#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `push` is what comes in and its form in the log; `head` keeps the newest of it in memory; `part`
//! describes the immutable objects that heads become, and `object` where those lie; `remote`, behind the
//! feature `object_store`, puts them into stores of clouds. `store` joins them;
//! `flush` decides what is written next and `work` does it; `merge` and `retain` look after parts;
//! `replay` reads the log back. `select` finds what a query needs, `cursor` walks over it, `cache` keeps
//! what was decoded; `extent` counts without reading.

mod cache;
mod config;
mod cursor;
mod extent;
mod flush;
mod head;
mod merge;
mod name;
pub mod object;
pub mod part;
mod push;
#[cfg(feature = "object_store")]
pub mod remote;
mod replay;
mod retain;
mod select;
mod store;
mod work;

pub use config::Config;
pub use extent::Extent;
pub use flush::FlushReason;
pub use object::{LocalObjects, Object, ObjectClient, Upload};
pub use part::{Part, PartError, PartOptions, PartWriter};
pub use push::{PushEntry, PushStream};
pub use select::TenantLogs;
pub use store::{ChunkStore, StoreCounts};
pub use work::Workers;
