//! Names of structured metadata, which queries must be able to write.

use std::borrow::Cow;

use headwater_model::name::is_legacy_label_name;

use super::bad;
use crate::error::PushError;

/// The name with every character that a query cannot write as `_`, and `key_` before a digit.
///
/// # Errors
/// Nothing but underlines would be left of the name.
pub(super) fn normalized(name: &str) -> Result<Cow<'_, str>, PushError> {
    if is_legacy_label_name(name) {
        return Ok(Cow::Borrowed(name));
    }
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut out: String = name
        .chars()
        .map(|c| if fine(c) { c } else { '_' })
        .collect();
    if out.bytes().all(|byte| byte == b'_') {
        return Err(bad(format!(
            "normalization for label name {name:?} resulted in invalid name {out:?}"
        )));
    }
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert_str(0, "key_");
    }
    Ok(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_writable() {
        for (name, wanted) in [
            ("a_b", "a_b"),
            ("http.status", "http_status"),
            ("1num", "key_1num"),
            ("x/y", "x_y"),
        ] {
            assert_eq!(normalized(name).unwrap(), wanted);
        }
        assert_eq!(normalized("é").unwrap_err().status, 400);
    }
}
