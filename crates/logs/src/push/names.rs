//! Names of structured metadata, which queries must be able to write.

use std::borrow::Cow;

use headwater_model::name::is_legacy_label_name;

use super::bad;
use crate::error::PushError;

/// The most labels, or names of metadata, that are read of one set. The limits of tenants lie far below;
/// this one keeps the work of reading in proportion to what is read.
pub(super) const MAX_PAIRS: usize = 1024;

/// Whether a set that has so many pairs takes another one.
///
/// # Errors
/// It does not.
pub(super) fn room(pairs: usize) -> Result<(), PushError> {
    match pairs < MAX_PAIRS {
        true => Ok(()),
        false => Err(bad(format!(
            "more than {MAX_PAIRS} labels in one stream, or names in the metadata of one entry"
        ))),
    }
}

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
