#![doc = include_str!("../README.md")]

mod config;
mod extent;
mod head;
pub mod part;
mod push;
mod select;
mod store;

pub use config::Config;
pub use extent::Extent;
pub use part::{Part, PartError, PartOptions, PartWriter};
pub use push::{PushEntry, PushStream};
pub use select::TenantLogs;
pub use store::{ChunkStore, FlushReason};
