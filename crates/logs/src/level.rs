//! Finding out the level of a line.
//!
//! In this order: a label or metadata entry that names a level, a field of a JSON or logfmt line,
//! a word in the line that stands alone. Source: Loki's distributor, `discover_log_levels`.

use std::borrow::Cow;

use headwater_model::Labels;

/// The metadata label that keeps what was found.
pub const DETECTED_LEVEL: &str = "detected_level";

/// Words that name a level.
const WORDS: [(&str, &str); 16] = [
    ("trace", "trace"),
    ("trc", "trace"),
    ("debug", "debug"),
    ("dbg", "debug"),
    ("info", "info"),
    ("inf", "info"),
    ("information", "info"),
    ("informational", "info"),
    ("warn", "warn"),
    ("wrn", "warn"),
    ("warning", "warn"),
    ("error", "error"),
    ("err", "error"),
    ("critical", "critical"),
    ("fatal", "fatal"),
    ("panic", "fatal"),
];

/// The level that a word stands for.
pub fn level_of_word(word: &[u8]) -> Option<&'static str> {
    if !(3..=13).contains(&word.len()) {
        return None;
    }
    let first = word[0] | 0x20;
    let mut words = WORDS.iter();
    let same = |(name, _): &&(&str, &str)| {
        name.as_bytes()[0] == first && name.as_bytes().eq_ignore_ascii_case(word)
    };
    words.find(same).map(|(_, level)| *level)
}

/// The level of an entry; `unknown` if nothing tells. `fields` are names that hold a level, the best first.
pub fn detect(
    line: &[u8],
    stream: &Labels,
    metadata: &Labels,
    fields: &[String],
) -> Cow<'static, str> {
    of_labels(stream, metadata, fields)
        .unwrap_or_else(|| Cow::Borrowed(of_line(line, fields).unwrap_or("unknown")))
}

/// The level that labels or metadata tell.
pub(crate) fn of_labels(
    stream: &Labels,
    metadata: &Labels,
    fields: &[String],
) -> Option<Cow<'static, str>> {
    for labels in [metadata, stream]
        .into_iter()
        .filter(|labels| !labels.is_empty())
    {
        if let Some(value) = fields.iter().find_map(|field| labels.get(field)) {
            let level = level_of_word(value.as_bytes()).map(Cow::Borrowed);
            return level.or_else(|| Some(Cow::Owned(value.to_owned())));
        }
    }
    let number = metadata.get("severity_number")?.parse().ok()?;
    Some(Cow::Borrowed(level_of_number(number)))
}

/// OTLP's severity numbers.
const fn level_of_number(number: i64) -> &'static str {
    match number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => "unknown",
    }
}

/// The level that a line tells.
pub(crate) fn of_line(line: &[u8], fields: &[String]) -> Option<&'static str> {
    let structured = line.iter().find(|byte| !byte.is_ascii_whitespace());
    let found = match structured {
        Some(b'{') => first(fields, json_names(line), json_text),
        _ => first(fields, logfmt_names(line), logfmt_value),
    };
    found.and_then(level_of_word).or_else(|| of_words(line))
}

/// The value of the first field that holds a level. `names` come with what follows them, in which
/// `value` is looked for only if the name is right: long lines of nothing but separators must not cost
/// the square of their length.
fn first<'a>(
    fields: &[String],
    mut names: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    value: fn(&'a [u8]) -> Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    names.find_map(|(name, rest)| {
        let known = fields.iter().any(|field| field.as_bytes() == name);
        known.then(|| value(rest)).flatten()
    })
}

/// Names longer than this name no level.
const LONGEST_NAME: usize = 64;

/// Names in `"name":…`, wherever they stand in the object, and what follows the colon.
fn json_names(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    memchr::memchr_iter(b':', line).filter_map(|colon| {
        let near = &line[colon.saturating_sub(LONGEST_NAME)..colon];
        let before = near.trim_ascii_end().strip_suffix(b"\"")?;
        Some((
            &before[memchr::memrchr(b'"', before)? + 1..],
            &line[colon + 1..],
        ))
    })
}

/// The text that a value is, if it is one.
fn json_text(rest: &[u8]) -> Option<&[u8]> {
    let text = rest.trim_ascii_start().strip_prefix(b"\"")?;
    Some(&text[..memchr::memchr(b'"', text)?])
}

/// Names in `name=…` that begin a word, and what follows the sign.
fn logfmt_names(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    memchr::memchr_iter(b'=', line).filter_map(|equals| {
        let from = equals.saturating_sub(LONGEST_NAME);
        let start = line[from..equals].iter().rposition(u8::is_ascii_whitespace);
        let start = start.map(|at| from + at + 1).or((from == 0).then_some(0))?;
        Some((&line[start..equals], &line[equals + 1..]))
    })
}

/// A value: between quotes, or up to a blank.
fn logfmt_value(rest: &[u8]) -> Option<&[u8]> {
    let (rest, end): (&[u8], fn(&u8) -> bool) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (quoted, |byte| *byte == b'"'),
        None => (rest, u8::is_ascii_whitespace),
    };
    Some(&rest[..rest.iter().position(end).unwrap_or(rest.len())])
}

/// Words that name a level in a field, but mean something else in a sentence: an infinite number, a
/// stack trace of Go.
const NOT_IN_SENTENCES: [&str; 2] = ["inf", "panic"];

/// The first word of the line that names a level. Underlines belong to words: `trace_id` names none.
fn of_words(line: &[u8]) -> Option<&'static str> {
    let words = line.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
    // Most words fall at their first letter.
    let mut words = words.filter(|word| {
        word.first()
            .is_some_and(|first| b"tdiwecfp".contains(&(first | 0x20)))
    });
    words.find_map(|word| {
        let level = level_of_word(word)?;
        let known = |other: &&str| other.as_bytes().eq_ignore_ascii_case(word);
        (!NOT_IN_SENTENCES.iter().any(known)).then_some(level)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn level(line: &str) -> Cow<'static, str> {
        detect(
            line.as_bytes(),
            &Labels::empty(),
            &Labels::empty(),
            &Limits::default().log_level_fields,
        )
    }

    #[test]
    fn lines_of_every_kind() {
        for (line, wanted) in [
            ("ts=1 level=warn msg=error", "warn"),
            ("lvl=debug", "debug"),
            ("severity=info level=warn level=error", "info"),
            ("level= warn", "warn"),
            ("x={\"level\":1} level=fatal", "fatal"),
            (r#"{"severity":"info","x":{"level":"warn"}}"#, "info"),
            ("level=crit", "unknown"),
            (r#"{"level":5,"msg":"an error"}"#, "error"),
            (r#"{"level" : "debug"}"#, "debug"),
            (r#"{"level":"cut"#, "unknown"),
            ("level=\"info\" x", "info"),
            (r#"{"a":1,"level":"ERROR"}"#, "error"),
            (r#"{"msg":"x","severity": "critical"}"#, "critical"),
            ("2026 [WARN] disk", "warn"),
            ("nothing here", "unknown"),
            ("informed decisions", "unknown"),
            ("trace_id=5 __error__", "unknown"),
            ("temp=Inf", "unknown"),
            ("level=inf", "info"),
            ("Error: broken", "error"),
            ("", "unknown"),
        ] {
            assert_eq!(level(line), wanted, "{line}");
        }
    }

    #[test]
    fn labels_and_metadata_come_first() {
        let fields = Limits::default().log_level_fields;
        let of = |stream: &[(&str, &str)], metadata: &[(&str, &str)]| {
            detect(
                b"level=info",
                &Labels::from_pairs(stream.iter().copied()),
                &Labels::from_pairs(metadata.iter().copied()),
                &fields,
            )
        };
        assert_eq!(of(&[("level", "Warn")], &[]), "warn");
        assert_eq!(of(&[("level", "Warn")], &[("severity", "fatal")]), "fatal");
        assert_eq!(of(&[], &[("severity_number", "17")]), "error");
    }
}
