//! Keys that are accepted so that files written for Loki can be used, and have no effect here.

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use serde::ser::{Serialize, Serializer};

/// A key whose value is not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Inert {
    given: bool,
}

impl Inert {
    /// Whether the key stands in the file.
    pub(crate) const fn is_given(self) -> bool {
        self.given
    }
}

impl<'de> Deserialize<'de> for Inert {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(IgnoredAny)?;
        Ok(Self { given: true })
    }
}

impl Serialize for Inert {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }
}

impl headwater_yaml::Empty for Inert {
    fn is_empty(&self) -> bool {
        true
    }
}
