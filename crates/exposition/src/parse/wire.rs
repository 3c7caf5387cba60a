//! The protobuf wire format: fields of a message, one after another, borrowed.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Field<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

/// Why a message cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) what: &'static str,
    /// How many bytes were left where the mistake is, counted from the end of the message.
    pub(crate) left: usize,
}

/// Walks over the fields of a message.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'b> {
    rest: &'b [u8],
}

impl<'b> Fields<'b> {
    pub(crate) fn new(message: &'b [u8]) -> Self {
        Self { rest: message }
    }

    /// Number and content of the next field.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Field<'b>)>, Malformed> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => Field::Bytes(self.delimited()?),
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return self.malformed("unknown wire type"),
        };
        Ok(Some((key >> 3, field)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (at, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        self.malformed("a number has no end")
    }

    /// A length and so many bytes.
    pub(crate) fn delimited(&mut self) -> Result<&'b [u8], Malformed> {
        let length = self.varint()?;
        match usize::try_from(length)
            .ok()
            .and_then(|length| self.rest.split_at_checked(length))
        {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => self.malformed("a length exceeds what is left: the body is truncated"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(*bytes)
            }
            None => self.malformed("a number is truncated"),
        }
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed {
            what,
            left: self.rest.len(),
        })
    }
}

impl<'b> Field<'b> {
    pub(crate) fn bytes(self) -> Result<&'b [u8], Malformed> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn text(self) -> Result<&'b str, Malformed> {
        let invalid = |_| Malformed {
            what: "text is not valid UTF-8",
            left: 0,
        };
        std::str::from_utf8(self.bytes()?).map_err(invalid)
    }

    pub(crate) fn double(self) -> Result<f64, Malformed> {
        match self {
            Self::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(WRONG_TYPE),
        }
    }

    pub(crate) fn integer(self) -> Result<u64, Malformed> {
        match self {
            Self::Varint(value) => Ok(value),
            _ => Err(WRONG_TYPE),
        }
    }

    /// Signed numbers in zigzag form.
    pub(crate) fn signed(self) -> Result<i64, Malformed> {
        self.integer().map(zigzag)
    }

    /// Appends the numbers of a repeated field, packed or one by one.
    pub(crate) fn signed_run(self, out: &mut Vec<i64>) -> Result<(), Malformed> {
        let Self::Bytes(packed) = self else {
            out.push(self.signed()?);
            return Ok(());
        };
        let mut fields = Fields::new(packed);
        while !fields.is_empty() {
            out.push(zigzag(fields.varint()?));
        }
        Ok(())
    }

    /// Appends the numbers of a repeated field, packed or one by one.
    pub(crate) fn double_run(self, out: &mut Vec<f64>) -> Result<(), Malformed> {
        let Self::Bytes(packed) = self else {
            out.push(self.double()?);
            return Ok(());
        };
        let (numbers, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Malformed {
                what: "a number is truncated",
                left: 0,
            });
        }
        out.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        Ok(())
    }
}

const WRONG_TYPE: Malformed = Malformed {
    what: "a field has another wire type than it should",
    left: 0,
};

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_one_by_one() {
        // 1: varint 300, 2: "hi", 3: fixed64, 4: fixed32
        let message = [
            8, 0xac, 2, 18, 2, b'h', b'i', 25, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 37, 1, 0, 0, 0,
        ];
        let mut fields = Fields::new(&message);
        assert_eq!(fields.next(), Ok(Some((1, Field::Varint(300)))));
        assert_eq!(fields.next(), Ok(Some((2, Field::Bytes(b"hi")))));
        let (_, double) = fields.next().expect("well formed").expect("a field");
        assert_eq!(double.double(), Ok(1.0));
        assert_eq!(fields.next(), Ok(Some((4, Field::Fixed32(1)))));
        assert_eq!(fields.next(), Ok(None));
    }

    #[test]
    fn damage_is_refused() {
        for message in [
            &[8u8][..],
            &[8, 0x80],
            &[18, 5, b'h'],
            &[25, 1],
            &[11],
            &[8; 1][..],
            &[0x80; 11],
        ] {
            assert!(Fields::new(message).next().is_err(), "{message:?}");
        }
    }

    #[test]
    fn runs_may_be_packed_or_not() {
        let mut out = Vec::new();
        Field::Bytes(&[1, 2, 4])
            .signed_run(&mut out)
            .expect("well formed");
        Field::Varint(3).signed_run(&mut out).expect("well formed");
        assert_eq!(out, [-1, 1, 2, -2]);
        assert!(Field::Bytes(&[0; 7]).double_run(&mut Vec::new()).is_err());
    }
}
