//! Sizes in settings: `256KB`, or a bare number of bytes, as Loki takes both.

use std::fmt;
use std::str::FromStr;

use headwater_yaml::{Empty, Size, SizeError};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        match text.parse() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => text.parse::<Size>().map(|size| Self(size.bytes())),
        }
    }
}

impl Empty for ByteSize {
    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 256KB, or a number of bytes")
            }

            fn visit_u64<E: Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<ByteSize, E> {
                let bytes =
                    u64::try_from(bytes).map_err(|_| E::custom("a size is not negative"))?;
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }
        from.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use crate::limits::Limits;

    #[test]
    fn units_may_be_left_out() {
        for (text, wanted) in [("100", 100), ("1KB", 1024), ("'5MB'", 5 << 20), ("'7'", 7)] {
            let limits: Limits =
                headwater_yaml::from_str(&format!("max_line_size: {text}\n")).unwrap();
            assert_eq!(limits.max_line_size.bytes(), wanted, "{text}");
        }
        for text in ["-1", "many", "[]"] {
            let text = format!("max_line_size: {text}\n");
            assert!(headwater_yaml::from_str::<Limits>(&text).is_err(), "{text}");
        }
    }
}
