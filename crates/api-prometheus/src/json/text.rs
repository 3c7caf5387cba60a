//! Strings, numbers and times in JSON.

use std::fmt::Write;

use headwater_model::number::push_float;
use headwater_model::{Labels, Timestamp};

/// Whole numbers below this print without an exponent and are exact in a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a quoted string. Control characters are escaped, and so are U+2028 and U+2029, which
/// JavaScript before 2019 took for ends of lines.
pub(crate) fn push_string(out: &mut String, text: &str) {
    push_escaped(out, text, escape_of);
}

/// Appends a quoted string in which `<`, `>` and `&` are escaped too, as Go does by default: texts
/// repeat parts of requests, and a browser that takes the answer for a page must not run them.
pub(crate) fn push_message(out: &mut String, text: &str) {
    push_escaped(out, text, |c| match c {
        '<' | '>' | '&' => Some(Escape::Code(u32::from(c))),
        other => escape_of(other),
    });
}

fn push_escaped(out: &mut String, text: &str, escape_of: impl Fn(char) -> Option<Escape>) {
    out.push('"');
    let mut plain_from = 0;
    for (at, c) in text.char_indices() {
        if let Some(escape) = escape_of(c) {
            out.push_str(&text[plain_from..at]);
            push_escape(out, escape);
            plain_from = at + c.len_utf8();
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

enum Escape {
    Letter(char),
    Code(u32),
}

fn escape_of(c: char) -> Option<Escape> {
    Some(match c {
        '"' | '\\' => Escape::Letter(c),
        '\n' => Escape::Letter('n'),
        '\r' => Escape::Letter('r'),
        '\t' => Escape::Letter('t'),
        '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => Escape::Code(u32::from(c)),
        _ => return None,
    })
}

fn push_escape(out: &mut String, escape: Escape) {
    out.push('\\');
    match escape {
        Escape::Letter(letter) => out.push(letter),
        Escape::Code(code) => {
            out.push('u');
            for shift in [12, 8, 4, 0] {
                let digit = char::from_digit(code >> shift & 0xf, 16);
                out.push(digit.unwrap_or('0'));
            }
        }
    }
}

/// Appends a float as a quoted string. Whole numbers, the most frequent values by far, skip the
/// general formatting.
pub(crate) fn push_value(out: &mut String, value: f64) {
    out.push('"');
    if value.trunc() == value && value.abs() < EXACT && !(value == 0.0 && value.is_sign_negative())
    {
        push_integer(out, value as i64);
    } else {
        push_float(out, value);
    }
    out.push('"');
}

/// Appends a float as a quoted string that has no exponent.
pub(crate) fn push_plain(out: &mut String, value: f64) {
    match value.is_finite() {
        true => write!(out, "\"{value}\"").expect("a String takes every write"),
        false => push_value(out, value),
    }
}

/// Appends a number without quotes, as JSON numbers are; what JSON cannot say becomes 0.
pub(crate) fn push_number(out: &mut String, value: f64) {
    push_float(out, if value.is_finite() { value } else { 0.0 });
}

/// Appends milliseconds as seconds, with three decimals unless they are whole.
pub(crate) fn push_time(out: &mut String, time: Timestamp) {
    let millis = time.unsigned_abs();
    let (seconds, mut fraction) = (millis / 1000, millis % 1000);
    let mut digits = Digits::default();
    if fraction != 0 {
        for _ in 0..3 {
            digits.prepend(b'0' + (fraction % 10) as u8);
            fraction /= 10;
        }
        digits.prepend(b'.');
    }
    digits.prepend_number(seconds);
    if time < 0 {
        digits.prepend(b'-');
    }
    out.push_str(digits.as_str());
}

/// Appends a whole number.
pub(crate) fn push_integer(out: &mut String, value: i64) {
    let mut digits = Digits::default();
    digits.prepend_number(value.unsigned_abs());
    if value < 0 {
        digits.prepend(b'-');
    }
    out.push_str(digits.as_str());
}

/// Appends a whole number that is not negative.
pub(crate) fn push_unsigned(out: &mut String, value: u64) {
    let mut digits = Digits::default();
    digits.prepend_number(value);
    out.push_str(digits.as_str());
}

/// A number under construction, from its last character to its first: one `push_str` for the whole
/// costs a third of one `push` for each character.
struct Digits {
    bytes: [u8; Digits::ROOM],
    from: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self {
            bytes: [b'0'; Self::ROOM],
            from: Self::ROOM,
        }
    }
}

/// `00` to `99`: two digits for one division.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut at = 0;
    while at < 100 {
        pairs[at] = [b'0' + (at / 10) as u8, b'0' + (at % 10) as u8];
        at += 1;
    }
    pairs
};

impl Digits {
    /// The sign, the twenty digits of `u64::MAX`, the point and three decimals.
    const ROOM: usize = 25;

    fn prepend(&mut self, byte: u8) {
        self.from -= 1;
        self.bytes[self.from] = byte;
    }

    fn prepend_number(&mut self, mut value: u64) {
        while value >= 100 {
            self.prepend_pair(PAIRS[(value % 100) as usize]);
            value /= 100;
        }
        match value < 10 {
            true => self.prepend(b'0' + value as u8),
            false => self.prepend_pair(PAIRS[value as usize]),
        }
    }

    fn prepend_pair(&mut self, pair: [u8; 2]) {
        self.from -= 2;
        self.bytes[self.from..self.from + 2].copy_from_slice(&pair);
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[self.from..]).unwrap_or("0")
    }
}

/// Appends `{"a":"b"}`.
pub(crate) fn push_labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_string(out, name);
        out.push(':');
        push_string(out, value);
    }
    out.push('}');
}

/// Appends `,"name":["a","b"]`, or nothing if there is no text.
pub(crate) fn push_list(out: &mut String, name: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    out.push_str(",\"");
    out.push_str(name);
    out.push_str("\":[");
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_message(out, text);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn strings() {
        let text = "a\"b\\c\n\u{1}é\u{2028}";
        let json = written(|out| push_string(out, text));
        assert_eq!(json, "\"a\\\"b\\\\c\\n\\u0001é\\u2028\"");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(text in ".*", value: f64, time in -(1i64 << 53)..1 << 53) {
            for push in [push_string, push_message] {
                let json = written(|out| push(out, &text));
                assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
            }
            for push in [push_value, push_plain] {
                let json = written(|out| push(out, value));
                let read: String = serde_json::from_str(&json).unwrap();
                let same = read.parse::<f64>().unwrap();
                assert!(same.to_bits() == value.to_bits() || value.is_nan());
            }
            let json = written(|out| push_time(out, time));
            let seconds: f64 = json.parse().unwrap();
            assert_eq!(seconds, time as f64 / 1000.0);
        }
    }

    #[test]
    fn messages_are_no_pages() {
        assert_eq!(
            written(|out| push_message(out, "<a> & \"b\"")),
            r#""\u003ca\u003e \u0026 \"b\"""#
        );
    }

    #[test]
    fn values() {
        for (value, json) in [
            (0.0, "\"0\""),
            (-0.0, "\"-0\""),
            (-12.0, "\"-12\""),
            (1.25, "\"1.25\""),
            (9_007_199_254_740_993.0, "\"9007199254740992\""),
            (1e21, "\"1e+21\""),
            (f64::NAN, "\"NaN\""),
            (f64::INFINITY, "\"+Inf\""),
        ] {
            assert_eq!(written(|out| push_value(out, value)), json);
        }
    }

    #[test]
    fn times() {
        for (millis, json) in [
            (1_795_144_602_000, "1795144602"),
            (1_795_144_602_500, "1795144602.500"),
            (7, "0.007"),
            (-1_001, "-1.001"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(written(|out| push_time(out, millis)), json);
        }
    }
}
