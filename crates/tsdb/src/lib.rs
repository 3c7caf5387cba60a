#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `options` names what can be chosen, `db` ties the parts together, `opening`
//! is a store whose log is still being read, `strays` is what stands in its way,
//! `storage` answers the store's callers. `head` holds the newest samples,
//! `log` writes them down, `replay` reads them back. `block` is what becomes of
//! them, `read` joins head and blocks, `labels` answers questions about labels,
//! `cardinality` says what there is most of,
//! `delete` hides samples wherever they are,
//! `maintain` moves data from head to blocks and removes what is old.
//! `backfill` makes blocks of samples that do not come through the head.
//! `golden`, with the feature of this name, runs recorded directories.

pub mod backfill;
mod block;
mod cardinality;
mod chunk_snapshot;
mod db;
mod delete;
mod error;
#[cfg(any(test, feature = "golden"))]
pub mod golden;
mod head;
mod labels;
mod log;
mod log_records;
mod maintain;
mod opening;
mod options;
mod read;
mod replay;
mod stats;
mod storage;
mod strays;

pub use block::DamagedBlock;
pub use db::Db;
pub use delete::Deletion;
pub use headwater_blockfmt::BlockMeta;
pub use maintain::{Maintenance, MendedBlock, Retention};
pub use opening::{Opening, ReplayProgress};
pub use options::{Builder, Durability, FloatEncoding, Options};
pub use stats::{Cardinality, Stats, TopEntry};
