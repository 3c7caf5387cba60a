//! Walking over the fields of a protobuf message.

use super::bad;
use crate::error::PushError;

/// One field's value, as the wire has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a text or a message.
    pub(super) fn bytes(self) -> Result<&'a [u8], PushError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(bad("proto: wrong wireType for a field of bytes")),
        }
    }

    /// A text; bytes that are no UTF-8 become replacement characters.
    pub(super) fn text(self) -> Result<String, PushError> {
        Ok(String::from_utf8_lossy(self.bytes()?).into_owned())
    }

    /// A number of any width.
    pub(super) fn number(self) -> Result<u64, PushError> {
        match self {
            Self::Number(number) | Self::Fixed64(number) => Ok(number),
            Self::Fixed32(number) => Ok(number.into()),
            Self::Bytes(_) => Err(bad("proto: wrong wireType for a number")),
        }
    }
}

/// The fields of a message, in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next field: its number and its value.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, PushError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.take()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| cut())?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(cut)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.take()?)),
            other => return Err(bad(format!("proto: illegal wireType {other}"))),
        };
        match key >> 3 {
            0 => Err(bad("proto: illegal tag 0")),
            number => Ok(Some((number, value))),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], PushError> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or_else(cut)?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn varint(&mut self) -> Result<u64, PushError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or_else(cut)?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(bad("proto: integer overflow"))
    }
}

fn cut() -> PushError {
    bad("unexpected EOF")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_fields() {
        let mut message = Message::new(&[0x08, 0x96, 0x01, 0x12, 0x01, b'x']);
        assert_eq!(message.field().unwrap(), Some((1, Value::Number(150))));
        assert_eq!(message.field().unwrap(), Some((2, Value::Bytes(b"x"))));
        assert_eq!(message.field().unwrap(), None);
    }

    proptest! {
        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let mut message = Message::new(&bytes);
            while let Ok(Some(_)) = message.field() {}
        }
    }
}
