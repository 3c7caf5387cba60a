//! Numbers and strings.

use headwater_model::number::parse_float;

use super::Parser;
use crate::syntax::ast::{BinaryOp, NumberLiteral, StringLiteral};
use crate::syntax::error::ParseError;
use crate::syntax::token::Token;

impl Parser<'_> {
    /// A number or a duration, which stands for its seconds.
    pub(super) fn number_literal(&mut self) -> Result<NumberLiteral, ParseError> {
        let item = self.next;
        let text = self.text_of(item);
        let duration = item.token == Token::Duration;
        let value = if duration {
            let millis = headwater_model::duration::parse_duration(text);
            millis.map_err(|error| self.error(item.range, error.to_string()))? as f64 / 1000.0
        } else {
            let message = || {
                let quoted = headwater_model::quote::go_quoted(text);
                // The lexer lets through only what looks like a number.
                self.error(
                    item.range,
                    format!(
                        "error parsing number: strconv.ParseFloat: parsing {quoted}: {}",
                        if text.parse::<f64>().is_ok() {
                            "value out of range"
                        } else {
                            "invalid syntax"
                        }
                    ),
                )
            };
            parse_number(text).ok_or_else(message)?
        };
        self.take()?;
        Ok(NumberLiteral {
            value,
            duration,
            range: item.range,
        })
    }

    /// A number with or without a sign.
    pub(super) fn signed_number(
        &mut self,
        context: &str,
        expected: &str,
    ) -> Result<f64, ParseError> {
        let negative = self.peek() == Token::Op(BinaryOp::Sub);
        if negative || self.peek() == Token::Op(BinaryOp::Add) {
            self.take()?;
        }
        if !matches!(self.peek(), Token::Number | Token::Duration) {
            return Err(self.unexpected(context, expected));
        }
        let value = self.number_literal()?.value;
        Ok(if negative { -value } else { value })
    }

    pub(super) fn string_literal(&mut self) -> Result<StringLiteral, ParseError> {
        let item = self.take()?;
        let (value, not_utf8) = unquote(self.text_of(item));
        Ok(StringLiteral {
            value,
            not_utf8,
            range: item.range,
        })
    }
}

/// Whole numbers in bases 8 (leading zero), 10 and 16, floats, underscores between digits.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let plain: String;
    let text = if text.contains('_') {
        plain = text.replace('_', "");
        plain.as_str()
    } else {
        text
    };
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let value = i64::from_str_radix(hex, 16).ok()?;
        return (!hex.starts_with('+')).then_some(value as f64);
    }
    if text.len() > 1
        && text.starts_with('0')
        && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte))
        && let Ok(value) = i64::from_str_radix(text, 8)
    {
        return Some(value as f64);
    }
    parse_float(text)
}

/// What a literal with valid escapes stands for, and the literal in Go's quotes if that is not UTF-8.
pub(crate) fn unquote(literal: &str) -> (String, Option<String>) {
    let inner = &literal[1..literal.len() - 1];
    if literal.starts_with('`') {
        return (inner.replace('\r', ""), None);
    }
    if !inner.contains('\\') {
        return (inner.to_owned(), None);
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        rest = push_escape(&rest[at + 1..], &mut bytes);
    }
    bytes.extend_from_slice(rest.as_bytes());
    match String::from_utf8(bytes) {
        Ok(value) => (value, None),
        Err(error) => {
            let bytes = error.into_bytes();
            (
                String::from_utf8_lossy(&bytes).into_owned(),
                Some(quote_bytes(&bytes)),
            )
        }
    }
}

/// Appends what an escape stands for and returns the text after it; the lexer has checked it.
fn push_escape<'a>(text: &'a str, out: &mut Vec<u8>) -> &'a str {
    let simple = |byte: u8| Some((vec![byte], 1));
    let number = |from: usize, to: usize, base| {
        text.get(from..to)
            .and_then(|digits| u32::from_str_radix(digits, base).ok())
    };
    let parsed = match text.as_bytes().first() {
        Some(b'a') => simple(7),
        Some(b'b') => simple(8),
        Some(b'f') => simple(12),
        Some(b'n') => simple(b'\n'),
        Some(b'r') => simple(b'\r'),
        Some(b't') => simple(b'\t'),
        Some(b'v') => simple(11),
        Some(b'x') => number(1, 3, 16).map(|value| (vec![value as u8], 3)),
        Some(b'u') => number(1, 5, 16)
            .and_then(char::from_u32)
            .map(|c| (c.to_string().into_bytes(), 5)),
        Some(b'U') => number(1, 9, 16)
            .and_then(char::from_u32)
            .map(|c| (c.to_string().into_bytes(), 9)),
        Some(b'0'..=b'7') => number(0, 3, 8).map(|value| (vec![value as u8], 3)),
        Some(byte) => simple(*byte),
        None => None,
    };
    let (bytes, len) = parsed.unwrap_or_default();
    out.extend_from_slice(&bytes);
    &text[len..]
}

fn quote_bytes(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        let quoted = headwater_model::quote::go_quoted(chunk.valid());
        out.push_str(&quoted[1..quoted.len() - 1]);
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_bases() {
        for (text, value) in [
            ("1_000", 1000.0),
            ("0x1F", 31.0),
            ("017", 15.0),
            ("08.5", 8.5),
            ("1e3", 1000.0),
            ("Inf", f64::INFINITY),
        ] {
            assert_eq!(parse_number(text), Some(value), "{text}");
        }
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(unquote(r#""\u00fc\x41\101\n""#).0, "üAA\n");
        assert_eq!(unquote(r"'it\'s'").0, "it's");
        assert_eq!(unquote(r"`raw\n`").0, r"raw\n");
        assert_eq!(unquote(r#""a\xffz""#).1.as_deref(), Some(r#""a\xffz""#));
    }
}
