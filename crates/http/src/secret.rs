//! A text that must not be shown.

use std::fmt;

use headwater_yaml::Empty;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is printed in place of a secret, as Prometheus prints it.
pub const HIDDEN: &str = "<secret>";

/// A password or token. Printing, logging and serialising it shows [`HIDDEN`].
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Secret(String);

impl Secret {
    /// Takes the text as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// True if there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "\"\"" } else { HIDDEN })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "" } else { HIDDEN })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Empty for Secret {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

/// An address as a settings file gives it. A password in it is not shown.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(String);

impl Address {
    /// Takes the text as an address, unlooked at.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, with its password if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// True if there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address, taken apart.
    ///
    /// # Errors
    /// When it is not an absolute URL; the message quotes it.
    pub fn to_url(&self) -> Result<url::Url, String> {
        url::Url::parse(&self.0)
            .map_err(|error| format!("invalid URL {:?}: {error}", self.to_string()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(mut url) = url::Url::parse(&self.0)
            && url.password().is_some()
            && url.set_password(Some("xxxxx")).is_ok()
        {
            return f.write_str(url.as_str());
        }
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl Empty for Address {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "<secret> <secret>");
        assert_eq!(serde_json::to_string(&secret).unwrap(), "\"<secret>\"");
        assert_eq!(serde_json::to_string(&Secret::default()).unwrap(), "\"\"");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        let address = Address::new("http://me:hunter2@localhost/x");
        assert_eq!(address.to_string(), "http://me:xxxxx@localhost/x");
        assert_eq!(Address::new("localhost:9090").to_string(), "localhost:9090");
    }
}
