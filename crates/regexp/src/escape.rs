//! Backslash escapes of single characters.

use crate::error::{Error, ErrorKind};
use crate::parser::consumed;

/// Reads one escape at the start of `rest` (which begins with a backslash).
///
/// Returns a code point rather than a `char`, because Go lets an escape name a surrogate.
pub(crate) fn escape(rest: &str) -> Result<(u32, &str), Error> {
    let mut chars = rest[1..].chars();
    let Some(c) = chars.next() else {
        return Err(Error::new(ErrorKind::TrailingBackslash, ""));
    };
    let after = chars.as_str();
    let invalid = |after: &str| Err(Error::new(ErrorKind::InvalidEscape, consumed(rest, after)));
    match c {
        '0' => Ok(octal(0, after)),
        // A single digit would be a back reference, which RE2 does not have.
        '1'..='7' if after.starts_with(|c| ('0'..='7').contains(&c)) => {
            Ok(octal(c as u32 - '0' as u32, after))
        }
        'x' => hexadecimal(after).or_else(invalid),
        'a' => Ok((0x07, after)),
        'f' => Ok((0x0c, after)),
        'n' => Ok((0x0a, after)),
        'r' => Ok((0x0d, after)),
        't' => Ok((0x09, after)),
        'v' => Ok((0x0b, after)),
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Ok((c as u32, after)),
        _ => invalid(after),
    }
}

/// Up to two more octal digits.
fn octal(first: u32, text: &str) -> (u32, &str) {
    let more = text
        .bytes()
        .take(2)
        .take_while(|b| (b'0'..=b'7').contains(b))
        .count();
    let code = text
        .bytes()
        .take(more)
        .fold(first, |code, b| code * 8 + u32::from(b - b'0'));
    (code, &text[more..])
}

/// `\x7F` or `\x{10FFFF}`; on failure, what is left behind the offending character.
fn hexadecimal(text: &str) -> Result<(u32, &str), &str> {
    let mut chars = text.chars();
    match chars.next() {
        Some('{') => hexadecimal_in_braces(chars),
        Some(high) => {
            let low = chars
                .next()
                .and_then(|c| c.to_digit(16))
                .ok_or(chars.as_str());
            let code = high.to_digit(16).ok_or(chars.as_str())? * 16 + low?;
            Ok((code, chars.as_str()))
        }
        None => Err(text),
    }
}

fn hexadecimal_in_braces(mut chars: std::str::Chars<'_>) -> Result<(u32, &str), &str> {
    let mut code = None;
    while let Some(c) = chars.next() {
        if c == '}' {
            return code
                .map(|code| (code, chars.as_str()))
                .ok_or(chars.as_str());
        }
        let digit = c.to_digit(16).ok_or(chars.as_str())?;
        let next = code.unwrap_or(0) * 16 + digit;
        if next > char::MAX as u32 {
            return Err(chars.as_str());
        }
        code = Some(next);
    }
    Err("")
}

/// Escapes every character that has a meaning in a pattern (Go's `QuoteMeta`).
///
/// ```
/// assert_eq!(headwater_regexp::quote_meta("a.b*"), r"a\.b\*");
/// ```
pub fn quote_meta(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_name_code_points() {
        for (text, code, rest) in [
            (r"\n.", 10, "."),
            (r"\0", 0, ""),
            (r"\0123", 10, "3"),
            (r"\1234", 0o123, "4"),
            (r"\x7f!", 0x7f, "!"),
            (r"\x{1F600}", 0x1f600, ""),
            (r"\x{D800}", 0xd800, ""),
            (r"\<", u32::from(b'<'), ""),
            (r"\_", u32::from(b'_'), ""),
        ] {
            assert_eq!(escape(text), Ok((code, rest)), "{text}");
        }
    }

    #[test]
    fn bad_escapes_are_quoted_up_to_the_offence() {
        for (text, part) in [
            (r"\yz", r"\y"),
            (r"\8", r"\8"),
            (r"\x{}", r"\x{}"),
            (r"\x{zz}", r"\x{z"),
            (r"\x{110000}", r"\x{110000"),
            (r"\x{41", r"\x{41"),
            (r"\xg0", r"\xg0"),
            (r"\é", r"\é"),
        ] {
            assert_eq!(
                escape(text),
                Err(Error::new(ErrorKind::InvalidEscape, part)),
                "{text}"
            );
        }
    }
}
