//! Which keys a settings struct knows.
//!
//! Serde hands the names of a struct's fields to the deserializer. This one
//! takes them and gives up, so that unknown keys can be found, and answered
//! with the nearest known one, before anything is read.

use serde::Deserialize;
use serde::de::value::Error as ValueError;
use serde::de::{Deserializer, Error, Visitor};

struct Names<'a>(&'a mut &'static [&'static str]);

/// The names of the fields of `T`, empty if it is not a struct.
pub(crate) fn fields_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The outcome is always an error; what counts is what was seen.
    let _: Result<T, ValueError> = T::deserialize(Names(&mut names));
    names
}

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
        Err(ValueError::custom("not a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, ValueError> {
        *self.0 = fields;
        Err(ValueError::custom("seen"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        option unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only the names of the fields are looked at")]
    struct Sample {
        address: String,
        keep_alive: bool,
    }

    #[test]
    fn names_are_found_without_a_value() {
        assert_eq!(fields_of::<Sample>(), ["address", "keep_alive"]);
        assert!(fields_of::<String>().is_empty());
    }
}
