//! Walking over the fields of a protobuf message.
//!
//! Source: the encoding guide of Protocol Buffers. Groups (wire types 3 and 4), which none of the
//! messages here ever had, are refused.

use crate::error::WireError;

/// A field's value, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes, mostly a double.
    Fixed64(u64),
    /// Text, bytes, a message, or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

impl<'a> Value<'a> {
    /// The bytes of a text, a message or packed numbers.
    ///
    /// # Errors
    /// The field is of another type.
    pub fn bytes(self, field: &'static str) -> Result<&'a [u8], WireError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError::FieldType(field)),
        }
    }

    /// A number of variable length.
    ///
    /// # Errors
    /// The field is of another type.
    pub fn varint(self, field: &'static str) -> Result<u64, WireError> {
        match self {
            Self::Varint(number) => Ok(number),
            _ => Err(WireError::FieldType(field)),
        }
    }

    /// A double.
    ///
    /// # Errors
    /// The field is of another type.
    pub fn double(self, field: &'static str) -> Result<f64, WireError> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(WireError::FieldType(field)),
        }
    }

    /// A text; what is not UTF-8 becomes U+FFFD.
    ///
    /// # Errors
    /// The field is of another type.
    pub fn text(self, field: &'static str) -> Result<String, WireError> {
        Ok(String::from_utf8_lossy(self.bytes(field)?).into_owned())
    }
}

/// A number that was sent with its sign in the lowest bit (`sint32`, `sint64`).
pub(crate) const fn zigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// The fields of a message in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks over `message`.
    pub const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What has not been walked over yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field: number and value; `None` at the end.
    ///
    /// # Errors
    /// The message is damaged from here on.
    #[inline]
    pub fn next_field(&mut self) -> Result<Option<(u64, Value<'a>)>, WireError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => Value::Bytes(self.block()?),
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            other => return Err(WireError::WireType(other as u8)),
        };
        match key >> 3 {
            0 => Err(WireError::Tag(0)),
            number => Ok(Some((number, value))),
        }
    }

    /// The bytes of the next field if its key, of one byte, is `key`: for runs of one field.
    ///
    /// # Errors
    /// The message is damaged from here on.
    #[inline]
    pub(crate) fn block_of(&mut self, key: u8) -> Result<Option<&'a [u8]>, WireError> {
        match self.rest.split_first() {
            Some((first, rest)) if *first == key => {
                self.rest = rest;
                self.block().map(Some)
            }
            _ => Ok(None),
        }
    }

    #[inline]
    fn block(&mut self) -> Result<&'a [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
        let (bytes, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    /// The next number of variable length: for keys, lengths, and packed numbers.
    ///
    /// # Errors
    /// The number is cut or has more than 64 bits.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Times take six bytes: eight are read at once and their sevens of bits are pushed together.
    #[inline]
    fn long_varint(&mut self) -> Result<u64, WireError> {
        let Some(word) = self.rest.first_chunk::<8>() else {
            return self.slow_varint();
        };
        let word = u64::from_le_bytes(*word);
        let last = (!word & 0x8080_8080_8080_8080).trailing_zeros();
        if last == 64 {
            return self.slow_varint();
        }
        self.rest = &self.rest[last as usize / 8 + 1..];
        Ok(pushed_together(word & (u64::MAX >> (63 - last))))
    }

    #[cold]
    fn slow_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(WireError::Truncated)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(WireError::Overflow)
    }
}

/// The number in up to eight bytes of variable length: seven bits of each.
#[inline]
fn pushed_together(word: u64) -> u64 {
    let bits = word & 0x7f7f_7f7f_7f7f_7f7f;
    let bits = (bits & 0x007f_007f_007f_007f) | ((bits & 0x7f00_7f00_7f00_7f00) >> 1);
    let bits = (bits & 0x0000_3fff_0000_3fff) | ((bits & 0x3fff_0000_3fff_0000) >> 2);
    (bits & 0x0fff_ffff) | ((bits & 0x0fff_ffff_0000_0000) >> 4)
}

/// A number of variable length that is exactly these six bytes, as times of this century are.
#[inline]
pub(crate) fn six_bytes(bytes: [u8; 6]) -> Option<u64> {
    let [a, b, c, d, e, f] = bytes;
    let word = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
    let whole = word & 0x8080_8080_8080 == 0x0080_8080_8080;
    whole.then(|| pushed_together(word))
}

/// Writes fields.
pub(crate) mod put {
    /// Length of a number of variable length.
    pub(crate) const fn varint_len(number: u64) -> usize {
        (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
    }

    pub(crate) fn varint(out: &mut Vec<u8>, mut number: u64) {
        while number >= 0x80 {
            out.push(number as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }

    /// Length of a field of bytes whose number is below 16.
    pub(crate) const fn block_len(length: usize) -> usize {
        1 + varint_len(length as u64) + length
    }

    /// Begins a field of bytes whose number is below 16.
    pub(crate) fn block_head(out: &mut Vec<u8>, field: u8, length: usize) {
        out.push(field << 3 | 2);
        varint(out, length as u64);
    }

    /// A field of bytes whose number is below 16.
    pub(crate) fn block(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
        block_head(out, field, bytes.len());
        out.extend_from_slice(bytes);
    }

    /// A number, left out if it is 0, as the protocol's third version does.
    pub(crate) fn number(out: &mut Vec<u8>, field: u8, number: u64) {
        if number != 0 {
            out.push(field << 3);
            varint(out, number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_fields() {
        let mut fields = Fields::new(&[
            0x08, 0x96, 0x01, 0x12, 0x01, b'x', 0x19, 1, 0, 0, 0, 0, 0, 0, 0,
        ]);
        assert_eq!(fields.next_field(), Ok(Some((1, Value::Varint(150)))));
        assert_eq!(fields.next_field(), Ok(Some((2, Value::Bytes(b"x")))));
        assert_eq!(fields.next_field(), Ok(Some((3, Value::Fixed64(1)))));
        assert_eq!(fields.next_field(), Ok(None));
    }

    #[test]
    fn says_what_is_wrong() {
        let first = |bytes: &'static [u8]| Fields::new(bytes).next_field().unwrap_err();
        assert_eq!(first(&[0x0a, 5, b'x']), WireError::Truncated);
        assert_eq!(first(&[0x00, 1]), WireError::Tag(0));
        assert_eq!(first(&[0xff, 0xff, 0xff, 0]), WireError::WireType(7));
        assert_eq!(
            first(&[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
            ]),
            WireError::Overflow
        );
    }

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, shift in 0u32..64, slack in 0usize..10) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put::varint(&mut bytes, number);
            prop_assert_eq!(bytes.len(), put::varint_len(number));
            let length = bytes.len();
            bytes.resize(length + slack, 0xff);
            let mut fields = Fields::new(&bytes);
            prop_assert_eq!(fields.varint(), Ok(number));
            if let Some(six) = bytes.first_chunk::<6>() {
                prop_assert_eq!(six_bytes(*six), (length == 6).then_some(number));
            }
            prop_assert_eq!(fields.rest().len(), slack);
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let mut fields = Fields::new(&bytes);
            while let Ok(Some(_)) = fields.next_field() {}
        }
    }
}
