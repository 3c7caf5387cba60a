#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `options` names what can be chosen, `db` ties the parts together,
//! `storage` answers the store's callers. `head` holds the newest samples,
//! `log` writes them down, `replay` reads them back.

mod db;
mod error;
mod head;
mod log;
mod options;
mod replay;
mod stats;
mod storage;

pub use db::Db;
pub use options::{Builder, Durability, Options};
pub use stats::{Cardinality, Stats, TopEntry};
