//! Bare keys as heka's TOML takes them: `RemoteIP|ipv4 = "%IP%"`.
//!
//! TOML allows letters, digits, `-` and `_` in keys without quotes. The
//! library that heka used took nearly anything, and its documentation shows
//! keys with `|`. Such keys get their quotes here.

/// Adds quotes around bare keys that need them. Lines stay lines.
pub(super) fn quote_keys(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside: Option<&str> = None;
    for line in text.split_inclusive('\n') {
        let outside = inside.is_none();
        inside = multiline_state(line, inside);
        match bare_key(line).filter(|_| outside) {
            Some((start, end)) => {
                out.push_str(&line[..start]);
                out.push('"');
                out.push_str(&line[start..end]);
                out.push('"');
                out.push_str(&line[end..]);
            }
            None => out.push_str(line),
        }
    }
    out
}

/// Where the key of this line lies, if it needs quotes.
fn bare_key(line: &str) -> Option<(usize, usize)> {
    let start = line.len() - line.trim_start().len();
    let (key, _) = line[start..].split_once('=')?;
    let key = key.trim_end();
    let strange = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
    let excluded = |c: char| c.is_whitespace() || "\"'#[].{}\\,".contains(c);
    let needs = !key.is_empty() && key.contains(strange) && !key.contains(excluded);
    needs.then_some((start, start + key.len()))
}

/// Whether the next line starts inside a string of several lines.
fn multiline_state<'a>(line: &str, before: Option<&'a str>) -> Option<&'a str> {
    let mut inside = before;
    let mut rest = line;
    loop {
        match inside {
            Some(quote) => match rest.split_once(quote) {
                Some((_, behind)) => {
                    inside = None;
                    rest = behind;
                }
                None => return inside,
            },
            None => {
                let opens = ["\"\"\"", "'''"].into_iter();
                let first = opens
                    .filter_map(|quote| Some((rest.find(quote)?, quote)))
                    .min();
                match first {
                    Some((at, quote)) => {
                        inside = Some(quote);
                        rest = &rest[at + 3..];
                    }
                    None => return None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::quote_keys;

    #[test]
    fn strange_keys_get_quotes_and_strings_are_left_alone() {
        let text = "Url|uri = \"a|b = c\"\nplain = 1\n\"q|d\" = 2\nm = '''\nx|y = 1\n'''\nz|w=3\n";
        let quoted =
            "\"Url|uri\" = \"a|b = c\"\nplain = 1\n\"q|d\" = 2\nm = '''\nx|y = 1\n'''\n\"z|w\"=3\n";
        assert_eq!(quote_keys(text), quoted);
    }
}
