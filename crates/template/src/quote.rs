//! Go string literals: quoting for error texts and `%q`, unquoting for the parser.

/// Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    quote_with(text, '"')
}

pub(crate) fn quote_with(text: &str, mark: char) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for c in text.chars() {
        match c {
            c if c == mark || c == '\\' => out.extend(['\\', c]),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x0b' => out.push_str("\\v"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push(mark);
    out
}

/// The text of a Go literal with its quotes, or `None` when it is malformed.
/// `\x` and octal escapes that do not form UTF-8 are replaced.
pub(crate) fn unquote(literal: &str) -> Option<String> {
    let mark = literal.chars().next()?;
    let inner = literal.strip_prefix(mark)?.strip_suffix(mark)?;
    if mark == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => unescape(&mut chars, mark, &mut out)?,
            c if c == mark || c == '\n' => return None,
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(match String::from_utf8(out) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}

fn unescape(chars: &mut std::str::Chars<'_>, mark: char, out: &mut Vec<u8>) -> Option<()> {
    let c = chars.next()?;
    let (digits, radix) = match c {
        'a' => return push(out, 7),
        'b' => return push(out, 8),
        'f' => return push(out, 12),
        'n' => return push(out, b'\n'),
        'r' => return push(out, b'\r'),
        't' => return push(out, b'\t'),
        'v' => return push(out, 11),
        '\\' => return push(out, b'\\'),
        c if c == mark => return push(out, c as u8),
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (2, 8),
        _ => return None,
    };
    let mut code = if radix == 8 { c.to_digit(8)? } else { 0 };
    for _ in 0..digits {
        code = code
            .checked_mul(radix)?
            .checked_add(chars.next()?.to_digit(radix)?)?;
    }
    if c == 'u' || c == 'U' {
        let c = char::from_u32(code)?;
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        return Some(());
    }
    push(out, u8::try_from(code).ok()?)
}

fn push(out: &mut Vec<u8>, byte: u8) -> Option<()> {
    out.push(byte);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        for text in ["", "a\"b", "tab\tnl\nünï", "\x1b[31m"] {
            assert_eq!(unquote(&quote(text)).as_deref(), Some(text));
        }
        assert_eq!(unquote(r#""\x41\101é""#).as_deref(), Some("AAé"));
        assert_eq!(unquote("`a\\n`").as_deref(), Some("a\\n"));
        assert_eq!(unquote(r#""\q""#), None);
    }
}
