//! Rules as they stand in a configuration file.

use std::fmt;
use std::str::FromStr;

use headwater_model::name::NameScheme;

/// What a rule does with a label set. `value` below is the source labels' values, joined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(into = "&str", try_from = "std::borrow::Cow<'_, str>")
)]
pub enum Action {
    /// Sets the target label to the replacement, if the value matches.
    #[default]
    Replace,
    /// Drops the set unless the value matches.
    Keep,
    /// Drops the set if the value matches.
    Drop,
    /// Drops the set unless the value equals the target label's.
    KeepEqual,
    /// Drops the set if the value equals the target label's.
    DropEqual,
    /// Sets the target label to a hash of the value, modulo the modulus.
    HashMod,
    /// Copies labels whose names match to the names that the replacement yields.
    LabelMap,
    /// Removes labels whose names match.
    LabelDrop,
    /// Removes labels whose names do not match.
    LabelKeep,
    /// Sets the target label to the value in lower case.
    Lowercase,
    /// Sets the target label to the value in upper case.
    Uppercase,
}

impl Action {
    const ALL: [Self; 11] = [
        Self::Replace,
        Self::Keep,
        Self::Drop,
        Self::KeepEqual,
        Self::DropEqual,
        Self::HashMod,
        Self::LabelMap,
        Self::LabelDrop,
        Self::LabelKeep,
        Self::Lowercase,
        Self::Uppercase,
    ];

    /// The word for the action in configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Keep => "keep",
            Self::Drop => "drop",
            Self::KeepEqual => "keepequal",
            Self::DropEqual => "dropequal",
            Self::HashMod => "hashmod",
            Self::LabelMap => "labelmap",
            Self::LabelDrop => "labeldrop",
            Self::LabelKeep => "labelkeep",
            Self::Lowercase => "lowercase",
            Self::Uppercase => "uppercase",
        }
    }

    /// Whether the action compares or changes the case of one label with nothing else to set.
    const fn is_plain(self) -> bool {
        matches!(
            self,
            Self::KeepEqual | Self::DropEqual | Self::Lowercase | Self::Uppercase
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Action> for &'static str {
    fn from(action: Action) -> Self {
        action.as_str()
    }
}

/// A word that is not an action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown relabel action {0:?}")]
pub struct UnknownAction(String);

impl FromStr for Action {
    type Err = UnknownAction;

    /// Case does not matter, as in Prometheus.
    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        let known = Self::ALL
            .into_iter()
            .find(|action| action.as_str().eq_ignore_ascii_case(word));
        known.ok_or_else(|| UnknownAction(word.to_owned()))
    }
}

impl TryFrom<std::borrow::Cow<'_, str>> for Action {
    type Error = UnknownAction;

    fn try_from(word: std::borrow::Cow<'_, str>) -> Result<Self, UnknownAction> {
        word.parse()
    }
}

/// One rule, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Config {
    /// Labels whose values are joined and compared with `regex`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Vec::is_empty"))]
    pub source_labels: Vec<String>,
    /// What stands between joined values. Default: `;`.
    pub separator: String,
    /// Go's expression, matched against the whole value. Default: `(.*)`.
    pub regex: String,
    /// Number of buckets of `hashmod`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "is_zero"))]
    pub modulus: u64,
    /// The label that is set or compared; for `replace` a template.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "String::is_empty"))]
    pub target_label: String,
    /// The template for the new value or name. Default: `$1`.
    pub replacement: String,
    /// What to do. Default: `replace`.
    pub action: Action,
}

#[cfg(feature = "serde")]
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(modulus: &u64) -> bool {
    *modulus == 0
}

pub(crate) const DEFAULT_REGEX: &str = "(.*)";
const DEFAULT_SEPARATOR: &str = ";";
const DEFAULT_REPLACEMENT: &str = "$1";

impl Default for Config {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            separator: DEFAULT_SEPARATOR.to_owned(),
            regex: DEFAULT_REGEX.to_owned(),
            modulus: 0,
            target_label: String::new(),
            replacement: DEFAULT_REPLACEMENT.to_owned(),
            action: Action::Replace,
        }
    }
}

impl Config {
    /// A rule with defaults.
    pub fn new(action: Action) -> Self {
        Self {
            action,
            ..Self::default()
        }
    }

    /// Sets the source labels.
    #[must_use]
    pub fn source<S: Into<String>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.source_labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the separator.
    #[must_use]
    pub fn separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }

    /// Sets the expression.
    #[must_use]
    pub fn regex(mut self, regex: impl Into<String>) -> Self {
        self.regex = regex.into();
        self
    }

    /// Sets the modulus.
    #[must_use]
    pub fn modulus(mut self, modulus: u64) -> Self {
        self.modulus = modulus;
        self
    }

    /// Sets the target label.
    #[must_use]
    pub fn target(mut self, label: impl Into<String>) -> Self {
        self.target_label = label.into();
        self
    }

    /// Sets the replacement.
    #[must_use]
    pub fn replacement(mut self, template: impl Into<String>) -> Self {
        self.replacement = template.into();
        self
    }

    /// Checks everything but the expression itself.
    ///
    /// # Errors
    /// What to change, in Prometheus's words.
    pub fn validate(&self, scheme: NameScheme) -> Result<(), ConfigError> {
        use Action as A;
        let action = self.action;
        for label in &self.source_labels {
            if label.is_empty() {
                return Err(ConfigError::SourceLabel(label.clone()));
            }
        }
        if action == A::HashMod && self.modulus == 0 {
            return Err(ConfigError::Modulus);
        }
        let has_target = matches!(action, A::Replace | A::HashMod) || action.is_plain();
        if has_target {
            self.check_target(scheme)?;
        }
        if action.is_plain() && self.replacement != DEFAULT_REPLACEMENT {
            return Err(ConfigError::Replacement(action));
        }
        if action == A::LabelMap && !is_template_name(&self.replacement, scheme) {
            let (value, action) = (self.replacement.clone(), action);
            return Err(ConfigError::InvalidName {
                field: "replacement",
                value,
                action,
            });
        }
        if matches!(action, A::DropEqual | A::KeepEqual)
            && (self.regex != DEFAULT_REGEX || self.has_extra_fields())
        {
            return Err(ConfigError::OnlySourceAndTarget(action));
        }
        let names_only = matches!(action, A::LabelDrop | A::LabelKeep);
        let has_labels = !self.source_labels.is_empty() || !self.target_label.is_empty();
        if names_only && (has_labels || self.has_extra_fields()) {
            return Err(ConfigError::OnlyRegex(action));
        }
        Ok(())
    }

    fn check_target(&self, scheme: NameScheme) -> Result<(), ConfigError> {
        let action = self.action;
        if self.target_label.is_empty() {
            return Err(ConfigError::TargetMissing(action));
        }
        let template = action == Action::Replace && self.target_label.contains('$');
        let valid = match template {
            true => is_template_name(&self.target_label, scheme),
            false => scheme.is_label_name(&self.target_label),
        };
        if valid {
            return Ok(());
        }
        Err(ConfigError::InvalidName {
            field: "target_label",
            value: self.target_label.clone(),
            action,
        })
    }

    fn has_extra_fields(&self) -> bool {
        self.modulus != 0
            || self.separator != DEFAULT_SEPARATOR
            || self.replacement != DEFAULT_REPLACEMENT
    }
}

/// Whether a template can yield a name: in the classic scheme word characters and references
/// such as `${1}` or `$name`, not beginning with a digit.
fn is_template_name(template: &str, scheme: NameScheme) -> bool {
    if scheme == NameScheme::Utf8 {
        return !template.is_empty();
    }
    let word = |text: &str| {
        !text.is_empty() && text.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
    };
    let mut parts = template.split('$');
    let first = parts.next().unwrap_or_default();
    let starts_well = first.is_empty() && template.starts_with('$')
        || headwater_model::name::is_legacy_label_name(first);
    starts_well
        && parts.all(|part| match part.strip_prefix('{') {
            None => word(part),
            Some(inner) => inner
                .split_once('}')
                .is_some_and(|(name, rest)| word(name) && (rest.is_empty() || word(rest))),
        })
}

/// Why a rule cannot be used: fix the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// An empty name among the source labels.
    #[error("{0:?} is not a valid label name")]
    SourceLabel(String),
    /// `hashmod` without a modulus.
    #[error("relabel configuration for hashmod requires non-zero modulus")]
    Modulus,
    /// The action needs a target label.
    #[error("relabel configuration for {0} action requires 'target_label' value")]
    TargetMissing(Action),
    /// The target label or the replacement cannot be a label's name.
    #[error("{value:?} is invalid '{field}' for {action} action")]
    InvalidName {
        /// `target_label` or `replacement`.
        field: &'static str,
        /// What it says.
        value: String,
        /// The rule's action.
        action: Action,
    },
    /// The action has no use for a replacement.
    #[error("'replacement' can not be set for {0} action")]
    Replacement(Action),
    /// The action has no use for other fields.
    #[error("{0} action requires only 'source_labels' and `target_label`, and no other fields")]
    OnlySourceAndTarget(Action),
    /// The action has no use for other fields.
    #[error("{0} action requires only 'regex', and no other fields")]
    OnlyRegex(Action),
    /// The expression is not valid.
    #[error(transparent)]
    Regex(#[from] headwater_regexp::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(config: Config, scheme: NameScheme, message: &str) {
        let error = config.validate(scheme).expect_err(message);
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn mistakes_are_told_as_prometheus_tells_them() {
        use NameScheme::{Legacy, Utf8};
        let new = Config::new;
        refused(
            new(Action::HashMod).target("a"),
            Utf8,
            "relabel configuration for hashmod requires non-zero modulus",
        );
        refused(
            new(Action::Replace),
            Utf8,
            "relabel configuration for replace action requires 'target_label' value",
        );
        refused(
            new(Action::Lowercase).target("a.b"),
            Legacy,
            "\"a.b\" is invalid 'target_label' for lowercase action",
        );
        refused(
            new(Action::Replace).target("${x}-"),
            Legacy,
            "\"${x}-\" is invalid 'target_label' for replace action",
        );
        refused(
            new(Action::Uppercase).target("a").replacement("x"),
            Utf8,
            "'replacement' can not be set for uppercase action",
        );
        refused(
            new(Action::LabelMap).replacement("1$1"),
            Legacy,
            "\"1$1\" is invalid 'replacement' for labelmap action",
        );
        refused(
            new(Action::KeepEqual).target("a").separator(","),
            Utf8,
            "keepequal action requires only 'source_labels' and `target_label`, and no other fields",
        );
        refused(
            new(Action::LabelDrop).source(["a"]),
            Utf8,
            "labeldrop action requires only 'regex', and no other fields",
        );
        assert_eq!(
            "nope".parse::<Action>().unwrap_err().to_string(),
            "unknown relabel action \"nope\""
        );
    }

    #[test]
    fn names_made_of_references_are_accepted() {
        for target in ["$1", "${1}_x", "a_$1", "${a}${b}", "a"] {
            assert_eq!(
                Config::new(Action::Replace)
                    .target(target)
                    .validate(NameScheme::Legacy),
                Ok(()),
                "{target}"
            );
        }
        for target in ["$", "${", "${}", "${1}-", "1$1", "a-$1"] {
            assert!(
                Config::new(Action::Replace)
                    .target(target)
                    .validate(NameScheme::Legacy)
                    .is_err(),
                "{target}"
            );
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn reads_and_writes_plain_data() {
        let config: Config =
            serde_json::from_str(r#"{"source_labels":["a"],"action":"KEEP","regex":"x"}"#).unwrap();
        assert_eq!(config, Config::new(Action::Keep).source(["a"]).regex("x"));
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            text,
            r#"{"source_labels":["a"],"separator":";","regex":"x","replacement":"$1","action":"keep"}"#
        );
        assert!(serde_json::from_str::<Config>(r#"{"actoin":"keep"}"#).is_err());
    }
}
