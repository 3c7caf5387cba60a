//! The index of a block: which series it has, by which labels they are found, where their
//! chunks lie.
//!
//! | section | form |
//! |---|---|
//! | magic number, version | `0xBAAAD700`, u8: 1, 2 or 3 |
//! | symbols | u32 length, u32 number, (uvarint length, text)* ascending, checksum |
//! | series | ascending by labels, each at a multiple of 16: uvarint length, body, checksum |
//! | a series' labels | uvarint number, (uvarint name, uvarint value)*: symbols by their number |
//! | a series' chunks | uvarint number; first: varint first time, uvarint to last time, uvarint reference; others: uvarint from the last time before, uvarint to last time, varint from the reference before |
//! | label indices | no longer written, never read |
//! | postings | each at a multiple of 4: u32 length, u32 number, u32 series* ascending, checksum |
//! | postings table | u32 length, u32 number, (u8 2, name, value, uvarint offset)*, checksum |
//! | table of contents | u64 offsets of symbols, series, label indices, label index table, postings, postings table; checksum |
//!
//! Checksums are u32 CRC-32C over what lies between the length and them; integers of fixed width
//! are big-endian. A series is referred to by its offset divided by 16. Version 1 differs: series
//! by their offset, symbols by their offset, the postings table in any order. Version 3 is read
//! like 2. Version 2 is written.
//!
//! The postings table begins with the pair of empty name and empty value: all series.
//! Source: Prometheus, `tsdb/docs/format/index.md`, `tsdb/index/index.go`.

mod postings;
mod read;
mod salvage;
mod series;
mod symbols;
mod table;
#[cfg(test)]
mod tests;
mod write;

pub use postings::{Postings, PostingsIter};
pub use read::{Index, LabelValues};
pub use salvage::{Salvage, SalvagedSeries, salvage};
pub use series::{ChunkMeta, SeriesEntry};
pub use symbols::Symbols;
pub use write::{IndexWriteError, IndexWriter};

const PART: &str = "index";
const MAGIC: u32 = 0xBAAA_D700;
/// Magic number and version.
const HEADER: usize = 5;
/// Version 1 refers to series and symbols by their offsets.
const VERSION_1: u8 = 1;
/// The version that is written.
const VERSION_2: u8 = 2;
const VERSIONS: [u8; 3] = [1, 2, 3];
/// Series begin at multiples of this.
const SERIES_ALIGN: usize = 16;

use crate::error::DecodeError;
use crate::frame::{self, CHECKSUM};
use crate::input::Input;

/// Offsets of the sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Contents {
    symbols: u64,
    series: u64,
    postings: u64,
    postings_table: u64,
}

impl Contents {
    /// Six offsets and a checksum.
    const LEN: usize = 6 * 8 + CHECKSUM;

    fn read(file: &[u8]) -> Result<Self, DecodeError> {
        let Some(at) = file.len().checked_sub(Self::LEN).filter(|&at| at >= HEADER) else {
            return Err(DecodeError::truncated(PART, file.len()));
        };
        let (body, stored) = file[at..].split_at(Self::LEN - CHECKSUM);
        let mut stored = Input::new(PART, stored);
        frame::check_sum(PART, at, body, stored.be32()?)?;
        let mut body = Input::new(PART, body);
        let mut offset = || body.be64().map_err(|error| error.at_base(at));
        let (symbols, series) = (offset()?, offset()?);
        let _label_indices = (offset()?, offset()?);
        let (postings, postings_table) = (offset()?, offset()?);
        Ok(Self {
            symbols,
            series,
            postings,
            postings_table,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        let start = out.len();
        // Prometheus 3.14 gives the postings' offsets for the label indices that it no longer writes.
        for offset in [
            self.symbols,
            self.series,
            self.postings,
            self.postings_table,
            self.postings,
            self.postings_table,
        ] {
            crate::input::put_be64(out, offset);
        }
        let sum = crc32c::crc32c(&out[start..]);
        crate::input::put_be32(out, sum);
    }
}

/// A section with a length before it and a checksum behind: the body, verified.
fn section(file: &[u8], offset: u64) -> Result<(&[u8], usize), DecodeError> {
    let truncated = || DecodeError::truncated(PART, file.len());
    let start = usize::try_from(offset).map_err(|_| truncated())?;
    let rest = file.get(start..).ok_or_else(truncated)?;
    let mut input = Input::new(PART, rest);
    let read = |input: &mut Input<'_>| Ok::<_, DecodeError>(input.be32()? as usize);
    let len = read(&mut input).map_err(|error| error.at_base(start))?;
    let body = input.bytes(len).map_err(|_| truncated())?;
    let stored = input.be32().map_err(|_| truncated())?;
    let base = start + 4;
    frame::check_sum(PART, base, body, stored)?;
    Ok((body, base))
}
