//! Reading fixed-width integers, varints and texts off a slice, with offsets for errors,
//! and the other way round.

use integer_encoding::VarInt;

use crate::error::{Cause, DecodeError};

/// What is left of a slice. Knows its offset in the whole, so that every error names a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input<'a> {
    part: &'static str,
    rest: &'a [u8],
    len: usize,
}

impl<'a> Input<'a> {
    /// Reads `data`, which errors call `part`.
    #[inline]
    pub(crate) fn new(part: &'static str, data: &'a [u8]) -> Self {
        Self {
            part,
            rest: data,
            len: data.len(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Bytes read so far.
    #[inline]
    pub(crate) fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Bytes that are left.
    #[inline]
    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Skips the type byte of a record.
    pub(crate) fn after_type(mut self) -> Result<Self, DecodeError> {
        self.byte()?;
        Ok(self)
    }

    /// Moves behind the last byte: nothing is read after an error.
    #[cold]
    pub(crate) fn end(&mut self) {
        self.rest = &[];
    }

    #[cold]
    pub(crate) fn truncated(&self) -> DecodeError {
        DecodeError::truncated(self.part, self.offset())
    }

    #[cold]
    pub(crate) fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::invalid(self.part, self.offset(), what)
    }

    #[cold]
    pub(crate) fn error(&self, cause: Cause) -> DecodeError {
        DecodeError::new(self.part, self.offset(), cause)
    }

    /// Fails unless everything has been read.
    pub(crate) fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.invalid("more bytes than the structure needs"))
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((head, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(*head)
    }

    #[inline]
    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.truncated());
        };
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    #[inline]
    pub(crate) fn be32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn be64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    #[inline]
    pub(crate) fn float(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_bits(self.be64()?))
    }

    /// An unsigned varint. One and two bytes, which nearly all are, go without a loop.
    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, DecodeError> {
        match *self.rest {
            [low, ref rest @ ..] if low < 0x80 => {
                self.rest = rest;
                Ok(low.into())
            }
            [low, high, ref rest @ ..] if high < 0x80 => {
                self.rest = rest;
                Ok(u64::from(low & 0x7f) | u64::from(high) << 7)
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Result<u64, DecodeError> {
        if let Some((value, len)) = u64::decode_var(self.rest) {
            self.rest = &self.rest[len..];
            return Ok(value);
        }
        if self.rest.len() < 10 {
            return Err(self.truncated());
        }
        Err(self.invalid("a varint has more than 64 bits"))
    }

    /// A signed varint, zig-zag.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i64, DecodeError> {
        Ok(crate::bits::unzigzag(self.uvarint()?))
    }

    /// A varint that counts things of at least `least_bytes` bytes each that follow, so that a
    /// damaged count cannot ask for more memory than the input justifies.
    #[inline]
    pub(crate) fn count(&mut self, least_bytes: usize) -> Result<usize, DecodeError> {
        let before = *self;
        let count = self.uvarint()?;
        if count > (self.rest.len() / least_bytes) as u64 {
            return Err(before.invalid("a count is larger than what follows"));
        }
        Ok(count as usize)
    }

    /// Bytes behind their length.
    #[inline]
    pub(crate) fn len_bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.count(1)?;
        self.bytes(len)
    }

    /// UTF-8 text behind its length.
    #[inline]
    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let before = *self;
        let bytes = self.len_bytes()?;
        std::str::from_utf8(bytes).map_err(|_| before.invalid("a text is not UTF-8"))
    }
}

pub(crate) fn put_uvarint(out: &mut Vec<u8>, value: u64) {
    let mut buffer = [0; 10];
    let len = value.encode_var(&mut buffer);
    out.extend_from_slice(&buffer[..len]);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, crate::bits::zigzag(value));
}

pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_be32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_be64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_float(out: &mut Vec<u8>, value: f64) {
    put_be64(out, value.to_bits());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn errors_name_their_place() {
        let mut input = Input::new("thing", &[1, 0x80]);
        input.byte().unwrap();
        let error = input.uvarint().unwrap_err();
        assert_eq!(error.to_string(), "thing, byte 1: the bytes end too early");
        let mut input = Input::new("thing", &[0xff; 20]);
        assert!(
            input
                .uvarint()
                .unwrap_err()
                .to_string()
                .ends_with("a varint has more than 64 bits")
        );
        let mut input = Input::new("thing", &[9, 1, 2]);
        assert!(
            input
                .len_bytes()
                .unwrap_err()
                .to_string()
                .ends_with("larger than what follows")
        );
        assert!(Input::new("thing", &[1, 0xff]).text().is_err());
    }

    proptest! {
        #[test]
        fn varints_come_back(value: i64, shift in 0u32..64, text in ".{0,20}") {
            let mut out = Vec::new();
            put_varint(&mut out, value >> shift);
            put_uvarint(&mut out, value as u64 >> shift);
            put_text(&mut out, &text);
            let mut input = Input::new("thing", &out);
            prop_assert_eq!(input.varint().unwrap(), value >> shift);
            prop_assert_eq!(input.uvarint().unwrap(), value as u64 >> shift);
            prop_assert_eq!(input.text().unwrap(), text);
            input.finish().unwrap();
        }
    }
}
