//! Plain framing, for queues.
//!
//! ```text
//! frame   magic 4 B | length 4 B | CRC-32C of length and data 4 B | data
//! ```
//!
//! Numbers are big-endian. The magic lets a reader find the next frame behind
//! damage; a frame is believed only if its checksum matches too. Zeros up to
//! the end of the segment are space that was reserved and not used.

use memchr::memmem;

use crate::DamageReason;
use crate::compress::MAX_RECORD;
use crate::decode::{Bytes, Step};

const MAGIC: [u8; 4] = [0xf1, b'H', b'W', 0x1a];
pub(crate) const HEADER: usize = 12;

/// Appends the frame of a record to `out`.
pub(crate) fn encode(record: &[u8], out: &mut Vec<u8>) {
    let len = (record.len() as u32).to_be_bytes();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&len);
    out.extend_from_slice(&checksum(len, record).to_be_bytes());
    out.extend_from_slice(record);
}

fn checksum(len: [u8; 4], record: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&len), record)
}

/// The frame at `at`: its record and where it ends.
fn read(data: &[u8], at: usize) -> Result<(&[u8], usize), DamageReason> {
    let rest = &data[at..];
    let Some(&[m0, m1, m2, m3, l0, l1, l2, l3, c0, c1, c2, c3]) = rest.first_chunk::<HEADER>()
    else {
        return Err(DamageReason::Torn);
    };
    let len_bytes = [l0, l1, l2, l3];
    let len = u32::from_be_bytes(len_bytes) as usize;
    if [m0, m1, m2, m3] != MAGIC || len > MAX_RECORD {
        return Err(DamageReason::Header);
    }
    let Some(record) = rest.get(HEADER..HEADER + len) else {
        return Err(DamageReason::Torn);
    };
    if checksum(len_bytes, record) != u32::from_be_bytes([c0, c1, c2, c3]) {
        return Err(DamageReason::Checksum);
    }
    Ok((record, at + HEADER + len))
}

/// Reads the record at `start`.
pub(crate) fn decode(data: &[u8], start: usize) -> Step {
    if data[start..].iter().all(|b| *b == 0) {
        return Step::End;
    }
    match read(data, start) {
        Ok((_, end)) => Step::Record {
            start,
            end,
            bytes: Bytes::Data(start + HEADER..end),
            flags: 0,
        },
        Err(reason) => Step::Damage {
            start,
            resume: next_frame(data, start + 1),
            reason,
        },
    }
}

fn next_frame(data: &[u8], from: usize) -> usize {
    let from = from.min(data.len());
    memmem::find_iter(&data[from..], &MAGIC)
        .map(|found| from + found)
        .find(|at| read(data, *at).is_ok())
        .unwrap_or(data.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: &[u8], at: usize) -> (&[u8], usize) {
        match decode(data, at) {
            Step::Record {
                end,
                bytes: Bytes::Data(range),
                ..
            } => (&data[range], end),
            other => panic!("no record at {at}: {other:?}"),
        }
    }

    #[test]
    fn damage_costs_one_record() {
        let mut data = Vec::new();
        for record in [&b"one"[..], b"two", b"", b"four"] {
            encode(record, &mut data);
        }
        data[HEADER + 3 + HEADER + 1] ^= 0x40;
        let (one, end) = record(&data, 0);
        assert_eq!(one, b"one");
        let Step::Damage { resume, reason, .. } = decode(&data, end) else {
            panic!("the second record is damaged");
        };
        assert_eq!(reason, DamageReason::Checksum);
        let (empty, end) = record(&data, resume);
        assert_eq!(empty, b"");
        assert_eq!(record(&data, end), (&b"four"[..], data.len()));
    }

    #[test]
    fn zeros_and_torn_tails_end_the_log() {
        let mut data = Vec::new();
        encode(b"abc", &mut data);
        let torn = &data[..data.len() - 1];
        assert!(matches!(
            decode(torn, 0),
            Step::Damage {
                resume: 14,
                reason: DamageReason::Torn,
                ..
            }
        ));
        data.resize(100, 0);
        assert!(matches!(decode(&data, 15), Step::End));
    }
}
