//! Queries with something wrong in them, of the syntax that both versions have.

use serde_json::Value;

use super::data::Numbers;
use super::queries;

/// What may be put in anywhere. Left out is what means something else or is worded otherwise by now:
/// anything within brackets but a duration, durations as numbers, quoted names, underscores in
/// numbers, and words that have become keywords or functions.
const WORDS: [&str; 43] = [
    "sum",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "bool",
    "(",
    ")",
    "{",
    "}",
    ",",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "==",
    "!=",
    "<",
    ">=",
    "=",
    "=~",
    "!~",
    "and",
    "or",
    "unless",
    "foo",
    "\"text\"",
    "1",
    "0x1f",
    "NaN",
    "rate",
    "topk",
    "count_values",
    "a:b",
    ":c",
    "!",
    "$",
    ";",
    "é",
];

/// Whether the old version stumbles where the new one goes on: over texts as names, labels with
/// colons, durations as numbers; names a token by its number; or prints no group after `ignoring ()`.
pub(super) fn outdated(ours: &Value, theirs: &Value) -> bool {
    let text = |body: &Value, part: &str| body[part].as_str().unwrap_or_default().to_owned();
    let error = text(theirs, "error");
    let name =
        error.contains("unexpected string") || error.contains("unexpected metric identifier");
    error.contains("<Item ")
        || error.contains("unexpected duration")
        || (name && error.contains("expected identifier or \"}\""))
        || (name && error.ends_with("in grouping opts, expected label"))
        || text(ours, "data").contains("ignoring () group_")
}

/// A query with one to three faults.
pub(super) fn damaged(numbers: &mut Numbers) -> String {
    let depth = numbers.below(3) as u32;
    let query = queries::expression(numbers, depth);
    let mut words = split(&query);
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(words.len() as u64 + 1) as usize;
        damage(numbers, &mut words, at);
    }
    match words.as_slice() {
        [] => "1".to_owned(),
        words => words.join(" "),
    }
}

fn damage(numbers: &mut Numbers, words: &mut Vec<&str>, at: usize) {
    let word = numbers.pick(&WORDS);
    match numbers.below(6) {
        _ if at == words.len() => words.push(word),
        0 => drop(words.remove(at)),
        1 | 2 => words.insert(at, word),
        3 => words[at] = word,
        4 => words.insert(at, words[at]),
        _ => words.truncate(at.max(1)),
    }
}

/// Words, numbers, texts and signs; brackets with all that is in them and modifiers with what belongs
/// to them are one piece.
fn split(query: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '[' => rest.find(']').map_or(rest.len(), |end| end + 1),
            '"' => text_len(rest),
            '@' => modifier_len(rest),
            _ if rest.starts_with("offset ") => modifier_len(rest),
            c if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            '=' | '!' | '<' | '>' if rest[1..].starts_with(['=', '~']) => 2,
            c => c.len_utf8(),
        };
        pieces.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    pieces
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

/// The length of `offset -5m`, `@ 12.5` or `@ end()`.
fn modifier_len(text: &str) -> usize {
    let argument = text.find(' ').map_or(text.len(), |blank| blank + 1);
    let is_part = |c: char| is_word(c) || c == '-';
    let end = text[argument..].find(|c| !is_part(c));
    let end = end.map_or(text.len(), |end| argument + end);
    end + if text[end..].starts_with("()") { 2 } else { 0 }
}

/// The length of a text with its quotes; escaped quotes do not end it.
fn text_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}
