//! Chunk segment files of a block, `chunks/000001` and so on.
//!
//! | field | form |
//! |---|---|
//! | magic number | `0x85BD40DD` |
//! | version, padding | 1, three zero bytes |
//! | chunks | (uvarint length, u8 encoding, data, u32 CRC-32C of encoding and data)* |
//!
//! The length counts the data only. A reference to a chunk is the number of its file, counted
//! from 0 for `000001`, in the upper 32 bits, and its offset there in the lower.
//! Source: Prometheus, `tsdb/docs/format/chunks.md`, `tsdb/chunks/chunks.go`.

use integer_encoding::VarInt;

use crate::chunk::Encoding;
use crate::error::DecodeError;
use crate::frame::{self, CHECKSUM};
use crate::input::{Input, put_be32, put_uvarint};

const PART: &str = "chunk segment";
const MAGIC: u32 = 0x85BD_40DD;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = 8;
/// Writers begin a new file rather than let one grow beyond this.
pub const MAX_SEGMENT_BYTES: u64 = 512 << 20;

/// A chunk as it lies in a file, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawChunk<'a> {
    /// How to read `data`.
    pub encoding: Encoding,
    /// The chunk's bytes.
    pub data: &'a [u8],
    /// Offset of what follows the chunk.
    pub end: usize,
}

/// Where a chunk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef {
    /// Counts the files of a block, from 0.
    pub segment: u32,
    /// Offset of the chunk's length in the file.
    pub offset: u32,
}

impl ChunkRef {
    /// The reference that an index stores.
    pub const fn from_u64(number: u64) -> Self {
        Self {
            segment: (number >> 32) as u32,
            offset: number as u32,
        }
    }

    /// The number for an index.
    pub const fn to_u64(self) -> u64 {
        (self.segment as u64) << 32 | self.offset as u64
    }
}

/// The first bytes of every file.
pub fn header() -> [u8; HEADER_LEN] {
    frame::chunk_file_header(MAGIC)
}

/// Checks the first bytes of a file.
///
/// # Errors
/// They are not those of a chunk segment.
pub fn check_header(file: &[u8]) -> Result<(), DecodeError> {
    frame::check_header(PART, file, MAGIC, &[1]).map(|_| ())
}

/// Bytes that a chunk of `len` bytes takes in a file.
pub fn encoded_len(len: usize) -> usize {
    (len as u64).required_space() + 1 + len + CHECKSUM
}

/// Appends a chunk to what will be written to a file.
pub fn put_chunk(out: &mut Vec<u8>, encoding: Encoding, data: &[u8]) {
    put_uvarint(out, data.len() as u64);
    let start = out.len();
    out.push(encoding.number());
    out.extend_from_slice(data);
    let sum = crc32c::crc32c(&out[start..]);
    put_be32(out, sum);
}

/// Reads the chunk at `offset` of a file.
///
/// # Errors
/// There is none, or it is damaged; offsets are those of the file.
pub fn read_chunk(file: &[u8], offset: usize) -> Result<RawChunk<'_>, DecodeError> {
    let Some(rest) = file.get(offset..) else {
        return Err(DecodeError::truncated(PART, file.len()));
    };
    read(rest, offset).map_err(|error| error.at_base(offset))
}

fn read(rest: &[u8], offset: usize) -> Result<RawChunk<'_>, DecodeError> {
    let mut input = Input::new(PART, rest);
    let len = input.count(1)?;
    let start = input.offset();
    let summed = input.bytes(len + 1)?;
    let stored = input.be32()?;
    frame::check_sum(PART, start, summed, stored)?;
    let (&number, data) = summed
        .split_first()
        .ok_or(DecodeError::truncated(PART, start))?;
    let encoding = Encoding::from_number(number).map_err(|error| error.at_base(start))?;
    Ok(RawChunk {
        encoding,
        data,
        end: offset + input.offset(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(chunks: &[(Encoding, &[u8])]) -> Vec<u8> {
        let mut file = header().to_vec();
        for (encoding, data) in chunks {
            put_chunk(&mut file, *encoding, data);
        }
        file
    }

    #[test]
    fn chunks_come_back_in_order() {
        let long = [7; 300];
        let file = file(&[(Encoding::Xor, &[1, 2, 3]), (Encoding::Histogram, &long)]);
        check_header(&file).unwrap();
        let first = read_chunk(&file, HEADER_LEN).unwrap();
        assert_eq!(
            (first.encoding, first.data),
            (Encoding::Xor, &[1, 2, 3][..])
        );
        assert_eq!(first.end, HEADER_LEN + encoded_len(3));
        let second = read_chunk(&file, first.end).unwrap();
        assert_eq!(
            (second.encoding, second.data, second.end),
            (Encoding::Histogram, &long[..], file.len())
        );
        assert!(read_chunk(&file, file.len()).is_err());
        assert!(read_chunk(&file, usize::MAX).is_err());
    }

    #[test]
    fn other_files_are_refused() {
        let mut file = file(&[]);
        file[4] = 2;
        assert_eq!(
            check_header(&file).unwrap_err().to_string(),
            "chunk segment, byte 4: unknown version 2"
        );
        file[2] ^= 1;
        let error = check_header(&file).unwrap_err().to_string();
        assert_eq!(
            error,
            "chunk segment, byte 0: magic number is 85bd41dd, not 85bd40dd"
        );
    }

    #[test]
    fn references_have_two_halves() {
        let reference = ChunkRef::from_u64(0x1_0000_0008);
        assert_eq!((reference.segment, reference.offset), (1, 8));
        assert_eq!(reference.to_u64(), 0x1_0000_0008);
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_found(data in proptest::collection::vec(any::<u8>(), 0..200), at: prop::sample::Index, bit in 0..8u32) {
            let mut file = file(&[(Encoding::Xor, &data)]);
            let at = HEADER_LEN + at.index(file.len() - HEADER_LEN);
            file[at] ^= 1 << bit;
            prop_assert!(read_chunk(&file, HEADER_LEN).is_err());
        }
    }
}
