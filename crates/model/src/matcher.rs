//! Label matchers: `name="value"`, `!=`, `=~`, `!~`.

use std::fmt;

use headwater_regexp::Regex;

use crate::name::is_legacy_label_name;
use crate::quote::write_go_quoted;

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MatchOp {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`, anchored at both ends, `.` matches newlines.
    Regex,
    /// `!~`
    NotRegex,
}

impl MatchOp {
    /// The operator as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A condition on one label. A label that is absent has the empty value.
#[derive(Clone)]
pub struct Matcher {
    /// The label's name.
    pub name: String,
    /// The comparison.
    pub op: MatchOp,
    /// What to compare with, as the user wrote it.
    pub value: String,
    regex: Option<Regex>,
}

impl Matcher {
    /// Builds a matcher; compiles the expression of `=~` and `!~`.
    ///
    /// # Errors
    /// The expression is not valid in Go's RE2 syntax or is too large.
    pub fn new(
        op: MatchOp,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<Self, headwater_regexp::Error> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(Regex::anchored(&value)?),
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// `name="value"`, which cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    /// Whether a label with this value fulfils the condition.
    pub fn matches(&self, value: &str) -> bool {
        match (&self.regex, self.op) {
            (Some(regex), MatchOp::Regex) => regex.is_match(value),
            (Some(regex), _) => !regex.is_match(value),
            (None, MatchOp::NotEqual) => self.value != value,
            (None, _) => self.value == value,
        }
    }

    /// Whether series without the label fulfil the condition.
    pub fn matches_empty(&self) -> bool {
        self.matches("")
    }

    /// The compiled expression of `=~` and `!~`.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.as_ref()
    }

    /// Whether the operator is a negation.
    pub fn is_negative(&self) -> bool {
        matches!(self.op, MatchOp::NotEqual | MatchOp::NotRegex)
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        (self.op, &self.name, &self.value) == (other.op, &other.name, &other.value)
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_legacy_label_name(&self.name) {
            f.write_str(&self.name)?;
        } else {
            write_go_quoted(f, &self.name)?;
        }
        f.write_str(self.op.as_str())?;
        write_go_quoted(f, &self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator() {
        for (op, value, yes, no) in [
            (MatchOp::Equal, "a", "a", "b"),
            (MatchOp::NotEqual, "a", "b", "a"),
            (MatchOp::Regex, "a.*|b", "a\nx", "xa"),
            (MatchOp::NotRegex, "a.*|b", "xa", "b"),
        ] {
            let matcher = Matcher::new(op, "l", value).unwrap();
            assert!(matcher.matches(yes) && !matcher.matches(no), "{matcher}");
        }
    }

    #[test]
    fn bad_expressions_are_refused() {
        assert!(Matcher::new(MatchOp::Regex, "l", "a(").is_err());
    }
}
