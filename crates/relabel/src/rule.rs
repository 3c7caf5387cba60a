//! Checked rules and what they do to a label set.

use std::borrow::Cow;
use std::sync::Arc;

use headwater_model::LabelsBuilder;
use headwater_model::name::NameScheme;
use headwater_regexp::Regex;
use md5::{Digest, Md5};

use crate::config::{Action, Config, ConfigError, DEFAULT_REGEX};

/// Rules in order, ready to be applied. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    rules: Arc<[Rule]>,
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    config: Config,
    regex: Regex,
    scheme: NameScheme,
}

impl Rules {
    /// Checks rules and compiles their expressions.
    ///
    /// # Errors
    /// The first rule that is not valid, told as Prometheus tells it.
    pub fn compile(configs: &[Config], scheme: NameScheme) -> Result<Self, ConfigError> {
        let compiled = configs.iter().map(|config| {
            config.validate(scheme)?;
            Ok(Rule {
                config: config.clone(),
                regex: Regex::anchored(&config.regex)?,
                scheme,
            })
        });
        Ok(Self {
            rules: compiled.collect::<Result<_, ConfigError>>()?,
        })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules as they were configured.
    pub fn configs(&self) -> impl ExactSizeIterator<Item = &Config> {
        self.rules.iter().map(|rule| &rule.config)
    }

    /// Applies the rules in order. False means the set is to be dropped; the rules behind the
    /// one that said so have not been applied.
    #[must_use]
    pub fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        self.rules.iter().all(|rule| rule.apply(labels))
    }

    /// Applies the rules one by one and tells after each whether the set is still kept: for
    /// pages that explain what happened to a target.
    pub fn trace(
        &self,
        labels: &mut LabelsBuilder,
        mut step: impl FnMut(&Config, &LabelsBuilder, bool),
    ) -> bool {
        self.rules.iter().all(|rule| {
            let kept = rule.apply(labels);
            step(&rule.config, labels, kept);
            kept
        })
    }
}

impl Rule {
    fn apply(&self, labels: &mut LabelsBuilder) -> bool {
        let Self { config, regex, .. } = self;
        match config.action {
            Action::Keep => return regex.is_match(&self.value(labels)),
            Action::Drop => return !regex.is_match(&self.value(labels)),
            Action::KeepEqual => return self.equals_target(labels),
            Action::DropEqual => return !self.equals_target(labels),
            Action::Replace => self.replace(labels),
            Action::HashMod => {
                let bucket = hash(&self.value(labels)) % config.modulus;
                labels.set(&config.target_label, &bucket.to_string());
            }
            Action::Lowercase => self.set_target(labels, lowercase),
            Action::Uppercase => self.set_target(labels, uppercase),
            Action::LabelMap => self.map_names(labels),
            Action::LabelDrop => {
                labels.retain(|name, _| !regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name, _| regex.is_match(name));
            }
        }
        true
    }

    /// The source labels' values, joined. A label that is not there counts as empty.
    fn value<'l>(&self, labels: &'l LabelsBuilder) -> Cow<'l, str> {
        let mut values = self
            .config
            .source_labels
            .iter()
            .map(|name| labels.get(name).unwrap_or_default());
        let first = values.next().unwrap_or_default();
        if self.config.source_labels.len() < 2 {
            return Cow::Borrowed(first);
        }
        let mut joined = first.to_owned();
        for value in values {
            joined.push_str(&self.config.separator);
            joined.push_str(value);
        }
        Cow::Owned(joined)
    }

    fn equals_target(&self, labels: &LabelsBuilder) -> bool {
        labels.get(&self.config.target_label).unwrap_or_default() == self.value(labels)
    }

    fn set_target(&self, labels: &mut LabelsBuilder, change: fn(&str) -> String) {
        let value = change(&self.value(labels));
        labels.set(&self.config.target_label, &value);
    }

    fn replace(&self, labels: &mut LabelsBuilder) {
        let Config {
            target_label,
            replacement,
            regex,
            ..
        } = &self.config;
        // Owned, because the set is changed while the captures still refer to the value.
        let value = self.value(labels).into_owned();
        // The commonest rule copies a value: no need to run an expression for it. A replacement
        // without references yields itself, since the default expression matches anything.
        if regex == DEFAULT_REGEX && !target_label.contains('$') {
            if replacement == "$1" {
                labels.set(target_label, &value);
                return;
            }
            if !replacement.contains('$') {
                labels.set(target_label, replacement);
                return;
            }
        }
        let Some(captures) = self.regex.captures(&value) else {
            return;
        };
        let mut target = String::new();
        captures.expand(target_label, &mut target);
        if self.scheme.is_label_name(&target) {
            let mut result = String::new();
            captures.expand(replacement, &mut result);
            labels.set(&target, &result);
        }
    }

    fn map_names(&self, labels: &mut LabelsBuilder) {
        let matching = labels.iter().filter(|(name, _)| self.regex.is_match(name));
        let mapped: Vec<(String, String)> = matching
            .map(|(name, value)| {
                (
                    self.regex
                        .replace_all(name, &self.config.replacement)
                        .into_owned(),
                    value.to_owned(),
                )
            })
            .collect();
        for (name, value) in mapped {
            labels.set(&name, &value);
        }
    }
}

/// The last eight bytes of the MD5 sum, which is what early versions of Prometheus took.
fn hash(value: &str) -> u64 {
    let sum = Md5::digest(value.as_bytes());
    sum.iter()
        .skip(8)
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Go changes case character by character: one whose other case is several characters stays.
fn lowercase(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c == 'İ' {
                'i'
            } else {
                only(c, c.to_lowercase())
            }
        })
        .collect()
}

fn uppercase(text: &str) -> String {
    text.chars().map(|c| only(c, c.to_uppercase())).collect()
}

fn only(c: char, mut changed: impl ExactSizeIterator<Item = char>) -> char {
    if changed.len() == 1 {
        changed.next().unwrap_or(c)
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;

    use super::*;

    /// Applies rules to `labels`; `None` if they drop it.
    fn relabel(labels: &[(&str, &str)], configs: &[Config]) -> Option<Labels> {
        let rules = Rules::compile(configs, NameScheme::Utf8).expect("valid rules");
        let mut builder = Labels::from_pairs(labels.iter().copied()).to_builder();
        rules.apply(&mut builder).then(|| builder.build())
    }

    #[track_caller]
    fn becomes(labels: &[(&str, &str)], config: Config, expected: &[(&str, &str)]) {
        let expected = Labels::from_pairs(expected.iter().copied());
        assert_eq!(relabel(labels, &[config]), Some(expected));
    }

    fn new(action: Action) -> Config {
        Config::new(action)
    }

    #[test]
    fn replace() {
        let abc = [("a", "foo"), ("b", "bar"), ("c", "baz")];
        becomes(
            &abc,
            new(Action::Replace)
                .source(["a"])
                .regex("f(.*)")
                .target("d")
                .replacement("ch${1}-ch${1}"),
            &[("a", "foo"), ("b", "bar"), ("c", "baz"), ("d", "choo-choo")],
        );
        becomes(
            &abc,
            new(Action::Replace).source(["a"]).regex("f").target("d"),
            &abc,
        );
        becomes(
            &[("a", "x"), ("b", "y")],
            new(Action::Replace)
                .source(["a", "b"])
                .regex("(.*);(.*)")
                .target("$1")
                .replacement("$2"),
            &[("a", "x"), ("b", "y"), ("x", "y")],
        );
        becomes(
            &[("a", "x")],
            new(Action::Replace).target("b").replacement("v"),
            &[("a", "x"), ("b", "v")],
        );
        becomes(
            &[("a", "x"), ("b", "")],
            new(Action::Replace).source(["b"]).target("a"),
            &[],
        );
        becomes(
            &[("a", "x\ny")],
            new(Action::Replace).source(["a"]).target("b"),
            &[("a", "x\ny"), ("b", "x\ny")],
        );
    }

    #[test]
    fn a_target_that_is_no_name_is_left_alone() {
        let config = new(Action::Replace)
            .source(["a"])
            .target("$1")
            .replacement("v");
        let rules = Rules::compile(&[config], NameScheme::Legacy).expect("valid rules");
        let mut labels = LabelsBuilder::new();
        labels.set("a", "not-a-name");
        assert!(rules.apply(&mut labels));
        assert_eq!(labels.len(), 1);
    }

    #[test]
    fn keep_and_drop() {
        let labels = [("a", "foo")];
        assert!(relabel(&labels, &[new(Action::Keep).source(["a"]).regex("fo+")]).is_some());
        assert!(relabel(&labels, &[new(Action::Keep).source(["a"]).regex("o+")]).is_none());
        assert!(relabel(&labels, &[new(Action::Drop).source(["a"]).regex("fo+")]).is_none());
        assert!(
            relabel(
                &labels,
                &[new(Action::Drop).source(["missing"]).regex(".+")]
            )
            .is_some()
        );
        let pair = [("a", "x"), ("b", "x")];
        assert!(relabel(&pair, &[new(Action::KeepEqual).source(["a"]).target("b")]).is_some());
        assert!(relabel(&pair, &[new(Action::DropEqual).source(["a"]).target("b")]).is_none());
    }

    #[test]
    fn hashmod() {
        // The MD5 sum of "foo" is acbd18db4cc2f85cedef654fccc4a4d8.
        let bucket = (0xedef_654f_ccc4_a4d8_u64 % 1000).to_string();
        becomes(
            &[("a", "foo")],
            new(Action::HashMod).source(["a"]).target("h").modulus(1000),
            &[("a", "foo"), ("h", &bucket)],
        );
    }

    #[test]
    fn names() {
        let labels = [("a_x", "1"), ("a_y", "2"), ("b", "3")];
        becomes(
            &labels,
            new(Action::LabelMap).regex("a_(.*)"),
            &[
                ("a_x", "1"),
                ("a_y", "2"),
                ("b", "3"),
                ("x", "1"),
                ("y", "2"),
            ],
        );
        becomes(&labels, new(Action::LabelDrop).regex("a_.*"), &[("b", "3")]);
        becomes(
            &labels,
            new(Action::LabelKeep).regex("a_.*"),
            &[("a_x", "1"), ("a_y", "2")],
        );
    }

    #[test]
    fn case() {
        becomes(
            &[("a", "Straße")],
            new(Action::Uppercase).source(["a"]).target("a"),
            &[("a", "STRAßE")],
        );
        becomes(
            &[("a", "ÀB")],
            new(Action::Lowercase).source(["a"]).target("b"),
            &[("a", "ÀB"), ("b", "àb")],
        );
    }

    #[test]
    fn a_trace_stops_where_the_set_is_dropped() {
        let configs = [
            new(Action::Replace).target("x").replacement("1"),
            new(Action::Drop).source(["x"]).regex("1"),
            new(Action::Replace).target("y").replacement("2"),
        ];
        let rules = Rules::compile(&configs, NameScheme::Utf8).expect("valid rules");
        let mut seen = Vec::new();
        assert!(
            !rules.trace(&mut LabelsBuilder::new(), |config, labels, kept| {
                seen.push((config.action, labels.len(), kept));
            })
        );
        assert_eq!(seen, [(Action::Replace, 1, true), (Action::Drop, 1, false)]);
    }
}
