//! Parts: log entries of many streams in one immutable object, in columns.
//!
//! `docs/format/part.md` describes every byte. [`PartWriter`] takes streams in order and gives
//! the object; [`Part`] reads one. A block's columns are fetched and decoded one by one: a query that
//! only counts never touches the lines.

pub(crate) mod bytes;
mod filter;
mod footer;
mod lines;
pub(crate) mod metadata;
mod read;
mod slots;
mod template;
mod times;
mod weigh;
mod write;

pub use filter::Probe;
pub use footer::{BlockInfo, Column, ColumnPlace, Run};
pub use read::{Part, Rows};
pub(crate) use weigh::Weigher;
pub use write::{PartOptions, PartWriter};

/// Magic at both ends; the last two digits are the version.
pub const MAGIC: &[u8; 8] = b"HWPART02";
/// Most entries of a block.
pub const MAX_BLOCK_ROWS: usize = 1 << 20;
/// Most bytes that the footer may have when decompressed.
pub const MAX_FOOTER_BYTES: usize = 256 << 20;
/// Most bytes that a column may have when decompressed.
pub const MAX_COLUMN_BYTES: usize = 1 << 30;

/// Why a part cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The object is not a part, or of a version that this program does not know.
    #[error("not a part of version 02: found {found:?} {place}")]
    Magic {
        /// What stands there instead.
        found: Vec<u8>,
        /// `at the start` or `at the end`.
        place: &'static str,
    },
    /// Bytes are damaged: restore the object, or leave out what it held.
    #[error("damaged {what}: bytes do not follow the format")]
    Damaged {
        /// Which piece.
        what: &'static str,
    },
    /// A checksum is wrong: restore the object, or leave out what it held.
    #[error("damaged {what} at offset {offset}: checksum is {found:08x}, should be {wanted:08x}")]
    Checksum {
        /// Which piece.
        what: &'static str,
        /// Where it begins, in bytes from the start of the object.
        offset: u64,
        /// Checksum of the bytes.
        found: u32,
        /// Checksum that was written.
        wanted: u32,
    },
    /// The caller broke the order of streams or of times: report a bug.
    #[error("entries out of order: {0}")]
    Order(String),
    /// The object could not be read.
    #[error(transparent)]
    Read(#[from] headwater_storage::Error),
}
