//! Finding all records in the bytes of a stream that are there.

use super::splitter::{Found, Splitter};

/// What a pass over a buffer brought, besides records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cut {
    /// Bytes that are done with.
    pub used: usize,
    /// Bytes that belong to no record.
    pub skipped: usize,
    /// How often the largest record allowed was exceeded.
    pub oversize: usize,
}

/// Appends to `found` where the records in `bytes` start and end.
///
/// `end` says that the stream ended or paused. A record of more than
/// `record_max` bytes is cut off there: the piece is a record if
/// `keep_truncated`, else it is dropped, and the rest counts as a new one.
pub fn cut(
    splitter: &mut dyn Splitter,
    bytes: &[u8],
    end: bool,
    record_max: usize,
    keep_truncated: bool,
    found: &mut Vec<(usize, usize)>,
) -> Cut {
    let mut cut = Cut::default();
    while cut.used < bytes.len() {
        let limit = bytes.len().min(cut.used + record_max);
        let window = &bytes[cut.used..limit];
        // Behind the limit there is more, so this is not the end.
        match splitter.find(window, end && limit == bytes.len()) {
            Found::Record {
                start,
                end: stop,
                next,
            } => {
                cut.skipped += start;
                if stop > start {
                    found.push((cut.used + start, cut.used + stop));
                } else if next == 0 {
                    break;
                }
                cut.used += next;
            }
            Found::More { discard: 0 } if window.len() < record_max => break,
            Found::More { discard: 0 } => {
                cut.oversize += 1;
                if keep_truncated {
                    found.push((cut.used, limit));
                }
                cut.used = limit;
            }
            Found::More { discard } => {
                cut.skipped += discard;
                cut.used += discard;
            }
        }
    }
    cut
}
