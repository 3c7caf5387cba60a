//! Go's replacement templates.

/// What a `$` in a template refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference<'t> {
    Number(usize),
    Name(&'t str),
}

/// Appends `template` to `out`, each reference replaced by what `lookup` finds.
pub(crate) fn expand<'x>(
    mut template: &str,
    out: &mut String,
    lookup: impl Fn(Reference<'_>) -> Option<&'x str>,
) {
    while let Some((before, after)) = template.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            template = after;
        } else if let Some((reference, after)) = reference(after) {
            out.push_str(lookup(reference).unwrap_or_default());
            template = after;
        } else {
            out.push('$');
            template = after;
        }
    }
    out.push_str(template);
}

/// Reads `name` or `{name}` and returns it with the text behind.
fn reference(text: &str) -> Option<(Reference<'_>, &str)> {
    let inner = text.strip_prefix('{');
    let name_text = inner.unwrap_or(text);
    let word = |c: char| c == '_' || c.is_alphabetic() || c.is_numeric();
    let end = name_text.find(|c| !word(c)).unwrap_or(name_text.len());
    let (name, after) = name_text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let after = if inner.is_some() {
        after.strip_prefix('}')?
    } else {
        after
    };
    Some((
        number(name).map_or(Reference::Name(name), Reference::Number),
        after,
    ))
}

/// A group number: decimal, no leading zeros, at most nine digits.
fn number(name: &str) -> Option<usize> {
    let plain =
        name.bytes().all(|b| b.is_ascii_digit()) && (name.len() == 1 || !name.starts_with('0'));
    if plain && name.len() <= 9 {
        name.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced() {
        let lookup = |reference: Reference<'_>| match reference {
            Reference::Number(1) => Some("one"),
            Reference::Name("n") => Some("named"),
            _ => None,
        };
        for (template, expanded) in [
            ("", ""),
            ("plain", "plain"),
            ("$1-${1}", "one-one"),
            ("$1x", ""),
            ("${1}x", "onex"),
            ("$n,${n},$m", "named,named,"),
            ("$$1", "$1"),
            ("a$", "a$"),
            ("$-$", "$-$"),
            ("${1", "${1"),
            ("${}", "${}"),
            ("$01", ""),
            ("$2", ""),
        ] {
            let mut out = String::new();
            expand(template, &mut out, lookup);
            assert_eq!(out, expanded, "{template}");
        }
    }
}
