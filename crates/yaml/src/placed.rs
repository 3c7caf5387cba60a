//! A value that remembers where it stood.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Empty, Error, Position};

/// A value with its place in the text, for errors that are only found later.
///
/// Two are equal if their values are; where they stood does not count.
#[derive(Clone, Debug, Default)]
pub struct Placed<T> {
    value: T,
    position: Option<Position>,
}

impl<T> Placed<T> {
    /// A value that stood nowhere.
    pub const fn new(value: T) -> Self {
        Self {
            value,
            position: None,
        }
    }

    /// Where the value began, if it was read from a text.
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// An error about this value.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::new(message).at(self.position)
    }
}

impl<T> From<T> for Placed<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Placed<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: PartialEq> PartialEq for Placed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Placed<T> {}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = serde_saphyr::Spanned::<T>::deserialize(from)?;
        let at = spanned.referenced;
        let position = (at.line() > 0).then(|| Position {
            line: at.line(),
            column: at.column(),
        });
        Ok(Self {
            value: spanned.value,
            position,
        })
    }
}

impl<T: Serialize> Serialize for Placed<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(to)
    }
}

impl<T: Empty> Empty for Placed<T> {
    fn is_empty(&self) -> bool {
        self.value.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_knows_its_place() {
        let list: Vec<Placed<String>> = crate::from_str("- a\n-   b\n").unwrap();
        assert_eq!(list[1].position(), Some(Position { line: 2, column: 5 }));
        assert_eq!(
            list[1].error("is bad").to_string(),
            "line 2, column 5: is bad"
        );
        assert_eq!(list[1], Placed::new("b".to_owned()));
    }
}
