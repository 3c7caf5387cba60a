//! Files of rules: groups of rules, as data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use headwater_model::name::NameScheme;
use headwater_yaml::{Duration, Error, Placed, settings};

settings! {
    /// What a file of rules holds.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RuleFile {
        /// The groups, in order.
        pub groups: Vec<Placed<RuleGroup>>,
    }
}

settings! {
    /// Rules that are evaluated together, one after another.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RuleGroup {
        /// The name, once in a file.
        pub name: String,
        /// How often; as `global` says if not set.
        pub interval: Duration,
        /// How far back; as `global` says if not set.
        pub query_offset: Option<Duration>,
        /// Alerts, or series, a rule may have; 0 is no limit.
        pub limit: i64,
        /// Added to the labels of every rule that does not set them.
        pub labels: BTreeMap<String, String>,
        /// The rules, in order.
        pub rules: Vec<Placed<Rule>>,
    }
}

settings! {
    /// One rule: either `record` or `alert` is set.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Rule {
        /// The name of the series to write.
        pub record: String,
        /// The name of the alert to raise.
        pub alert: String,
        /// What is evaluated.
        pub expr: Placed<String>,
        /// How long it must hold before the alert fires.
        pub hold: Duration as "for",
        /// How long the alert goes on firing once it does not hold any more.
        pub keep_firing_for: Duration,
        /// Added to the series or the alert.
        pub labels: BTreeMap<String, String>,
        /// Said about the alert.
        pub annotations: BTreeMap<String, String>,
    }
}

/// A check of one text; an error says what is wrong with it.
pub type TextCheck<'a> = &'a dyn Fn(&str) -> Result<(), String>;

/// What rules are checked with. This crate knows neither the language of queries nor that of
/// templates.
#[derive(Clone, Copy)]
pub struct RuleChecks<'a> {
    /// Which names are accepted.
    pub scheme: NameScheme,
    /// Whether an expression can be read.
    pub expression: TextCheck<'a>,
    /// Whether a template can be read.
    pub template: TextCheck<'a>,
}

impl Default for RuleChecks<'_> {
    fn default() -> Self {
        Self {
            scheme: NameScheme::Utf8,
            expression: &|_| Ok(()),
            template: &|_| Ok(()),
        }
    }
}

impl std::fmt::Debug for RuleChecks<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleChecks")
            .field("scheme", &self.scheme)
            .finish_non_exhaustive()
    }
}

impl RuleFile {
    /// Reads a file and checks it.
    ///
    /// # Errors
    /// All that is wrong, in the order of the file; at least one.
    pub fn load(path: &Path, checks: &RuleChecks<'_>) -> Result<Self, Vec<Error>> {
        let file: Self = headwater_yaml::from_file(path).map_err(|error| vec![error])?;
        file.checked(checks).map_err(|errors| {
            errors
                .into_iter()
                .map(|error| error.in_file(path))
                .collect()
        })
    }

    /// Reads a text and checks it.
    ///
    /// # Errors
    /// All that is wrong, in the order of the text; at least one.
    pub fn parse(text: &str, checks: &RuleChecks<'_>) -> Result<Self, Vec<Error>> {
        headwater_yaml::from_str::<Self>(text)
            .map_err(|error| vec![error])?
            .checked(checks)
    }

    fn checked(self, checks: &RuleChecks<'_>) -> Result<Self, Vec<Error>> {
        let mut errors = Vec::new();
        let mut names = BTreeSet::new();
        for group in &self.groups {
            if group.name.is_empty() {
                errors.push(group.error("Groupname must not be empty"));
            }
            if !names.insert(&group.name) {
                errors.push(group.error(format!(
                    "groupname: {:?} is repeated in the same file",
                    group.name
                )));
            }
            group.check(checks, group, &mut errors);
        }
        if errors.is_empty() {
            Ok(self)
        } else {
            Err(errors)
        }
    }
}

impl RuleGroup {
    fn check(&self, checks: &RuleChecks<'_>, place: &Placed<Self>, errors: &mut Vec<Error>) {
        for message in bad_labels(&self.labels, checks.scheme) {
            errors.push(place.error(format!("group {:?}: {message}", self.name)));
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let place = |error: &dyn std::fmt::Display| {
                format!(
                    "group {:?}, rule {}, {:?}: {error}",
                    self.name,
                    index + 1,
                    rule.name()
                )
            };
            if let Some(message) = rule.bad_expression(checks) {
                // The expression stands at a place of its own, if there is one.
                let at = if rule.expr.is_empty() {
                    rule.error("")
                } else {
                    rule.expr.error("")
                };
                errors.push(at.with_message(place(&message)));
            }
            errors.extend(
                rule.mistakes(checks)
                    .iter()
                    .map(|message| rule.error(place(message))),
            );
        }
    }

    /// The labels of a rule of this group, those of the group included.
    #[must_use]
    pub fn labels_of(&self, rule: &Rule) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.extend(rule.labels.clone());
        labels
    }
}

impl Rule {
    /// The name of the series or of the alert.
    #[must_use]
    pub fn name(&self) -> &str {
        if self.record.is_empty() {
            &self.alert
        } else {
            &self.record
        }
    }

    fn bad_expression(&self, checks: &RuleChecks<'_>) -> Option<String> {
        if self.expr.is_empty() {
            return Some("field 'expr' must be set in rule".into());
        }
        let refused = (checks.expression)(&self.expr).err();
        refused.map(|error| format!("could not parse expression: {error}"))
    }

    fn mistakes(&self, checks: &RuleChecks<'_>) -> Vec<String> {
        let mut mistakes = Vec::new();
        match (self.record.is_empty(), self.alert.is_empty()) {
            (true, true) => mistakes.push("one of 'record' or 'alert' must be set".into()),
            (false, false) => mistakes.push("only one of 'record' and 'alert' must be set".into()),
            (false, true) => self.recording_mistakes(checks, &mut mistakes),
            (true, false) => {}
        }
        mistakes.extend(bad_labels(&self.labels, checks.scheme));
        for name in self
            .annotations
            .keys()
            .filter(|name| !checks.scheme.is_label_name(name))
        {
            mistakes.push(format!("invalid annotation name: {name}"));
        }
        if !self.alert.is_empty() {
            self.template_mistakes(checks, &mut mistakes);
        }
        mistakes
    }

    fn recording_mistakes(&self, checks: &RuleChecks<'_>, mistakes: &mut Vec<String>) {
        let fields = [
            (!self.annotations.is_empty(), "annotations"),
            (!self.hold.is_zero(), "for"),
            (!self.keep_firing_for.is_zero(), "keep_firing_for"),
        ];
        for (_, field) in fields.iter().filter(|(set, _)| *set) {
            mistakes.push(format!("invalid field '{field}' in recording rule"));
        }
        if self.record.contains(['{', '}']) {
            mistakes.push(format!(
                "braces present in the recording rule name; should it be in expr?: {}",
                self.record
            ));
        } else if !checks.scheme.is_metric_name(&self.record) {
            mistakes.push(format!("invalid recording rule name: {}", self.record));
        }
    }

    fn template_mistakes(&self, checks: &RuleChecks<'_>, mistakes: &mut Vec<String>) {
        for (what, texts) in [("label", &self.labels), ("annotation", &self.annotations)] {
            for (name, text) in texts {
                if let Err(error) = (checks.template)(text) {
                    mistakes.push(format!("{what} {name:?}: {error}"));
                }
            }
        }
    }
}

fn bad_labels(labels: &BTreeMap<String, String>, scheme: NameScheme) -> Vec<String> {
    let bad = |name: &&String| !scheme.is_label_name(name) || name.as_str() == "__name__";
    labels
        .keys()
        .filter(bad)
        .map(|name| format!("invalid label name: {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<String> {
        let checks = RuleChecks {
            expression: &|expr| {
                if expr == "bad" {
                    Err("no".into())
                } else {
                    Ok(())
                }
            },
            template: &|text| {
                if text.contains("{{ bad") {
                    Err("unclosed".into())
                } else {
                    Ok(())
                }
            },
            ..RuleChecks::default()
        };
        match RuleFile::parse(text, &checks) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_good_file_is_data() {
        let text = "groups:\n- name: g\n  labels: {team: a, x: 1}\n  rules:\n  - alert: A\n    expr: up == 0\n    for: 5m\n    labels: {x: 2}\n";
        let file = RuleFile::parse(text, &RuleChecks::default()).unwrap();
        let group = &file.groups[0];
        assert_eq!(group.rules[0].hold, Duration::from_secs(300));
        let labels = group.labels_of(&group.rules[0]);
        assert_eq!((labels["team"].as_str(), labels["x"].as_str()), ("a", "2"));
    }

    #[test]
    fn all_mistakes_are_told_at_their_place() {
        let text = "groups:\n- name: g\n  rules:\n  - record: a\n    expr: bad\n    for: 1m\n  - alert: B\n    expr: 1\n    annotations: {x: '{{ bad'}\n- name: g\n";
        assert_eq!(
            errors(text),
            [
                "line 5, column 11: group \"g\", rule 1, \"a\": could not parse expression: no",
                "line 4, column 5: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule",
                "line 7, column 5: group \"g\", rule 2, \"B\": annotation \"x\": unclosed",
                "line 10, column 3: groupname: \"g\" is repeated in the same file",
            ]
        );
    }

    #[test]
    fn names_follow_the_scheme() {
        let checks = RuleChecks {
            scheme: NameScheme::Legacy,
            ..RuleChecks::default()
        };
        let text = "groups: [{name: g, rules: [{record: a.b, expr: 1}]}]";
        assert!(RuleFile::parse(text, &RuleChecks::default()).is_ok());
        let errors = RuleFile::parse(text, &checks).unwrap_err();
        assert!(
            errors[0]
                .to_string()
                .ends_with("invalid recording rule name: a.b"),
            "{errors:?}"
        );
    }
}
