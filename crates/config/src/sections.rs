//! Lists in which every entry says something.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A list in which every entry says something.
pub(crate) fn no_gaps<T>(entries: Vec<Option<T>>, what: &str) -> Result<Vec<T>, String> {
    let whole: Option<Vec<T>> = entries.into_iter().collect();
    whole.ok_or_else(|| format!("empty or null {what}"))
}

/// A list of sections in which every entry says something.
#[derive(Clone, Debug, PartialEq)]
pub struct Sections<T>(Vec<T>);

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for Sections<T> {
    fn from(entries: Vec<T>) -> Self {
        Self(entries)
    }
}

impl<T> std::ops::Deref for Sections<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Sections<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Sections<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        no_gaps(Vec::deserialize(from)?, "config section")
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl<T: Serialize> Serialize for Sections<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<T> headwater_yaml::Empty for Sections<T> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
