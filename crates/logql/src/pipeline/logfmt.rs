//! `| logfmt`: `key=value` pairs, with the rules and error texts of go-logfmt.

use std::borrow::Cow;

use super::hints::Wanted;
use super::parser::{Look, Sink, clean, sanitize};
use super::record::{Category, EXTRACTED, LineError, Record};
use crate::ast::Extraction;

/// Reads the pairs of a line one after the other.
struct Pairs<'t> {
    line: &'t [u8],
    at: usize,
}

type Pair<'t> = (&'t [u8], Cow<'t, [u8]>);

impl<'t> Pairs<'t> {
    fn error<T>(&self, what: &str) -> Result<T, String> {
        Err(format!(
            "logfmt syntax error at pos {} : {what}",
            self.at + 1
        ))
    }

    fn unexpected<T>(&mut self) -> Result<T, String> {
        let byte = char::from(self.line[self.at]);
        let error = self.error(&format!("unexpected '{byte}'"));
        self.skip_word();
        error
    }

    /// Leaves what belongs to a malformed pair.
    fn skip_word(&mut self) {
        while self.line.get(self.at).is_some_and(|b| *b > b' ') {
            self.at += 1;
        }
    }

    /// The next pair; `None` at the end of the line.
    fn next(&mut self) -> Option<Result<Pair<'t>, String>> {
        while *self.line.get(self.at)? <= b' ' {
            self.at += 1;
        }
        Some(self.pair())
    }

    fn pair(&mut self) -> Result<Pair<'t>, String> {
        let start = self.at;
        let ends = |b: &u8| matches!(b, b'=' | b'"') || *b <= b' ';
        let length = self.line[start..].iter().position(ends);
        self.at = length.map_or(self.line.len(), |length| start + length);
        let key = &self.line[start..self.at];
        match self.line.get(self.at) {
            Some(b'"') => self.unexpected(),
            Some(b'=') if key.is_empty() => self.unexpected(),
            Some(b'=') if std::str::from_utf8(key).is_err() => {
                let error = self.error("invalid key");
                self.skip_word();
                error
            }
            Some(b'=') => {
                self.at += 1;
                Ok((key, self.value()?))
            }
            _ => Ok((key, Cow::Borrowed(b""))),
        }
    }

    fn value(&mut self) -> Result<Cow<'t, [u8]>, String> {
        if self.line.get(self.at) == Some(&b'"') {
            return self.quoted();
        }
        let start = self.at;
        let ends = |b: &u8| matches!(b, b'=' | b'"') || *b <= b' ';
        let length = self.line[start..].iter().position(ends);
        self.at = length.map_or(self.line.len(), |length| start + length);
        match self.line.get(self.at) {
            Some(b'=' | b'"') => self.unexpected(),
            _ => Ok(Cow::Borrowed(&self.line[start..self.at])),
        }
    }

    fn quoted(&mut self) -> Result<Cow<'t, [u8]>, String> {
        let start = self.at + 1;
        let (mut escapes, mut from) = (false, start);
        loop {
            let found = self
                .line
                .get(from..)
                .and_then(|rest| memchr::memchr2(b'"', b'\\', rest));
            let Some(found) = found else {
                self.at = self.line.len();
                return self.error("unterminated quoted value");
            };
            if self.line[from + found] == b'"' {
                self.at = from + found + 1;
                break;
            }
            escapes = true;
            from += found + 2;
        }
        let inner = &self.line[start..self.at - 1];
        if !escapes {
            return Ok(Cow::Borrowed(inner));
        }
        match unquote(inner) {
            Some(text) => Ok(Cow::Owned(text)),
            None => self.error("invalid quoted value"),
        }
    }
}

/// The text of a quoted value without its quotes: the escapes of JSON.
fn unquote(inner: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        if byte < b' ' {
            return None;
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next()?.1 {
            b @ (b'"' | b'\\' | b'/' | b'\'') => out.push(b),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let digits = std::str::from_utf8(inner.get(at + 2..at + 6)?).ok()?;
                let code = u32::from_str_radix(digits, 16).ok()?;
                let c = char::from_u32(code).unwrap_or('\u{fffd}');
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                let _ = bytes.nth(3);
            }
            _ => return None,
        }
    }
    Some(out)
}

/// How a line is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mode {
    pub(crate) strict: bool,
    pub(crate) keep_empty: bool,
}

/// `| logfmt`: every pair.
pub(crate) fn all_pairs(line: &[u8], record: &mut Record, wanted: &Wanted, mode: Mode) {
    if *wanted == Wanted::Nothing {
        return;
    }
    let mut pairs = Pairs { line, at: 0 };
    let mut name = String::new();
    let mut sink = Sink::new(record, wanted);
    while let Some(pair) = pairs.next() {
        let (key, value) = match pair {
            Ok(pair) => pair,
            Err(text) if mode.strict => {
                record.fail(LineError::Logfmt, Some(text));
                return;
            }
            Err(_) => continue,
        };
        if value.is_empty() && !mode.keep_empty {
            continue;
        }
        name.clear();
        sanitize(&String::from_utf8_lossy(key), true, &mut name);
        if sink.wants(&name) && sink.put(&clean(&value)) == Look::Enough {
            return;
        }
    }
}

/// `| logfmt a="key"`: the named pairs; one that is missing gives a label
/// without a value.
pub(crate) fn named_pairs(
    line: &[u8],
    record: &mut Record,
    wanted: &Wanted,
    mode: Mode,
    fields: &[Extraction],
) {
    if *wanted == Wanted::Nothing {
        return;
    }
    for field in fields.iter().filter(|f| wanted.has(&f.label)) {
        if !record.is_taken(&field.label) {
            record.set(Category::Parsed, &field.label, "");
        }
    }
    let mut pairs = Pairs { line, at: 0 };
    while let Some(pair) = pairs.next() {
        let (key, value) = match pair {
            Ok(pair) => pair,
            Err(text) if mode.strict => {
                record.fail(LineError::Logfmt, Some(text));
                return;
            }
            Err(_) => continue,
        };
        if value.is_empty() && !mode.keep_empty {
            continue;
        }
        for field in fields.iter().filter(|f| f.source.as_bytes() == key) {
            let value = clean(&value);
            match record.is_taken(&field.label) {
                true => {
                    let name = format!("{}{EXTRACTED}", field.label);
                    record.set(Category::Parsed, &name, &value);
                }
                false => record.set(Category::Parsed, &field.label, &value),
            }
        }
    }
}

/// Checks a key of `| logfmt a="key"`.
pub(crate) fn check_key(text: &str) -> Result<(), String> {
    let fail = |what: &str| {
        Err(format!(
            "cannot parse expression [{text}]: syntax error: {what}"
        ))
    };
    match text.split_whitespace().count() {
        0 => fail("unexpected $end, expecting STRING or KEY"),
        1 => Ok(()),
        _ => fail("unexpected KEY"),
    }
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;

    use super::*;

    fn run(line: &str, strict: bool, keep_empty: bool) -> String {
        let mut record = Record::default();
        record.start_stream(&Labels::empty());
        record.start_line(0, &Labels::empty());
        let mode = Mode { strict, keep_empty };
        all_pairs(line.as_bytes(), &mut record, &Wanted::All, mode);
        let parts: Vec<String> = record
            .sorted()
            .iter()
            .map(|(n, v, _)| format!("{n}={v}"))
            .collect();
        parts.join(" ")
    }

    #[test]
    fn lenient() {
        for (line, want) in [
            ("a=1 b=\"x y\" c", "a=1 b=x y"),
            ("a=1 a=2", "a=1"),
            ("a==b c=d", "c=d"),
            ("a=\"unterminated b=2", ""),
            ("a=\"bad \\q escape\" b=2", "b=2"),
            ("a=\"x\" \"b\"=\"y\"", "a=x"),
            ("\"quoted key\"=v x=1", "x=1"),
            ("a=\"esc \\n \\\" \\u00e9\"", "a=esc \n \" é"),
            ("9x=1 a-b=2 =z", "_9x=1 a_b=2"),
        ] {
            assert_eq!(run(line, false, false), want, "{line}");
        }
        assert_eq!(run("a=\"b\"c d=1 e=", false, true), "a=b c= d=1 e=");
    }

    #[test]
    fn strict() {
        for (line, want) in [
            ("=novalue", "logfmt syntax error at pos 1 : unexpected '='"),
            ("a==b", "logfmt syntax error at pos 3 : unexpected '='"),
            ("a=b\"c", "logfmt syntax error at pos 4 : unexpected '\"'"),
            (
                "a=\"bad \\q escape\" b=2",
                "logfmt syntax error at pos 18 : invalid quoted value",
            ),
            (
                "a=\"unterminated b=2",
                "logfmt syntax error at pos 20 : unterminated quoted value",
            ),
        ] {
            let want = format!("__error__=LogfmtParserErr __error_details__={want}");
            assert_eq!(run(line, true, false), want, "{line}");
        }
    }
}
