//! Which names of metrics and labels are valid, in the classic character set and in UTF-8.

/// Which names are accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
pub enum NameScheme {
    /// Any text that is not empty.
    #[default]
    Utf8,
    /// The classic character set.
    Legacy,
}

impl NameScheme {
    /// Whether a label may have this name.
    pub fn is_label_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_label_name(name),
        }
    }

    /// Whether a metric may have this name.
    pub fn is_metric_name(self, name: &str) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => is_legacy_metric_name(name),
        }
    }
}

/// Whether `name` is `[a-zA-Z_][a-zA-Z0-9_]*`.
pub fn is_legacy_label_name(name: &str) -> bool {
    is_word(name, |byte| byte == b'_')
}

/// Whether `name` is `[a-zA-Z_:][a-zA-Z0-9_:]*`.
pub fn is_legacy_metric_name(name: &str) -> bool {
    is_word(name, |byte| byte == b'_' || byte == b':')
}

fn is_word(name: &str, extra: impl Fn(u8) -> bool) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || extra(first))
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || extra(byte))
}

/// The inverse of the `U__` value escaping: `U__a_2e_b` stands for `a.b`. Names that are
/// not escaped, or not well, come back as they are.
/// Source: the escaping schemes of Prometheus's UTF-8 proposal.
pub fn unescape_value_encoding(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else {
        return name.to_owned();
    };
    decode_escapes(escaped).unwrap_or_else(|| name.to_owned())
}

fn decode_escapes(mut rest: &str) -> Option<String> {
    let mut out = String::with_capacity(rest.len());
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let (code, after) = rest.split_once('_')?;
        if code.is_empty() || code.len() > 6 {
            return None;
        }
        out.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legacy_names() {
        for good in ["a", "_", "A9_"] {
            assert!(is_legacy_label_name(good), "{good}");
        }
        for bad in ["", "9", "a.b", "a:b", "é"] {
            assert!(!is_legacy_label_name(bad), "{bad}");
        }
        assert!(is_legacy_metric_name("a:b") && !is_legacy_metric_name("a-b"));
    }

    #[test]
    fn value_escapes() {
        assert_eq!(unescape_value_encoding("U__a_2e_b__c"), "a.b_c");
        assert_eq!(unescape_value_encoding("plain_name"), "plain_name");
        assert_eq!(unescape_value_encoding("U__bad_zz_"), "U__bad_zz_");
    }
}
