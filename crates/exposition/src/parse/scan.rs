//! The small pieces of which both text formats consist.

use super::error::Fault;

/// Walks over a text byte by byte; every stop is a character boundary because all
/// delimiters are ASCII.
#[derive(Debug, Clone)]
pub(crate) struct Scanner<'b> {
    pub(crate) text: &'b str,
    pub(crate) at: usize,
}

type Result<T> = std::result::Result<T, Fault>;

impl<'b> Scanner<'b> {
    pub(crate) fn new(text: &'b str) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it is next.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    pub(crate) fn fault<T>(&self, message: impl Into<String>) -> Result<T> {
        Err(Fault::new(self.at, message))
    }

    /// The bytes for which `class` holds.
    pub(crate) fn run(&mut self, class: u8) -> &'b str {
        let start = self.at;
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if CLASSES[byte as usize] & class == 0 {
                break;
            }
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// What is left of the line; the scanner then stands at its end.
    pub(crate) fn line_rest(&mut self) -> &'b str {
        let rest = &self.text[self.at..];
        let end = memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// A token that ends at a blank or the end of the line.
    pub(crate) fn token(&mut self) -> &'b str {
        self.run(TOKEN)
    }

    /// Steps over a quoted text and returns what is between the quotes, escapes as they are.
    pub(crate) fn quoted(&mut self) -> Result<&'b str> {
        let open = self.at;
        if !self.eat(b'"') {
            return self.fault("expected a quoted text");
        }
        let start = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(Fault::new(open, "quoted text has no end"));
            };
            if rest[found] == b'"' {
                self.at += found + 1;
                return Ok(&self.text[start..self.at - 1]);
            }
            // The escaped character may be of several bytes; those behind the first are no delimiters.
            self.at = (self.at + found + 2).min(self.text.len());
        }
    }

    /// Steps over `{...}` without looking at what is inside, except for quotes.
    pub(crate) fn braces(&mut self) -> Result<()> {
        let open = self.at;
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(found) = memchr::memchr2(b'"', b'}', rest) else {
                return Err(Fault::new(open, "label set has no end"));
            };
            self.at += found;
            if rest[found] == b'}' {
                self.at += 1;
                return Ok(());
            }
            self.quoted()?;
        }
    }

    /// Steps over a series: a name, labels, or both. Returns where it lies.
    pub(crate) fn series(&mut self) -> Result<(usize, usize)> {
        let start = self.at;
        self.run(METRIC);
        let mut end = self.at;
        self.skip_blanks();
        if self.peek() == Some(b'{') {
            self.braces()?;
            end = self.at;
        } else if end == start {
            return self.fault("expected a metric name or a label set");
        }
        Ok((start, end))
    }

    /// A number, as Go reads floats; its place is where the fault would be.
    pub(crate) fn float(&mut self, what: &str) -> Result<f64> {
        let start = self.at;
        let token = self.token();
        if token.is_empty() {
            return self.fault(format!("expected {what}"));
        }
        parse_float(token).ok_or_else(|| Fault::new(start, format!("invalid {what} {token:?}")))
    }
}

/// Byte classes for [`Scanner::run`].
pub(crate) const LABEL: u8 = 1;
pub(crate) const METRIC: u8 = 2;
pub(crate) const TOKEN: u8 = 4;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || b == b'_' {
            classes[byte] |= LABEL | METRIC;
        }
        if b == b':' {
            classes[byte] |= METRIC;
        }
        if b != b' ' && b != b'\t' && b != b'\n' {
            classes[byte] |= TOKEN;
        }
        byte += 1;
    }
    classes
};

/// Reads a float as both formats allow it: decimal, no underscores, `Inf` and `NaN` in any
/// case, and nothing that exceeds the range. Every NaN becomes the ordinary one, because the
/// payload of a NaN has a meaning inside the storage.
pub(crate) fn parse_float(token: &str) -> Option<f64> {
    if let Some(small) = parse_small_integer(token.as_bytes()) {
        return Some(small);
    }
    let value: f64 = token.parse().ok()?;
    if value.is_nan() {
        let signed = token.starts_with(['+', '-']);
        return (!signed).then_some(f64::from_bits(headwater_model::sample::NORMAL_NAN_BITS));
    }
    // Go refuses 1e999; only the word may be infinite.
    if value.is_infinite() && token.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(value)
}

/// Up to fifteen digits are exact in a float; most values of counters are such.
fn parse_small_integer(bytes: &[u8]) -> Option<f64> {
    if bytes.is_empty() || bytes.len() > 15 {
        return None;
    }
    let mut value = 0u64;
    for &byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value as f64)
}

/// Replaces `\\`, `\n` and `\"`; another escape stays as it is.
pub(crate) fn unescape(text: &str, out: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let replaced = match rest.as_bytes().get(at + 1) {
            Some(b'\\') => '\\',
            Some(b'n') => '\n',
            Some(b'"') => '"',
            _ => {
                out.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        out.push(replaced);
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_gos() {
        for (token, value) in [
            ("0", Some(0.0)),
            ("123456789012345", Some(123_456_789_012_345.0)),
            ("12345678901234567890", Some(12_345_678_901_234_567_890.0)),
            ("1.", Some(1.0)),
            (".5", Some(0.5)),
            ("-1e-3", Some(-0.001)),
            ("+Inf", Some(f64::INFINITY)),
            ("-infinity", Some(f64::NEG_INFINITY)),
            ("1e999", None),
            ("0x1p3", None),
            ("1_000", None),
            ("+NaN", None),
            ("", None),
            ("1 ", None),
        ] {
            assert_eq!(parse_float(token), value, "{token}");
        }
        let nan = parse_float("nAn").expect("a NaN");
        assert_eq!(nan.to_bits(), headwater_model::sample::NORMAL_NAN_BITS);
    }

    #[test]
    fn escapes() {
        let mut out = String::new();
        unescape(r#"a\\b\n\"\q\"#, &mut out);
        assert_eq!(out, "a\\b\n\"\\q\\");
    }

    #[test]
    fn a_series_ends_behind_its_braces() {
        for (text, end) in [
            (r#"a 1"#, 1),
            (r#"a{b="}\"}"} 1"#, 11),
            (r#"a {} 1"#, 4),
            (r#"{"a"} 1"#, 5),
        ] {
            assert_eq!(Scanner::new(text).series().expect(text), (0, end), "{text}");
        }
        for text in ["", " ", "{", r#"a{b="}"#, "=", r#"a{"\"#] {
            assert!(Scanner::new(text).series().is_err(), "{text}");
        }
    }
}
