//! `%ENV[NAME]`: variables of the environment in configuration files.
//!
//! They are replaced in the text before it is read as TOML, as in heka, so
//! they work in section names and count in comments. An unset variable is
//! empty.

const START: &str = "%ENV[";

/// Replaces all variables of `text`; `lookup` knows their values.
///
/// # Errors
///
/// The byte where a variable starts whose name has blanks, another
/// variable, or no end.
pub fn interpolate(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, usize> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(START) {
        let offset = text.len() - rest.len() + at;
        out.push_str(&rest[..at]);
        let name = &rest[at + START.len()..];
        let end = name.find(']').ok_or(offset)?;
        let (name, behind) = (&name[..end], &name[end + 1..]);
        if name.contains([' ', '\t', '\r', '\n']) || name.contains(START) {
            return Err(offset);
        }
        out.push_str(&lookup(name).unwrap_or_default());
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_x(text: &str) -> Result<String, usize> {
        interpolate(text, &|name| (name == "X").then(|| "value".to_owned()))
    }

    #[test]
    fn variables_are_replaced_anywhere() {
        assert_eq!(
            with_x("[%ENV[X]]\na = '%ENV[Y]'").unwrap(),
            "[value]\na = ''"
        );
    }

    #[test]
    fn bad_names_are_refused_with_their_place() {
        assert_eq!(with_x("a %ENV[X"), Err(2));
        assert_eq!(with_x("%ENV[A B]"), Err(0));
        assert_eq!(with_x("%ENV[A%ENV[B]]"), Err(0));
    }
}
