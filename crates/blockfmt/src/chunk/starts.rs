//! Start timestamps inside chunks: encodings 4, 5 and 6 share them.
//!
//! One header byte: the top bit says that the first sample has a start, the low seven bits name
//! the first sample (counted from 0) whose start differs from the first one's; 0 means none.
//! The start of sample 0 is written as the varint `time − start`; from the named sample on, each
//! sample is followed by `previous time − start`: whole for the first, then as difference to the
//! one before. Sample 127 is always named, because the header cannot name a later one.
//! Sources: Prometheus, `tsdb/chunkenc/st.go` and `xor2.go` (its format page errs in two places:
//! it calls the first start a plain varint and 127 `0xEF`).

use headwater_model::Timestamp;

use super::varbit;
use crate::bits::{BitReader, BitWriter};

const KNOWN: u8 = 0x80;
/// The last sample that the header can name.
const LAST_NAMED: u16 = 0x7f;

/// What both sides keep.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Starts {
    header: u8,
    start: Timestamp,
    difference: i64,
}

impl Starts {
    /// State of a reader that found `header`.
    pub(super) fn new(header: u8) -> Self {
        Self {
            header,
            ..Self::default()
        }
    }

    /// The header byte, which changes while samples are written.
    pub(super) fn header(&self) -> u8 {
        self.header
    }

    /// Whether starts follow samples other than the first.
    pub(super) fn follow(&self) -> bool {
        self.named() != 0
    }

    /// The start of the sample that was read or written last.
    pub(super) fn last(&self) -> Timestamp {
        self.start
    }

    fn named(&self) -> u16 {
        u16::from(self.header & LAST_NAMED as u8)
    }

    /// Writes what belongs behind sample `at`.
    pub(super) fn write(
        &mut self,
        out: &mut BitWriter,
        at: u16,
        (before, time): (Timestamp, Timestamp),
        start: Timestamp,
    ) {
        let changed = start != self.start;
        self.start = start;
        if at == 0 {
            if start != 0 {
                self.header = KNOWN;
                out.write_varint(time.wrapping_sub(start));
            }
            return;
        }
        let difference = before.wrapping_sub(start);
        if self.named() != 0 {
            varbit::write_int(out, difference.wrapping_sub(self.difference));
        } else if changed || at == LAST_NAMED {
            self.header |= at as u8;
            varbit::write_int(out, difference);
        } else {
            return;
        }
        self.difference = difference;
    }

    /// Reads what belongs behind sample `at` and answers its start; `None` if a varint does not end.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        input: &mut BitReader<'_>,
        at: u16,
        (before, time): (Timestamp, Timestamp),
    ) -> Option<Timestamp> {
        if at > 0 {
            return Some(self.read_next(input, at, (before, time)));
        }
        if self.header & KNOWN != 0 {
            self.start = time.wrapping_sub(input.varint()?);
        }
        Some(self.start)
    }

    /// The same behind any sample but the first.
    #[inline(always)]
    pub(super) fn read_next(
        &mut self,
        input: &mut BitReader<'_>,
        at: u16,
        (before, _): (Timestamp, Timestamp),
    ) -> Timestamp {
        if self.named() != 0 && at >= self.named() {
            let read = varbit::read_int(input);
            self.difference = if at == self.named() {
                read
            } else {
                self.difference.wrapping_add(read)
            };
            self.start = before.wrapping_sub(self.difference);
        }
        self.start
    }
}
