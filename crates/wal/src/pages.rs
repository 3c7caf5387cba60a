//! Prometheus's framing.
//!
//! A segment is a row of pages of 32 KiB. A page holds fragments, then zeros.
//!
//! ```text
//! fragment   type 1 B | length 2 B, big-endian | CRC-32C of the data 4 B | data
//! type       bits 0-2: 0 rest of the page is padding, 1 whole record,
//!                      2 first, 3 middle, 4 last fragment of a record
//!            bit 3: the record is compressed with snappy, bit 4: with zstd
//! ```
//!
//! A page with fewer than 7 bytes left is padded. A segment may end anywhere;
//! what is missing of its last page reads as zeros. The last fragment of a
//! record may not lie in another segment. Source: Prometheus `tsdb/wlog/wlog.go`.

use crate::compress::{self, Compressor};
use crate::decode::{Bytes, Scratch, Step};
use crate::{Compression, DamageReason};

pub(crate) const PAGE: usize = 32 << 10;
const HEADER: usize = 7;

const PADDING: u8 = 0;
const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;
const KIND: u8 = 0b0000_0111;
const SNAPPY: u8 = 0b0000_1000;
const ZSTD: u8 = 0b0001_0000;
const UNUSED: u8 = 0b1110_0000;

/// Appends the fragments of a record to `out`, whose first byte will stand at
/// `base` in the segment.
pub(crate) fn encode(record: &[u8], compressor: &mut Compressor, base: u64, out: &mut Vec<u8>) {
    let (mut rest, compression) = compressor.compress(record);
    let flag = match compression {
        Compression::None => 0,
        Compression::Snappy => SNAPPY,
        #[cfg(feature = "zstd")]
        Compression::Zstd => ZSTD,
    };
    let mut first = true;
    loop {
        let room = room_in_page(base + out.len() as u64);
        debug_assert!(room >= HEADER, "pages are padded before they are too full");
        let (part, tail) = rest.split_at(rest.len().min(room - HEADER));
        let kind = match (first, tail.is_empty()) {
            (true, true) => FULL,
            (true, false) => FIRST,
            (false, false) => MIDDLE,
            (false, true) => LAST,
        };
        out.push(kind | flag);
        out.extend_from_slice(&(part.len() as u16).to_be_bytes());
        out.extend_from_slice(&crc32c::crc32c(part).to_be_bytes());
        out.extend_from_slice(part);
        pad_full_page(base, out);
        if tail.is_empty() {
            return;
        }
        (rest, first) = (tail, false);
    }
}

/// Bytes that padding the page at `offset` to its end takes.
pub(crate) fn padding(offset: u64) -> usize {
    match room_in_page(offset) {
        PAGE => 0,
        room => room,
    }
}

/// Upper bound of the bytes that a record of `len` bytes takes.
pub(crate) fn encoded_len(len: usize) -> u64 {
    let fragments = len / (PAGE - HEADER) + 2;
    (len + fragments * HEADER) as u64
}

fn room_in_page(offset: u64) -> usize {
    PAGE - (offset % PAGE as u64) as usize
}

fn pad_full_page(base: u64, out: &mut Vec<u8>) {
    let room = room_in_page(base + out.len() as u64);
    if room < HEADER {
        out.resize(out.len() + room, 0);
    }
}

struct Fragment<'a> {
    kind: u8,
    flags: u8,
    data: &'a [u8],
    end: usize,
}

enum Read<'a> {
    Fragment(Fragment<'a>),
    /// Zeros up to the end of the page.
    Padding(usize),
    /// The data ends here, between two fragments.
    End,
    Damage(DamageReason),
}

fn read_fragment(data: &[u8], base: u64, at: usize) -> Read<'_> {
    let page_end = at + room_in_page(base + at as u64);
    let page = &data[at..page_end.min(data.len())];
    let Some(&kind) = page.first() else {
        return Read::End;
    };
    if kind & KIND == PADDING {
        return match page.iter().all(|b| *b == 0) {
            true => Read::Padding(at + page.len()),
            false => Read::Damage(DamageReason::Header),
        };
    }
    let Some(&[kind, len_hi, len_lo, c0, c1, c2, c3]) = page.first_chunk::<HEADER>() else {
        return Read::Damage(DamageReason::Torn);
    };
    if kind & UNUSED != 0 || kind & KIND > LAST {
        return Read::Damage(DamageReason::Header);
    }
    let len = usize::from(u16::from_be_bytes([len_hi, len_lo]));
    if at + HEADER + len > page_end {
        return Read::Damage(DamageReason::Header);
    }
    let Some(part) = page.get(HEADER..HEADER + len) else {
        return Read::Damage(DamageReason::Torn);
    };
    if crc32c::crc32c(part) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Read::Damage(DamageReason::Checksum);
    }
    Read::Fragment(Fragment {
        kind: kind & KIND,
        flags: kind & !KIND,
        data: part,
        end: at + HEADER + len,
    })
}

/// What was found, decompressed if it is a record that is not plain.
pub(crate) fn unpack(found: Step, data: &[u8], scratch: &mut Scratch) -> Step {
    let (start, end, bytes, flags) = match found {
        Step::Record {
            start,
            end,
            bytes,
            flags: flags @ 1..,
        } => (start, end, bytes, flags),
        other => return other,
    };
    let mut out = std::mem::take(&mut scratch.out);
    out.clear();
    let done = decompress(bytes.of(data, scratch), flags, &mut out);
    scratch.out = out;
    match done {
        Ok(()) => Step::Record {
            start,
            end,
            bytes: Bytes::Out,
            flags: 0,
        },
        Err(reason) => damage(start, end, reason),
    }
}

/// Reads the record at `at`, and leaves it compressed.
pub(crate) fn stored(data: &[u8], base: u64, mut at: usize, scratch: &mut Scratch) -> Step {
    let mut start = at;
    let mut open = false;
    scratch.joined.clear();
    loop {
        let fragment = match read_fragment(data, base, at) {
            Read::Fragment(fragment) => fragment,
            Read::Padding(end) if !open => {
                (start, at) = (end, end);
                continue;
            }
            Read::End if !open => return Step::End,
            // Zeros or nothing where a record should go on are the mark of a
            // writer that was stopped.
            Read::Padding(end) => return damage(start, end, DamageReason::Torn),
            Read::End => return damage(start, at, DamageReason::Torn),
            Read::Damage(reason) => return damage(start, resync(data, base, at + 1), reason),
        };
        let out_of_order = |resume| damage(start, resume, DamageReason::Order);
        match (fragment.kind, open) {
            (FULL, false) => return whole(data, base, start, &fragment),
            (FIRST, false) | (MIDDLE, true) => {
                scratch.joined.extend_from_slice(fragment.data);
                (open, at) = (true, fragment.end);
            }
            (LAST, true) => {
                scratch.joined.extend_from_slice(fragment.data);
                return joined(data, base, start, &fragment);
            }
            // A new record begins where the old one should go on.
            (FULL | FIRST, true) => return out_of_order(at),
            _ => return out_of_order(fragment.end),
        }
        if scratch.joined.len() > compress::MAX_RECORD {
            return damage(start, at, DamageReason::Header);
        }
    }
}

fn whole(data: &[u8], base: u64, start: usize, only: &Fragment<'_>) -> Step {
    Step::Record {
        start,
        end: skip_padding(data, base, only.end),
        bytes: Bytes::Data(only.end - only.data.len()..only.end),
        flags: only.flags,
    }
}

fn joined(data: &[u8], base: u64, start: usize, last: &Fragment<'_>) -> Step {
    Step::Record {
        start,
        end: skip_padding(data, base, last.end),
        bytes: Bytes::Joined,
        flags: last.flags,
    }
}

/// The few bytes at the end of a page that cannot hold a header belong to the
/// record before them, so that the end of a record is where the next starts.
fn skip_padding(data: &[u8], base: u64, end: usize) -> usize {
    match room_in_page(base + end as u64) {
        room if room < HEADER => (end + room).min(data.len()),
        _ => end,
    }
}

/// Appends what was stored with these flags, decompressed.
pub(crate) fn decompress(stored: &[u8], flags: u8, out: &mut Vec<u8>) -> Result<(), DamageReason> {
    match flags {
        0 => {
            out.extend_from_slice(stored);
            Ok(())
        }
        SNAPPY => compress::snappy(stored, out),
        ZSTD => compress::zstd(stored, out),
        _ => Err(DamageReason::Header),
    }
}

/// Where reading may resume in the page of `from`: at the next whole fragment
/// that begins a record, or at the next page. A wrong guess would need a
/// matching checksum over bytes that are none.
fn resync(data: &[u8], base: u64, from: usize) -> usize {
    let page_end = from - 1 + room_in_page(base + from as u64 - 1);
    let end = page_end.min(data.len());
    let begins_a_record = |at: &usize| {
        // Looked at first, because to tell padding from damage takes the rest of the page.
        matches!(data[*at] & KIND, FULL | FIRST)
            && matches!(read_fragment(data, base, *at), Read::Fragment(f) if !f.data.is_empty())
    };
    (from..end).find(begins_a_record).unwrap_or(end)
}

fn damage(start: usize, resume: usize, reason: DamageReason) -> Step {
    Step::Damage {
        start,
        resume,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(records: &[&[u8]], compression: Compression) -> Vec<u8> {
        let mut compressor = Compressor::new(compression);
        let mut out = Vec::new();
        for record in records {
            encode(record, &mut compressor, 0, &mut out);
        }
        out
    }

    fn read(data: &[u8]) -> (Vec<Vec<u8>>, Vec<DamageReason>) {
        let (mut at, mut records, mut damages) = (0, Vec::new(), Vec::new());
        let mut scratch = Scratch::default();
        loop {
            let found = stored(data, 0, at, &mut scratch);
            match unpack(found, data, &mut scratch) {
                Step::Record { end, bytes, .. } => {
                    records.push(bytes.of(data, &scratch).to_vec());
                    at = end;
                }
                Step::End => return (records, damages),
                Step::Damage { resume, reason, .. } => {
                    assert!(resume > at || resume == data.len());
                    damages.push(reason);
                    if resume >= data.len() {
                        return (records, damages);
                    }
                    at = resume;
                }
            }
        }
    }

    #[test]
    fn a_record_is_framed_as_prometheus_does() {
        let out = write(&[b"abc"], Compression::None);
        let crc = crc32c::crc32c(b"abc").to_be_bytes();
        assert_eq!(out, [&[1, 0, 3][..], &crc, b"abc"].concat());
    }

    #[test]
    fn records_of_all_lengths_around_a_page_come_back() {
        for edge in (PAGE - 20..PAGE + 2).chain(2 * PAGE - 20..2 * PAGE + 2) {
            let big: Vec<u8> = (0..edge).map(|i| i as u8).collect();
            let records = [&big[..], b"", b"tail", &big];
            let data = write(&records, Compression::None);
            let (back, damages) = read(&data);
            assert_eq!(back, records, "edge {edge}");
            assert!(damages.is_empty());
        }
    }

    #[test]
    fn damage_costs_one_record() {
        let record = [9u8; 1000];
        let mut data = write(&[&record[..]; 100], Compression::None);
        data[PAGE + 5000] ^= 1;
        let (back, damages) = read(&data);
        assert_eq!(damages, [DamageReason::Checksum]);
        assert_eq!(back.len(), 99);
        assert!(back.iter().all(|r| r == &record));
        // A page that came back as zeros costs what was in it.
        data[PAGE..PAGE + 4096].fill(0);
        let (back, _) = read(&data);
        assert!(back.len() >= 94, "{}", back.len());
        assert!(back.iter().all(|r| r == &record));
    }

    #[test]
    fn every_cut_keeps_the_records_before_it() {
        let data = write(&[b"one", b"two", b"three"], Compression::Snappy);
        let ends = [10, 20, 32];
        for cut in 0..data.len() {
            let (back, damages) = read(&data[..cut]);
            let whole = ends.iter().filter(|end| **end <= cut).count();
            assert_eq!(back.len(), whole, "cut at {cut}");
            let at_edge = cut == 0 || ends.contains(&cut);
            assert_eq!(damages.is_empty(), at_edge, "cut at {cut}");
        }
    }

    #[test]
    fn zeros_to_the_end_of_the_page_are_padding() {
        let mut data = write(&[b"one"], Compression::None);
        data.resize(PAGE, 0);
        data.extend(write(&[b"two"], Compression::None));
        let (back, damages) = read(&data);
        assert_eq!(back, [b"one", b"two"]);
        assert!(damages.is_empty());
        data[100] = 1;
        let (back, damages) = read(&data);
        assert_eq!(back, [b"one", b"two"]);
        assert_eq!(damages, [DamageReason::Header]);
    }
}
