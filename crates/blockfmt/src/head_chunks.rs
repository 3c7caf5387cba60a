//! Head chunk files, `chunks_head/000001` and so on: full chunks of series whose samples are not
//! in a block yet.
//!
//! | field | form |
//! |---|---|
//! | magic number | `0x0130BC91` |
//! | version, padding | 1, three zero bytes |
//! | chunks | see below |
//!
//! | chunk | form |
//! |---|---|
//! | series reference, first time, last time | u64 each |
//! | encoding | u8; the top bit says "came out of order" |
//! | length, data | uvarint, bytes |
//! | checksum | u32 CRC-32C of all of the above |
//!
//! A file is allocated before it is written, so that it may end in zeros; no series has
//! reference 0. Source: Prometheus, `tsdb/chunks/head_chunks.go`; its format page describes an
//! older file with times in the header.

use headwater_model::Timestamp;

use crate::chunk::Encoding;
use crate::error::DecodeError;
use crate::frame;
use crate::input::{Input, put_be32, put_be64, put_bytes};

const PART: &str = "head chunk file";
const MAGIC: u32 = 0x0130_BC91;
const OUT_OF_ORDER: u8 = 0x80;
/// Bytes before the first chunk.
pub const HEADER_LEN: usize = 8;
/// Writers begin a new file rather than let one grow beyond this.
pub const MAX_FILE_BYTES: u64 = 128 << 20;
/// Bytes of a chunk beside its data, at most.
pub const MAX_OVERHEAD: usize = 3 * 8 + 1 + 10 + 4;
/// References and times before the encoding.
const FIXED: usize = 24;

/// A chunk as it lies in a file, its checksum verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadChunk<'a> {
    /// Offset of the chunk in its file; with the file's number above, this is its reference.
    pub offset: usize,
    /// The series.
    pub reference: u64,
    /// Time of the first sample, in milliseconds.
    pub min_time: Timestamp,
    /// Time of the last sample, in milliseconds.
    pub max_time: Timestamp,
    /// How to read `data`.
    pub encoding: Encoding,
    /// Whether the samples came out of order.
    pub out_of_order: bool,
    /// The chunk's bytes.
    pub data: &'a [u8],
    /// Offset of what follows the chunk.
    pub end: usize,
}

/// The first bytes of every file.
pub fn header() -> [u8; HEADER_LEN] {
    frame::chunk_file_header(MAGIC)
}

/// Checks the first bytes of a file.
///
/// # Errors
/// They are not those of a head chunk file.
pub fn check_header(file: &[u8]) -> Result<(), DecodeError> {
    frame::check_header(PART, file, MAGIC, &[1]).map(|_| ())
}

/// The reference of a chunk: number of its file above, offset below.
pub const fn chunk_ref(file_number: u32, offset: u32) -> u64 {
    (file_number as u64) << 32 | offset as u64
}

/// What [`put_chunk`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewChunk<'a> {
    /// The series.
    pub reference: u64,
    /// Time of the first sample, in milliseconds.
    pub min_time: Timestamp,
    /// Time of the last sample, in milliseconds.
    pub max_time: Timestamp,
    /// How to read `data`.
    pub encoding: Encoding,
    /// Whether the samples came out of order.
    pub out_of_order: bool,
    /// The chunk's bytes.
    pub data: &'a [u8],
}

/// Appends a chunk to what will be written to a file.
pub fn put_chunk(out: &mut Vec<u8>, chunk: &NewChunk<'_>) {
    let start = out.len();
    put_be64(out, chunk.reference);
    put_be64(out, chunk.min_time as u64);
    put_be64(out, chunk.max_time as u64);
    let flag = if chunk.out_of_order { OUT_OF_ORDER } else { 0 };
    out.push(chunk.encoding.number() | flag);
    put_bytes(out, chunk.data);
    let sum = crc32c::crc32c(&out[start..]);
    put_be32(out, sum);
}

/// Reads the chunk at `offset` of a file.
///
/// # Errors
/// There is none, or it is damaged; offsets are those of the file.
pub fn read_chunk(file: &[u8], offset: usize) -> Result<HeadChunk<'_>, DecodeError> {
    let Some(rest) = file.get(offset..) else {
        return Err(DecodeError::truncated(PART, file.len()));
    };
    read(rest, offset).map_err(|error| error.at_base(offset))
}

fn read(rest: &[u8], offset: usize) -> Result<HeadChunk<'_>, DecodeError> {
    let mut input = Input::new(PART, rest);
    let reference = input.be64()?;
    let (min_time, max_time) = (input.be64()? as Timestamp, input.be64()? as Timestamp);
    let number = input.byte()?;
    let data = input.len_bytes()?;
    let summed = &rest[..input.offset()];
    let stored = input.be32()?;
    frame::check_sum(PART, 0, summed, stored)?;
    let encoding =
        Encoding::from_number(number & !OUT_OF_ORDER).map_err(|error| error.at_base(FIXED))?;
    let out_of_order = number & OUT_OF_ORDER != 0;
    let end = offset + input.offset();
    Ok(HeadChunk {
        offset,
        reference,
        min_time,
        max_time,
        encoding,
        out_of_order,
        data,
        end,
    })
}

/// All chunks of a file, in order.
///
/// Ends where only zeros follow. After an error nothing follows: lengths cannot be trusted
/// any more. Zeros with something behind them are damage, too: a page of the file was lost.
///
/// # Errors
/// The file's header is not that of a head chunk file.
pub fn chunks(file: &[u8]) -> Result<Chunks<'_>, DecodeError> {
    check_header(file)?;
    if file.len() < HEADER_LEN {
        return Err(DecodeError::truncated(PART, file.len()));
    }
    Ok(Chunks {
        file,
        next: HEADER_LEN,
    })
}

/// Iterates over the chunks of a file.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    file: &'a [u8],
    next: usize,
}

impl<'a> Chunks<'a> {
    /// Offset of what was not read yet: behind the last chunk, if the iterator has ended well.
    pub fn offset(&self) -> usize {
        self.next
    }

    fn at_end(&self) -> Result<bool, DecodeError> {
        let rest = &self.file[self.next..];
        let fixed = &rest[..rest.len().min(FIXED)];
        if !is_zero(fixed) {
            return Ok(false);
        }
        if is_zero(rest) {
            return Ok(true);
        }
        Err(DecodeError::invalid(
            PART,
            self.next,
            "zeros in the middle of the file",
        ))
    }

    fn read(&mut self) -> Result<Option<HeadChunk<'a>>, DecodeError> {
        if self.at_end()? {
            return Ok(None);
        }
        let chunk = read_chunk(self.file, self.next)?;
        self.next = chunk.end;
        Ok(Some(chunk))
    }
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Result<HeadChunk<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if read.is_err() {
            self.file = &self.file[..self.next];
        }
        read.transpose()
    }
}

/// Compares by words, which the compiler makes wide: the tail may be 128 MiB.
fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(4096)
        .all(|page| page.iter().fold(0, |all, byte| all | byte) == 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn new(reference: u64, data: &[u8]) -> NewChunk<'_> {
        NewChunk {
            reference,
            min_time: -5,
            max_time: 9,
            encoding: Encoding::Xor,
            out_of_order: reference > 1,
            data,
        }
    }

    fn file() -> Vec<u8> {
        let mut file = header().to_vec();
        put_chunk(&mut file, &new(1, &[1, 2, 3]));
        put_chunk(&mut file, &new(2, &[0; 200]));
        file
    }

    #[test]
    fn chunks_come_back() {
        let mut file = file();
        let end = file.len();
        file.resize(end + 10_000, 0);
        let mut chunks = chunks(&file).unwrap();
        let first = chunks.next().unwrap().unwrap();
        assert_eq!(
            (first.reference, first.min_time, first.max_time, first.data),
            (1, -5, 9, &[1, 2, 3][..])
        );
        assert!(!first.out_of_order);
        let second = chunks.next().unwrap().unwrap();
        assert!(second.out_of_order && second.data.len() == 200);
        assert_eq!(read_chunk(&file, second.offset).unwrap(), second);
        assert!(chunks.next().is_none());
        assert_eq!(chunks.offset(), end);
    }

    #[test]
    fn a_lost_page_is_damage() {
        let mut file = file();
        file.resize(file.len() + 100, 0);
        file.push(1);
        let mut chunks = chunks(&file).unwrap().skip(2);
        let error = chunks.next().unwrap().unwrap_err().to_string();
        assert!(
            error.ends_with("zeros in the middle of the file"),
            "{error}"
        );
        assert!(chunks.next().is_none());
    }

    #[test]
    fn short_files_are_refused() {
        for len in 0..HEADER_LEN {
            assert!(chunks(&file()[..len]).is_err());
        }
        let file = file();
        for len in HEADER_LEN + 1..file.len() {
            let whole = chunks(&file[..len]).unwrap().filter(Result::is_ok).count();
            assert!(whole < 2);
        }
    }

    proptest! {
        #[test]
        fn every_flipped_bit_is_found(at in HEADER_LEN..80usize, bit in 0..8u32) {
            let mut file = file();
            file[at] ^= 1 << bit;
            prop_assert!(chunks(&file).unwrap().any(|chunk| chunk.is_err()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = header().to_vec();
            file.extend(data);
            prop_assert!(chunks(&file).unwrap().count() < 10);
        }
    }
}
