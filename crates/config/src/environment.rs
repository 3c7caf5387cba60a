//! `$NAME` and `${NAME}` in external labels.

/// Replaces variables as Go's `os.Expand` does; `$$` is one `$`, and what is not set is nothing.
pub(crate) fn expand_variables(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (name, next) = variable(after);
        match name {
            "" => out.push_str(if next.len() == after.len() { "$" } else { "" }),
            "$" => out.push('$'),
            name => out.push_str(&value(name, lookup)),
        }
        rest = next;
    }
    out.push_str(rest);
    out
}

fn value(name: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let value = lookup(name).unwrap_or_default();
    if value.is_empty() {
        ::tracing::warn!(name, "Empty environment variable in external_labels");
    }
    value
}

/// The name behind a `$`, and what follows it. No name and nothing taken means a lone `$`.
fn variable(after: &str) -> (&str, &str) {
    if let Some(braced) = after.strip_prefix('{') {
        return match braced.split_once('}') {
            Some((name, next)) => (name, next),
            // Go drops the brace that is never closed.
            None => ("", braced),
        };
    }
    if after.starts_with(|c: char| "*#$@!?-".contains(c) || c.is_ascii_digit()) {
        return after.split_at(1);
    }
    let end = after
        .find(|c: char| c != '_' && !c.is_ascii_alphanumeric())
        .unwrap_or(after.len());
    after.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced_as_go_does() {
        let lookup = |name: &str| (name == "TEST").then(|| "T".to_owned());
        for (text, want) in [
            ("foo", "foo"),
            ("${TEST}", "T"),
            ("foo${TEST}bar$TEST", "fooTbarT"),
            ("foo$${TEST}", "foo${TEST}"),
            ("foo$$bar", "foo$bar"),
            ("$NOT_SET.", "."),
            ("5 $", "5 $"),
            ("a$ b", "a$ b"),
            ("${", ""),
        ] {
            assert_eq!(expand_variables(text, &lookup), want, "{text}");
        }
    }
}
