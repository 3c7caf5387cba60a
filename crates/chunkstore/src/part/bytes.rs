//! Reading and writing the small numbers of the format; every read is checked.

use super::PartError;

/// Appends a LEB128 number.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number in zig-zag form.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    put_uvarint(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends a length and the bytes.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads from the front of a slice.
#[derive(Clone, Debug)]
pub(crate) struct Input<'a> {
    rest: &'a [u8],
    /// What is read, for error messages.
    what: &'static str,
}

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(crate) fn damaged(&self) -> PartError {
        PartError::Damaged { what: self.what }
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], PartError> {
        let (head, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| self.damaged())?;
        self.rest = rest;
        Ok(head)
    }

    #[inline]
    pub(crate) fn uvarint(&mut self) -> Result<u64, PartError> {
        if let [byte @ 0..=0x7f, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_uvarint()
    }

    fn long_uvarint(&mut self) -> Result<u64, PartError> {
        let mut value = 0u64;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at as u32);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(self.damaged())
    }

    pub(crate) fn varint(&mut self) -> Result<i64, PartError> {
        let value = self.uvarint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number that counts things of which each takes at least `least` bytes of what is left,
    /// so that damage cannot make a reader allocate more than it was given.
    pub(crate) fn count(&mut self, least: usize) -> Result<usize, PartError> {
        let count = usize::try_from(self.uvarint()?).map_err(|_| self.damaged())?;
        if count
            .checked_mul(least)
            .is_some_and(|bytes| bytes <= self.rest.len())
        {
            Ok(count)
        } else {
            Err(self.damaged())
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], PartError> {
        let length = self.count(1)?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, PartError> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| self.damaged())
    }

    pub(crate) fn u32(&mut self) -> Result<u32, PartError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(unsigned: u64, signed: i64) {
            let mut out = Vec::new();
            put_uvarint(&mut out, unsigned);
            put_varint(&mut out, signed);
            let mut input = Input::new(&out, "test");
            prop_assert_eq!((input.uvarint().unwrap(), input.varint().unwrap()), (unsigned, signed));
            prop_assert!(input.uvarint().is_err());
        }
    }

    #[test]
    fn a_count_beyond_the_input_is_damage() {
        assert!(Input::new(&[200, 1, 0], "test").count(1).is_err());
        assert!(Input::new(&[0xff; 11], "test").uvarint().is_err());
    }
}
