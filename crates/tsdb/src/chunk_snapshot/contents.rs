//! What a snapshot relies on.
//!
//! A text of lines, the last of them a checksum of those before it:
//!
//! ```text
//! headwater chunk snapshot 1
//! records 1041
//! chunks_head 3 16777304 1767232799000
//! crc32c 1c29ab3f
//! ```
//!
//! `records` counts the records of the snapshot; `chunks_head` names a file,
//! its length in bytes and the newest time in it.

use std::fmt::Write;

use headwater_model::Timestamp;

const FIRST_LINE: &str = "headwater chunk snapshot 1";

/// A head chunk file whose chunks the snapshot leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkFile {
    pub(crate) number: u32,
    pub(crate) bytes: u64,
    pub(crate) max_time: Timestamp,
}

/// What a snapshot relies on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    pub(crate) records: u64,
    pub(crate) chunk_files: Vec<ChunkFile>,
}

impl Contents {
    pub(super) fn to_text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nrecords {}\n", self.records);
        for file in &self.chunk_files {
            let ChunkFile {
                number,
                bytes,
                max_time,
            } = file;
            let _ = writeln!(text, "chunks_head {number} {bytes} {max_time}");
        }
        let sum = crc32c::crc32c(text.as_bytes());
        let _ = writeln!(text, "crc32c {sum:08x}");
        text
    }

    /// `None` if the text is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Option<Contents> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (before, last) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let sum = u32::from_str_radix(last.strip_prefix("crc32c ")?, 16).ok()?;
        let summed = &text[..before.len() + 1];
        if crc32c::crc32c(summed.as_bytes()) != sum {
            return None;
        }
        let mut lines = before.lines().filter(|line| !line.is_empty());
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let records = lines.next()?.strip_prefix("records ")?.parse().ok()?;
        let chunk_files = lines.map(parse_file).collect::<Option<_>>()?;
        Some(Contents {
            records,
            chunk_files,
        })
    }
}

fn parse_file(line: &str) -> Option<ChunkFile> {
    let mut words = line.strip_prefix("chunks_head ")?.split(' ');
    Some(ChunkFile {
        number: words.next()?.parse().ok()?,
        bytes: words.next()?.parse().ok()?,
        max_time: words.next()?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_come_back_and_damage_is_noticed() {
        let file = |number| ChunkFile {
            number,
            bytes: 99,
            max_time: -5,
        };
        for chunk_files in [vec![], vec![file(3), file(4)]] {
            let contents = Contents {
                records: 7,
                chunk_files,
            };
            let text = contents.to_text();
            assert_eq!(Contents::parse(text.as_bytes()), Some(contents));
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                assert_eq!(Contents::parse(&bytes[..at]), None, "cut at {at}");
                bytes[at] ^= 1;
                assert_eq!(Contents::parse(&bytes), None, "changed at {at}");
            }
        }
    }
}
