//! Formats of scrapes, by the names settings use.

use headwater_exposition::Protocol;
use headwater_yaml::Empty;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScrapeProtocol(pub Protocol);

impl<'de> Deserialize<'de> for ScrapeProtocol {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Protocol::from_name(&name).map(Self).ok_or_else(|| {
            let known: Vec<_> = Protocol::ALL
                .iter()
                .map(|protocol| protocol.name())
                .collect();
            D::Error::custom(format!(
                "unknown scrape protocol {name}, supported: [{}]",
                known.join(" ")
            ))
        })
    }
}

impl Serialize for ScrapeProtocol {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.name())
    }
}

impl Empty for ScrapeProtocol {}

/// Formats, most wanted first: at least one, and none twice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Protocols(Vec<ScrapeProtocol>);

impl Protocols {
    /// What is asked for unless settings say otherwise.
    #[must_use]
    pub fn usual(native_histograms: bool) -> Self {
        let names: &[Protocol] = if native_histograms {
            &Protocol::PROTO_FIRST
        } else {
            &Protocol::DEFAULT
        };
        Self(names.iter().copied().map(ScrapeProtocol).collect())
    }

    /// The formats, most wanted first.
    pub fn iter(&self) -> impl Iterator<Item = Protocol> + '_ {
        self.0.iter().map(|protocol| protocol.0)
    }
}

impl<'de> Deserialize<'de> for Protocols {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let protocols = Vec::<ScrapeProtocol>::deserialize(from)?;
        if protocols.is_empty() {
            return Err(D::Error::custom("scrape_protocols cannot be empty"));
        }
        for (index, protocol) in protocols.iter().enumerate() {
            if protocols[..index].contains(protocol) {
                let name = protocol.0.name();
                return Err(D::Error::custom(format!(
                    "duplicated protocol in scrape_protocols, got {name} twice"
                )));
            }
        }
        Ok(Self(protocols))
    }
}

impl Serialize for Protocols {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}
