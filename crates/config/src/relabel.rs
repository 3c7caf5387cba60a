//! Relabelling rules as settings write them.

use headwater_model::name::NameScheme;
use headwater_relabel::{Action, Config, ConfigError, Rules};
use headwater_yaml::settings;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::sections::no_gaps;

settings! {
    /// One rule. What it does is told by `headwater_relabel`.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RelabelConfig {
        /// Labels whose values are joined and compared with `regex`.
        pub source_labels: Vec<String>,
        /// What stands between joined values.
        pub separator: String = ";".to_owned(),
        /// Matched against the whole value.
        pub regex: String = "(.*)".to_owned(),
        /// The number of buckets of `hashmod`.
        pub modulus: u64,
        /// The label that is set or compared.
        pub target_label: String,
        /// The template for the new value or name.
        pub replacement: String = "$1".to_owned() => always,
        /// What to do.
        pub action: RelabelAction,
    }
    check(RelabelConfig::finish)
}

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelabelAction(pub Action);

impl<'de> Deserialize<'de> for RelabelAction {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?
            .parse()
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl Serialize for RelabelAction {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.as_str())
    }
}

impl headwater_yaml::Empty for RelabelAction {}

impl RelabelConfig {
    /// What is wrong under every naming scheme is said here, at the rule's own place.
    fn finish(&mut self) -> Result<(), String> {
        let rule = self.to_rule();
        // Large files hold thousands of rules with nothing but the default, which is valid.
        let outcome = match self.regex == Self::default().regex {
            true => rule.validate(NameScheme::Utf8),
            false => Rules::compile(&[rule], NameScheme::Utf8).map(drop),
        };
        outcome.map_err(|error| error.to_string())
    }

    /// The rule as `headwater_relabel` takes it.
    #[must_use]
    pub fn to_rule(&self) -> Config {
        Config::new(self.action.0)
            .source(&self.source_labels)
            .separator(&self.separator)
            .regex(&self.regex)
            .modulus(self.modulus)
            .target(&self.target_label)
            .replacement(&self.replacement)
    }
}

/// Rules in order. An empty entry is a mistake.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RelabelConfigs(Vec<RelabelConfig>);

impl RelabelConfigs {
    /// The rules, ready to be applied.
    ///
    /// # Errors
    /// The first rule that is not valid under this scheme.
    pub fn compile(&self, scheme: NameScheme) -> Result<Rules, ConfigError> {
        let rules: Vec<_> = self.0.iter().map(RelabelConfig::to_rule).collect();
        Rules::compile(&rules, scheme)
    }

    /// Names under this scheme; expressions were looked at when the rules were read.
    pub(crate) fn validate(&self, scheme: NameScheme) -> Result<(), String> {
        let outcome: Result<(), ConfigError> = self
            .0
            .iter()
            .try_for_each(|rule| rule.to_rule().validate(scheme));
        outcome.map_err(|error| error.to_string())
    }
}

impl From<Vec<RelabelConfig>> for RelabelConfigs {
    fn from(rules: Vec<RelabelConfig>) -> Self {
        Self(rules)
    }
}

impl std::ops::Deref for RelabelConfigs {
    type Target = Vec<RelabelConfig>;

    fn deref(&self) -> &Vec<RelabelConfig> {
        &self.0
    }
}

impl<'de> Deserialize<'de> for RelabelConfigs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        no_gaps(Vec::deserialize(from)?, "relabeling rule")
            .map(Self)
            .map_err(D::Error::custom)
    }
}

impl Serialize for RelabelConfigs {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl headwater_yaml::Empty for RelabelConfigs {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
