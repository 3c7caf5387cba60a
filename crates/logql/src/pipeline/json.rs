//! `| json`, `| json a="path"` and `| unpack`: a scanner that is as lenient as
//! the one Loki uses, with its error texts, and copies nothing it need not.

use std::borrow::Cow;

use super::hints::Wanted;
use super::json_path::{Path, Step};
use super::parser::{Look, Sink, clean, sanitize};
use super::record::{Category, EXTRACTED, LineError, Record};

const OBJECT: &str = "Value looks like object, but can't find closing '}' symbol";
const ARRAY: &str = "Value looks like array, but can't find closing ']' symbol";
const STRING: &str = "Value is string, but can't find closing '\"' symbol";
const VALUE: &str =
    "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol";
const UNKNOWN: &str = "Unknown value type";
const MALFORMED: &str = "Malformed JSON error";

/// Objects within objects that are followed; deeper ones are an error.
const MAX_DEPTH: usize = 100;

/// Why a scan stopped.
enum Stop {
    Broken(&'static str),
    /// Everything that is wanted has been found.
    Enough,
}

impl From<&'static str> for Stop {
    fn from(text: &'static str) -> Self {
        Self::Broken(text)
    }
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    String,
    Number,
    Bool,
    Null,
    Object,
    Array,
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// The position of the next byte that is not blank.
fn next(text: &[u8], at: usize) -> Option<usize> {
    let blanks = text.get(at..)?.iter().position(|b| !is_blank(*b))?;
    Some(at + blanks)
}

/// The position behind the string whose first byte is at `at`, and whether it
/// holds escapes.
fn string_end(text: &[u8], at: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    let mut from = at;
    loop {
        let found = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[found] == b'"' {
            return Some((found + 1, escaped));
        }
        escaped = true;
        from = found + 2;
    }
}

/// The position behind the block that opens at `at`.
fn block_end(text: &[u8], at: usize, open: u8, close: u8) -> Option<usize> {
    let mut level = 0usize;
    let mut from = at;
    while let Some(&byte) = text.get(from) {
        match byte {
            b'"' => from = string_end(text, from + 1)?.0 - 1,
            b if b == open => level += 1,
            b if b == close => {
                level -= 1;
                if level == 0 {
                    return Some(from + 1);
                }
            }
            _ => {}
        }
        from += 1;
    }
    None
}

/// A value, without the quotes of a string, and the position behind it.
fn value(text: &[u8], at: usize) -> Result<(&[u8], Type, usize), &'static str> {
    let start = next(text, at).ok_or(MALFORMED)?;
    let (end, ty) = match text[start] {
        b'"' => {
            let (end, _) = string_end(text, start + 1).ok_or(STRING)?;
            return Ok((&text[start + 1..end - 1], Type::String, end));
        }
        b'{' => (
            block_end(text, start, b'{', b'}').ok_or(OBJECT)?,
            Type::Object,
        ),
        b'[' => (
            block_end(text, start, b'[', b']').ok_or(ARRAY)?,
            Type::Array,
        ),
        first => {
            let ends = |b: &u8| is_blank(*b) || matches!(b, b',' | b'}' | b']');
            let length = text[start..].iter().position(ends).ok_or(VALUE)?;
            let word = &text[start..start + length];
            let ty = match first {
                b't' | b'f' if word == b"true" || word == b"false" => Type::Bool,
                b'n' | b'u' if word == b"null" => Type::Null,
                b'0'..=b'9' | b'-' => Type::Number,
                _ => return Err(UNKNOWN),
            };
            (start + length, ty)
        }
    };
    Ok((&text[start..end], ty, end))
}

/// Calls `field` with every key (unescaped), value and type of an object.
fn each_field<'t, E: From<&'static str>>(
    text: &'t [u8],
    mut field: impl FnMut(&str, &'t [u8], Type) -> Result<(), E>,
) -> Result<(), E> {
    let start = next(text, 0).filter(|at| text[*at] == b'{').ok_or(OBJECT)?;
    let mut at = next(text, start + 1).ok_or(MALFORMED)?;
    if text[at] == b'}' {
        return Ok(());
    }
    loop {
        match text[at] {
            b'"' => {}
            b'}' => return Ok(()),
            _ => return Err(OBJECT.into()),
        }
        let (key_end, escaped) = string_end(text, at + 1).ok_or(MALFORMED)?;
        let key = &text[at + 1..key_end - 1];
        let key = if escaped {
            Cow::Owned(unescape(key))
        } else {
            clean(key)
        };
        let colon = next(text, key_end)
            .filter(|at| text[*at] == b':')
            .ok_or(MALFORMED)?;
        let (bytes, ty, end) = value(text, colon + 1)?;
        field(&key, bytes, ty)?;
        at = next(text, end).ok_or(ARRAY)?;
        match text[at] {
            b'}' => return Ok(()),
            b',' => at = next(text, at + 1).ok_or(ARRAY)?,
            _ => return Err(OBJECT.into()),
        }
    }
}

/// The text of a string of JSON. What is not valid comes out empty, as in Loki.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match memchr::memchr(b'\\', bytes) {
        None => clean(bytes),
        Some(_) => Cow::Owned(unescape(bytes)),
    }
}

fn unescape(bytes: &[u8]) -> String {
    unescaped(bytes)
        .unwrap_or_default()
        .replace('\u{fffd}', " ")
}

fn unescaped(bytes: &[u8]) -> Option<String> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (byte, length) = match rest.get(at + 1)? {
            b @ (b'"' | b'\\' | b'/') => (*b, 2),
            b'b' => (8, 2),
            b'f' => (12, 2),
            b'n' => (b'\n', 2),
            b'r' => (b'\r', 2),
            b't' => (b'\t', 2),
            b'u' => {
                let (c, length) = unicode(&rest[at..])?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + length..];
                continue;
            }
            _ => return None,
        };
        out.push(byte);
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
    Some(String::from_utf8_lossy(&out).into_owned())
}

/// The character of `\u1234` or of a pair of them, and its length.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(text.get(at + 2..at + 6)?).ok()?;
        (text.get(at..at + 2)? == b"\\u").then(|| u32::from_str_radix(digits, 16).ok())?
    };
    let first = unit(0)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(6)?;
    if !(0xdc00..0xe000).contains(&second) || first >= 0xdc00 {
        return None;
    }
    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(code)?, 12))
}

/// `| json`: every field; objects within objects are joined by `_`, arrays
/// and nulls are left out.
pub(crate) fn all_fields(line: &[u8], record: &mut Record, wanted: &Wanted) {
    if *wanted == Wanted::Nothing {
        return;
    }
    let mut sink = Sink::new(record, wanted);
    let mut prefix = String::new();
    if let Err(Stop::Broken(text)) = object(line, &mut prefix, &mut sink, 0) {
        record.fail(LineError::Json, Some(text.to_owned()));
    }
}

fn object(line: &[u8], prefix: &mut String, sink: &mut Sink<'_>, depth: usize) -> Result<(), Stop> {
    if depth > MAX_DEPTH {
        return Err(Stop::Broken("JSON is nested too deeply"));
    }
    each_field(line, |key, bytes, ty| {
        if matches!(ty, Type::Array | Type::Null) {
            return Ok(());
        }
        let length = prefix.len();
        if length == 0 {
            sanitize(key, true, prefix);
        } else if !key.trim().is_empty() {
            prefix.push('_');
            sanitize(key, false, prefix);
        }
        let followed = match ty {
            Type::Object if prefix.is_empty() || sink.wanted.has_below(prefix) => {
                object(bytes, prefix, sink, depth + 1)
            }
            Type::Object => Ok(()),
            _ if sink.wants(prefix) => {
                let text = if ty == Type::String {
                    text_of(bytes)
                } else {
                    clean(bytes)
                };
                match sink.put(&text) {
                    Look::On => Ok(()),
                    Look::Enough => Err(Stop::Enough),
                }
            }
            _ => Ok(()),
        };
        prefix.truncate(length);
        followed
    })
}

/// `| json a="path"`: the named paths; one that leads nowhere gives a label
/// without a value.
pub(crate) fn paths(line: &[u8], record: &mut Record, wanted: &Wanted, paths: &[(String, Path)]) {
    if line.is_empty() || *wanted == Wanted::Nothing {
        return;
    }
    let first = next(line, 0).map(|at| line[at]);
    if !matches!(first, Some(b'{' | b'[')) {
        record.fail(LineError::Json, None);
        return;
    }
    for (label, path) in paths {
        // What is broken beside the path does not matter.
        let found = walk(line, path).unwrap_or(None);
        let text = match found {
            Some((bytes, Type::String)) => text_of(bytes),
            Some((_, Type::Null)) | None => Cow::Borrowed(""),
            Some((bytes, _)) => clean(bytes),
        };
        match record.is_taken(label) {
            // A path that leads nowhere leaves the stream's label in peace.
            true if found.is_none() => {}
            true => record.set(Category::Parsed, &format!("{label}{EXTRACTED}"), &text),
            false => record.set(Category::Parsed, label, &text),
        }
    }
}

fn walk<'t>(line: &'t [u8], path: &Path) -> Result<Option<(&'t [u8], Type)>, &'static str> {
    let mut current = match next(line, 0).map(|at| line[at]) {
        Some(b'{') => (line, Type::Object),
        _ => (line, Type::Array),
    };
    for step in path {
        let found = match (step, current.1) {
            (Step::Field(name), Type::Object) => field(current.0, name)?,
            (Step::Index(index), Type::Array) => element(current.0, *index)?,
            _ => None,
        };
        match found {
            Some(found) => current = found,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// A field that was found, or the end of the search for it.
enum Found<'t> {
    Value(&'t [u8], Type),
    Broken(&'static str),
}

impl From<&'static str> for Found<'_> {
    fn from(text: &'static str) -> Self {
        Self::Broken(text)
    }
}

fn field<'t>(text: &'t [u8], name: &str) -> Result<Option<(&'t [u8], Type)>, &'static str> {
    let found = each_field(text, |key, bytes, ty| match key == name {
        true => Err(Found::Value(bytes, ty)),
        false => Ok(()),
    });
    match found {
        Err(Found::Value(bytes, ty)) => Ok(Some((bytes, ty))),
        Err(Found::Broken(text)) => Err(text),
        Ok(()) => Ok(None),
    }
}

fn element(text: &[u8], index: usize) -> Result<Option<(&[u8], Type)>, &'static str> {
    let start = next(text, 0).ok_or(MALFORMED)?;
    let mut at = next(text, start + 1).ok_or(ARRAY)?;
    let mut seen = 0;
    while text[at] != b']' {
        let (bytes, ty, end) = value(text, at)?;
        if seen == index {
            return Ok(Some((bytes, ty)));
        }
        seen += 1;
        at = next(text, end).ok_or(ARRAY)?;
        if text[at] == b',' {
            at = next(text, at + 1).ok_or(ARRAY)?;
        }
    }
    Ok(None)
}

/// `| unpack`: labels that were packed into an object beside the line, which
/// takes the object's place.
pub(crate) fn unpack(line: &[u8], record: &mut Record, wanted: &Wanted) -> Option<Vec<u8>> {
    if line.is_empty() || *wanted == Wanted::Nothing {
        return None;
    }
    if line[0] != b'{' {
        let text = "expecting json object(6), but it is not".to_owned();
        record.fail(LineError::Json, Some(text));
        return None;
    }
    let mut entry = None;
    let mut labels: Vec<(String, String)> = Vec::new();
    let scanned = each_field(line, |key, bytes, ty| -> Result<(), &'static str> {
        match (key, ty) {
            ("_entry", Type::String) => entry = Some(text_of(bytes).into_owned().into_bytes()),
            (_, Type::String) => {
                let mut name = String::new();
                sanitize(key, true, &mut name);
                labels.push((name, text_of(bytes).into_owned()));
            }
            _ => {}
        }
        Ok(())
    });
    if let Err(text) = scanned {
        record.fail(LineError::Json, Some(text.to_owned()));
        return None;
    }
    let entry = entry?;
    let mut sink = Sink::new(record, wanted);
    for (name, value) in labels {
        if sink.wants(&name) {
            sink.put(&value);
        }
    }
    Some(entry)
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;

    use super::*;

    fn shown(record: &Record) -> String {
        let parts: Vec<String> = record
            .sorted()
            .iter()
            .map(|(n, v, _)| format!("{n}={v}"))
            .collect();
        parts.join(" ")
    }

    fn run(line: &str, wanted: &Wanted) -> String {
        let mut record = Record::default();
        record.start_stream(&Labels::from_pairs([("app", "s")]));
        record.start_line(0, &Labels::empty());
        all_fields(line.as_bytes(), &mut record, wanted);
        shown(&record)
    }

    #[test]
    fn fields() {
        for (line, want) in [
            (
                r#"{"a":1,"b":{"c":"d","e":{"f":true}}}"#,
                "a=1 app=s b_c=d b_e_f=true",
            ),
            (r#"{"app":"x","a":[1,2],"n":null}"#, "app=s app_extracted=x"),
            (r#"{"a":"x","a":"y"}"#, "a=x app=s"),
            (r#"{"a":"\u00e9\n\"\ud83d\ude00"}"#, "a=é\n\"😀 app=s"),
            (r#"{"a":"\ud800"}"#, "a= app=s"),
            (r#"{"1a":1,"b-c":2,"":3}"#, "_1a=1 app=s b_c=2"),
            (r#"{"x":{"":"y"}}"#, "app=s x=y"),
            (r#"{"a":1,}"#, "a=1 app=s"),
            (r#"{}"#, "app=s"),
        ] {
            assert_eq!(run(line, &Wanted::All), want, "{line}");
        }
    }

    #[test]
    fn broken_lines_tell_what_is_wrong() {
        for (line, want) in [
            ("broken", OBJECT),
            (r#"{"a":NaN}"#, UNKNOWN),
            (r#"{"a":1"#, VALUE),
            (r#"{"a":"x"#, STRING),
            (r#"{"a" 1}"#, MALFORMED),
        ] {
            let shown = run(line, &Wanted::All);
            assert!(
                shown.contains(&format!("__error_details__={want}")),
                "{line}: {shown}"
            );
        }
        let deep = "{\"a\":".repeat(5000) + "1" + &"}".repeat(5000);
        assert!(run(&deep, &Wanted::All).contains("nested too deeply"));
    }

    #[test]
    fn reads_no_more_than_wanted() {
        let wanted = Wanted::Labels(vec!["a".to_owned(), "b_c".to_owned()]);
        assert_eq!(
            run(r#"{"x":1,"a":2,"b":{"d":3,"c":4}} trailing"#, &wanted),
            "a=2 app=s b_c=4"
        );
        assert_eq!(
            run(r#"{"a":2,"b":{"c":4},broken"#, &wanted),
            "a=2 app=s b_c=4"
        );
        assert_eq!(run("broken", &Wanted::Nothing), "app=s");
    }
}
