//! The tombstones file of a block: what was deleted and is not gone yet.
//!
//! | field | form |
//! |---|---|
//! | magic number | `0x0130BA30` |
//! | version | 1 |
//! | tombstones | (uvarint series reference, varint first time, varint last time)* |
//! | checksum | u32 CRC-32C of the tombstones |
//!
//! Ranges are closed on both sides. A chunk snapshot holds version and tombstones without the
//! rest. Source: Prometheus, `tsdb/docs/format/tombstones.md`, `tsdb/tombstones/tombstones.go`.

use headwater_model::TimeRange;

use crate::error::{Cause, DecodeError};
use crate::frame::{self, CHECKSUM};
use crate::input::{Input, put_be32, put_uvarint, put_varint};
use crate::record::TombstoneEntry;

const PART: &str = "tombstones file";
const MAGIC: u32 = 0x0130_BA30;
const VERSION: u8 = 1;
/// Magic number and version.
const HEADER: usize = 5;

/// Writes a file.
pub fn encode(tombstones: impl IntoIterator<Item = TombstoneEntry>) -> Vec<u8> {
    let mut out = MAGIC.to_be_bytes().to_vec();
    put_body(&mut out, tombstones);
    let sum = crc32c::crc32c(&out[HEADER..]);
    put_be32(&mut out, sum);
    out
}

/// Reads a whole file.
///
/// # Errors
/// The file is damaged.
pub fn decode(file: &[u8]) -> Result<Vec<TombstoneEntry>, DecodeError> {
    frame::check_header(PART, file, MAGIC, &[VERSION])?;
    let summed = file[HEADER..].split_last_chunk::<CHECKSUM>();
    let (body, stored) = summed.ok_or(DecodeError::truncated(PART, file.len()))?;
    frame::check_sum(PART, HEADER, body, u32::from_be_bytes(*stored))?;
    read_entries(Input::new(PART, body)).map_err(|error| error.at_base(HEADER))
}

/// Appends version and tombstones, as a chunk snapshot holds them.
pub(crate) fn put_body(out: &mut Vec<u8>, tombstones: impl IntoIterator<Item = TombstoneEntry>) {
    out.push(VERSION);
    for TombstoneEntry { reference, range } in tombstones {
        put_uvarint(out, reference);
        put_varint(out, range.start);
        put_varint(out, range.end);
    }
}

/// Reads what [`put_body`] writes.
pub(crate) fn read_body(mut input: Input<'_>) -> Result<Vec<TombstoneEntry>, DecodeError> {
    let version = input.byte()?;
    if version != VERSION {
        return Err(input.error(Cause::Unsupported {
            what: "version",
            number: version.into(),
        }));
    }
    read_entries(input)
}

fn read_entries(mut input: Input<'_>) -> Result<Vec<TombstoneEntry>, DecodeError> {
    let mut tombstones = Vec::new();
    while !input.is_empty() {
        let reference = input.uvarint()?;
        let range = TimeRange::new(input.varint()?, input.varint()?);
        tombstones.push(TombstoneEntry { reference, range });
    }
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_file_is_as_prometheus_writes_it() {
        assert_eq!(encode([]), [0x01, 0x30, 0xba, 0x30, 1, 0, 0, 0, 0]);
    }

    #[test]
    fn faults_are_told_apart() {
        let whole = encode([TombstoneEntry {
            reference: 1,
            range: TimeRange::ALL,
        }]);
        let error = |at: usize| {
            let mut file = whole.clone();
            file[at] ^= 0x10;
            decode(&file).unwrap_err().cause
        };
        assert!(matches!(error(0), Cause::Magic { .. }));
        assert!(matches!(error(4), Cause::Unsupported { number: 0x11, .. }));
        assert!(matches!(error(5), Cause::Checksum { .. }));
        assert!(matches!(error(whole.len() - 1), Cause::Checksum { .. }));
        assert!((0..whole.len()).all(|len| decode(&whole[..len]).is_err()));
    }

    proptest! {
        #[test]
        fn tombstones_come_back(entries in proptest::collection::vec((any::<u64>(), any::<i64>(), any::<i64>()), 0..20)) {
            let entry = |(reference, start, end)| TombstoneEntry { reference, range: TimeRange::new(start, end) };
            let entries: Vec<_> = entries.into_iter().map(entry).collect();
            prop_assert_eq!(decode(&encode(entries.clone())).unwrap(), entries);
        }
    }
}
