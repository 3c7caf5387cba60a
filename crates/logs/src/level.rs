//! Finding out the level of a line.
//!
//! In this order: a label or metadata entry that names a level, a field of a JSON or logfmt line,
//! a word in the line that stands alone. Source: Loki's distributor, `discover_log_levels`.

use headwater_model::Labels;

/// The metadata label that keeps what was found.
pub const DETECTED_LEVEL: &str = "detected_level";

/// The level that a word stands for.
pub fn level_of_word(word: &[u8]) -> Option<&'static str> {
    const WORDS: [(&str, &str); 18] = [
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
        ("crit", "critical"),
        ("fatal", "fatal"),
        ("emerg", "fatal"),
        ("panic", "fatal"),
    ];
    WORDS
        .iter()
        .find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(word))
        .map(|(_, level)| *level)
}

/// The level of an entry; `unknown` if nothing tells. `fields` are names that hold a level, the best first.
pub fn detect(line: &[u8], stream: &Labels, metadata: &Labels, fields: &[String]) -> String {
    for labels in [metadata, stream] {
        if let Some(value) = fields.iter().find_map(|field| labels.get(field)) {
            return level_of_word(value.as_bytes())
                .map_or_else(|| value.to_lowercase(), str::to_owned);
        }
    }
    if let Some(number) = metadata
        .get("severity_number")
        .and_then(|text| text.parse().ok())
    {
        return level_of_number(number).to_owned();
    }
    of_line(line, fields).unwrap_or("unknown").to_owned()
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

fn of_line(line: &[u8], fields: &[String]) -> Option<&'static str> {
    let structured = line.iter().find(|byte| !byte.is_ascii_whitespace());
    let found = match structured {
        Some(b'{') => fields.iter().find_map(|field| json_value(line, field)),
        _ => fields.iter().find_map(|field| logfmt_value(line, field)),
    };
    match found {
        Some(value) => level_of_word(value)
            .or(Some("unknown"))
            .filter(|level| *level != "unknown")
            .or_else(|| of_words(line)),
        None => of_words(line),
    }
}

/// The text of `"field":"…"`, wherever it stands in the object.
fn json_value<'a>(line: &'a [u8], field: &str) -> Option<&'a [u8]> {
    let quoted = format!("\"{field}\"");
    let at = memchr::memmem::find(line, quoted.as_bytes())?;
    let rest = line[at + quoted.len()..]
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    rest.iter()
        .position(|byte| *byte == b'"')
        .map(|end| &rest[..end])
}

/// The value of `field=…` at the start of a word.
fn logfmt_value<'a>(line: &'a [u8], field: &str) -> Option<&'a [u8]> {
    let key = format!("{field}=");
    let starts = memchr::memmem::find_iter(line, key.as_bytes())
        .find(|at| *at == 0 || line[at - 1].is_ascii_whitespace())?;
    let rest = &line[starts + key.len()..];
    let (rest, end): (&[u8], fn(&u8) -> bool) = match rest.strip_prefix(b"\"") {
        Some(quoted) => (quoted, |byte| *byte == b'"'),
        None => (rest, u8::is_ascii_whitespace),
    };
    Some(&rest[..rest.iter().position(end).unwrap_or(rest.len())])
}

/// Words that name a level in a field, but mean something else in a sentence: an infinite number, a
/// stack trace of Go.
const NOT_IN_SENTENCES: [&str; 3] = ["inf", "panic", "emerg"];

/// The first word of the line that names a level. Underlines belong to words: `trace_id` names none.
fn of_words(line: &[u8]) -> Option<&'static str> {
    let mut words = line
        .split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .filter(|word| (3..=13).contains(&word.len()));
    words.find_map(|word| {
        let known = |other: &&str| other.as_bytes().eq_ignore_ascii_case(word);
        match NOT_IN_SENTENCES.iter().any(known) {
            true => None,
            false => level_of_word(word),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn level(line: &str) -> String {
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
