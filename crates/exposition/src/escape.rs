//! Names for readers that only know the classic character set.

use std::borrow::Cow;
use std::fmt::Write;

use headwater_model::name::{is_legacy_label_name, is_legacy_metric_name};

/// What to do with names outside the classic character set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Escaping {
    /// Write them as they are, quoted.
    #[default]
    AllowUtf8,
    /// Each foreign character becomes an underscore.
    Underscores,
    /// `.` becomes `_dot_`, `_` becomes `__`, others `__`.
    Dots,
    /// `U__`, then each foreign character as its code: `_2e_`. Can be undone.
    Values,
}

impl Escaping {
    /// The word for it in headers and configuration files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AllowUtf8 => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }

    /// The scheme with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AllowUtf8, Self::Underscores, Self::Dots, Self::Values]
            .into_iter()
            .find(|s| s.as_str() == name)
    }

    /// The name of a metric under this scheme.
    pub fn metric_name(self, name: &str) -> Cow<'_, str> {
        self.name(name, true)
    }

    /// The name of a label under this scheme.
    pub fn label_name(self, name: &str) -> Cow<'_, str> {
        self.name(name, false)
    }

    fn name(self, name: &str, colons: bool) -> Cow<'_, str> {
        let legacy = if colons {
            is_legacy_metric_name(name)
        } else {
            is_legacy_label_name(name)
        };
        if self == Self::AllowUtf8 || name.is_empty() || (legacy && self != Self::Dots) {
            return Cow::Borrowed(name);
        }
        let mut out = String::with_capacity(name.len() + 8);
        if self == Self::Values {
            out.push_str("U__");
        }
        for (at, c) in name.chars().enumerate() {
            let valid = c == '_'
                || c.is_ascii_alphabetic()
                || (colons && c == ':')
                || (at > 0 && c.is_ascii_digit());
            match self {
                Self::Dots if c == '_' => out.push_str("__"),
                Self::Dots if c == '.' => out.push_str("_dot_"),
                Self::Values if c == '_' => out.push_str("__"),
                _ if valid => out.push(c),
                Self::Dots => out.push_str("__"),
                Self::Values => {
                    write!(out, "_{:x}_", c as u32).expect("a String takes every write")
                }
                _ => out.push('_'),
            }
        }
        Cow::Owned(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_readable() {
        for (name, underscores, dots, values) in [
            ("a_b", "a_b", "a__b", "a_b"),
            ("a.b_c", "a_b_c", "a_dot_b__c", "U__a_2e_b__c"),
            ("é", "_", "__", "U___e9_"),
            ("1a", "_a", "__a", "U___31_a"),
        ] {
            assert_eq!(Escaping::Underscores.metric_name(name), underscores);
            assert_eq!(Escaping::Dots.metric_name(name), dots);
            assert_eq!(Escaping::Values.metric_name(name), values);
            assert_eq!(headwater_model::name::unescape_value_encoding(values), name);
        }
        assert_eq!(Escaping::Underscores.label_name("a:b"), "a_b");
        assert_eq!(Escaping::AllowUtf8.label_name("é"), "é");
    }
}
