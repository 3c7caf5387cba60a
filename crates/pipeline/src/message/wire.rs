//! The few pieces of protobuf that heka's messages need: varints, tags, and
//! a walk over the fields of one message that never copies.
//!
//! Wire types 0 (varint), 1 (eight bytes), 2 (length and bytes) and
//! 5 (four bytes) are read. Groups (3 and 4) never occur in heka data and
//! are refused, like the undefined types 6 and 7.

use thiserror::Error;

/// Why bytes are not a heka message, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end inside a value: the message was cut.
    #[error("unexpected end of message at byte {offset}")]
    UnexpectedEof {
        /// Where the value starts.
        offset: usize,
    },
    /// A known field carries a wire type it cannot have, or the wire type is
    /// not defined.
    #[error("wrong wire type {wire_type} for field {field} at byte {offset}")]
    WireType {
        /// The protobuf field number.
        field: u32,
        /// The wire type found.
        wire_type: u8,
        /// Where the field starts.
        offset: usize,
    },
    /// A varint of more than ten bytes.
    #[error("varint longer than ten bytes at byte {offset}")]
    Varint {
        /// Where the varint starts.
        offset: usize,
    },
}

/// One value as it lies on the wire.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1, little endian.
    Fixed64(u64),
    /// Wire type 2: where the content starts and ends.
    Len(usize, usize),
    /// Wire type 5. The value is never needed: no field of heka's has it.
    Fixed32,
}

/// A field of a message: its number, its value, and where it lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) field: u32,
    pub(crate) wire: Wire,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Entry {
    fn mismatch(&self) -> WireError {
        let wire_type = match self.wire {
            Wire::Varint(_) => 0,
            Wire::Fixed64(_) => 1,
            Wire::Len(..) => 2,
            Wire::Fixed32 => 5,
        };
        WireError::WireType {
            field: self.field,
            wire_type,
            offset: self.start,
        }
    }

    #[inline(always)]
    pub(crate) fn varint(&self) -> Result<u64, WireError> {
        match self.wire {
            Wire::Varint(value) => Ok(value),
            _ => Err(self.mismatch()),
        }
    }

    #[inline(always)]
    pub(crate) fn len(&self) -> Result<(usize, usize), WireError> {
        match self.wire {
            Wire::Len(start, end) => Ok((start, end)),
            _ => Err(self.mismatch()),
        }
    }

    pub(crate) fn mismatched(&self) -> WireError {
        self.mismatch()
    }
}

/// Walks the fields between `pos` and `end` of `buf`. Offsets in entries and
/// errors count from the start of `buf`.
pub(crate) struct Walk<'a> {
    buf: &'a [u8],
    pos: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(buf: &'a [u8], start: usize, end: usize) -> Walk<'a> {
        Walk {
            buf: &buf[..end],
            pos: start,
        }
    }

    /// The next field, or `None` at the end.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, WireError> {
        if self.pos >= self.buf.len() {
            return Ok(None);
        }
        let start = self.pos;
        let tag = read_varint(self.buf, &mut self.pos)?;
        let field = (tag >> 3) as u32;
        let wire = match tag & 7 {
            0 => Wire::Varint(read_varint(self.buf, &mut self.pos)?),
            1 => Wire::Fixed64(self.fixed64(start)?),
            2 => {
                let len = read_varint(self.buf, &mut self.pos)?;
                let begin = self.advance(len, start)?;
                Wire::Len(begin, self.pos)
            }
            5 => {
                self.advance(4, start)?;
                Wire::Fixed32
            }
            other => {
                return Err(WireError::WireType {
                    field,
                    wire_type: other as u8,
                    offset: start,
                });
            }
        };
        Ok(Some(Entry {
            field,
            wire,
            start,
            end: self.pos,
        }))
    }

    fn fixed64(&mut self, start: usize) -> Result<u64, WireError> {
        let at = self.advance(8, start)?;
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.buf[at..at + 8]);
        Ok(u64::from_le_bytes(bytes))
    }

    #[inline(always)]
    fn advance(&mut self, len: u64, start: usize) -> Result<usize, WireError> {
        let left = (self.buf.len() - self.pos) as u64;
        if len > left {
            return Err(WireError::UnexpectedEof { offset: start });
        }
        let at = self.pos;
        self.pos += len as usize;
        Ok(at)
    }
}

/// Reads a varint at `*pos` and moves `*pos` behind it.
#[inline(always)]
pub(crate) fn read_varint(buf: &[u8], pos: &mut usize) -> Result<u64, WireError> {
    let start = *pos;
    match buf.get(start) {
        Some(&byte) if byte < 0x80 => {
            *pos = start + 1;
            Ok(u64::from(byte))
        }
        _ => read_long_varint(buf, pos),
    }
}

fn read_long_varint(buf: &[u8], pos: &mut usize) -> Result<u64, WireError> {
    let start = *pos;
    let mut value = 0u64;
    for step in 0..10 {
        let Some(&byte) = buf.get(start + step) else {
            return Err(WireError::UnexpectedEof { offset: start });
        };
        value |= u64::from(byte & 0x7f) << (7 * step);
        if byte < 0x80 {
            *pos = start + step + 1;
            return Ok(value);
        }
    }
    Err(WireError::Varint { offset: start })
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field << 3 | 2));
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_number(out: &mut Vec<u8>, field: u32, value: u64) {
    put_varint(out, u64::from(field << 3));
    put_varint(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_and_are_measured() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            let mut pos = 0;
            assert_eq!(read_varint(&out, &mut pos), Ok(value));
            assert_eq!(pos, out.len());
        }
    }

    #[test]
    fn a_cut_or_endless_varint_is_an_error() {
        let mut pos = 0;
        assert_eq!(
            read_varint(&[0x80], &mut pos),
            Err(WireError::UnexpectedEof { offset: 0 })
        );
        assert_eq!(
            read_varint(&[0xff; 11], &mut pos),
            Err(WireError::Varint { offset: 0 })
        );
    }

    #[test]
    fn a_length_beyond_the_end_is_an_error() {
        let bytes = [0x1a, 5, b'a', b'b'];
        let error = Walk::new(&bytes, 0, 4).next().unwrap_err();
        assert_eq!(error, WireError::UnexpectedEof { offset: 0 });
    }
}
