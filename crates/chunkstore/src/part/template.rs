//! Finding what repeats in lines: literals, and slots between them.
//!
//! A place varies if it is the value behind `"key":` or `key=`, or a token that holds a digit.
//! Everything else belongs to the template. Times as ISO 8601 writes them and addresses of four
//! numbers are taken apart further, because their pieces compress far better alone.
//!
//! The rules look at bytes only and are applied by the writer alone: a reader never needs to know
//! them. One thing must hold, because the filter is built from literals and slots: where a slot
//! begins or ends, no token of the filter goes on.

use memchr::{memchr, memchr2};

/// Longest line that is taken apart, in bytes; longer ones are kept whole.
const MAX_LINE: usize = 16 << 10;
/// Most slots of a template.
const MAX_SLOTS: usize = 128;

/// A byte of a token.
const TOKEN: u8 = 1;
const DIGIT: u8 = 2;
/// A byte that ends a value without quotes.
const STOP: u8 = 4;
/// A token's byte that separates the numbers of times and addresses.
const POINT: u8 = 8;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 {
            classes[at] |= TOKEN;
        }
        if byte.is_ascii_digit() {
            classes[at] |= DIGIT;
        }
        if matches!(byte, b'-' | b'.') {
            classes[at] |= TOKEN | POINT;
        }
        if matches!(byte, b' ' | b',' | b'}' | b']' | b'\t' | b'"' | b'&' | b';') {
            classes[at] |= STOP;
        }
        at += 1;
    }
    classes
};

fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// How the end of a slot is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Up to the closing quote.
    Quoted,
    /// Up to a byte that ends values.
    Bare,
    /// A token with a digit.
    Token,
    /// Letters and digits between the points of a time or an address.
    Piece,
    /// Several slots that touched: there is no simple rule.
    Joined,
}

/// A place that varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

/// Finds the places of `line` that vary, in order; they neither touch nor overlap. Answers false if
/// the line should be kept whole.
pub(super) fn find_slots(line: &[u8], slots: &mut Vec<Slot>) -> bool {
    slots.clear();
    if line.len() > MAX_LINE || memchr(b'\n', line).is_some() {
        return false;
    }
    let mut at = 0;
    while at < line.len() {
        at = match line[at] {
            b'=' => value_slot(line, at + 1, slots),
            b':' if at > 0 && line[at - 1] == b'"' => value_slot(line, at + 1, slots),
            byte if class(byte) & TOKEN != 0 => token_slot(line, at, slots),
            _ => at + 1,
        };
        if slots.len() > MAX_SLOTS {
            return false;
        }
    }
    true
}

/// Where the run of bytes of a class that begins at `at` ends.
fn run_end(line: &[u8], at: usize, wanted: u8) -> usize {
    let rest = &line[at..];
    let length = rest.iter().position(|byte| class(*byte) & wanted == 0);
    at + length.unwrap_or(rest.len())
}

/// A token is a slot if it holds a digit.
fn token_slot(line: &[u8], start: usize, slots: &mut Vec<Slot>) -> usize {
    let (mut end, mut seen) = (start, 0);
    while let Some(byte) = line.get(end)
        && class(*byte) & TOKEN != 0
    {
        seen |= class(*byte);
        end += 1;
    }
    if seen & DIGIT != 0 && !is_pieces(line, start, end, slots) {
        push(slots, start, end, Kind::Token);
    }
    end
}

/// The value at `start`: what is between quotes, or up to the next delimiter. Objects and arrays
/// are not values but hold some.
fn value_slot(line: &[u8], start: usize, slots: &mut Vec<Slot>) -> usize {
    match line.get(start) {
        Some(b' ')
            if line
                .get(start + 1)
                .is_some_and(|byte| !byte.is_ascii_whitespace()) =>
        {
            value_slot(line, start + 1, slots)
        }
        Some(b'"') => {
            let end = quoted_end(line, start + 1);
            if !is_pieces(line, start + 1, end, slots) {
                push(slots, start + 1, end, Kind::Quoted);
            }
            // The closing quote is no key's end: step over it.
            (end + 1).min(line.len())
        }
        Some(b'{' | b'[') | None => start,
        Some(_) => {
            let end = bare_end(line, start);
            if !is_pieces(line, start, end, slots) {
                push(slots, start, end, Kind::Bare);
            }
            end
        }
    }
}

fn bare_end(line: &[u8], start: usize) -> usize {
    let rest = &line[start..];
    let length = rest.iter().position(|byte| class(*byte) & STOP != 0);
    start + length.unwrap_or(rest.len())
}

/// Position of the quote that ends a text, backslashes respected.
fn quoted_end(line: &[u8], mut at: usize) -> usize {
    while let Some(found) = line.get(at..).and_then(|rest| memchr2(b'\\', b'"', rest)) {
        at += found;
        if line[at] == b'"' {
            return at;
        }
        at += 2;
    }
    line.len()
}

/// Takes a time or an address apart.
fn is_pieces(line: &[u8], start: usize, end: usize, slots: &mut Vec<Slot>) -> bool {
    let text = &line[start..end];
    let touches = slots.last().is_some_and(|last| last.end as usize == start);
    if touches || !(is_time(text) || is_address(text)) {
        return false;
    }
    let mut at = start;
    while at < end {
        let piece = run_end(&line[..end], at, TOKEN);
        let stop = at + piece_length(&line[at..piece]);
        if stop > at {
            push(slots, at, stop, Kind::Piece);
        }
        at = stop + 1;
    }
    true
}

/// Bytes up to the next point.
fn piece_length(token: &[u8]) -> usize {
    let point = token.iter().position(|byte| class(*byte) & POINT != 0);
    point.unwrap_or(token.len())
}

/// `2026-01-02T03:04:05` with whatever follows, as far as it has no blanks.
fn is_time(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    text.len() >= SHAPE.len()
        && text.iter().zip(SHAPE).all(|(byte, wanted)| match wanted {
            b'd' => byte.is_ascii_digit(),
            b'T' => *byte == b'T',
            wanted => byte == wanted,
        })
        && text[SHAPE.len()..]
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'+' | b'-'))
}

/// Four numbers with points between them.
fn is_address(text: &[u8]) -> bool {
    (7..=15).contains(&text.len())
        && text.iter().filter(|byte| **byte == b'.').count() == 3
        && text
            .split(|byte| *byte == b'.')
            .all(|part| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
}

/// Slots that would touch become one, so that literals between them are never empty.
fn push(slots: &mut Vec<Slot>, start: usize, end: usize, kind: Kind) {
    let (start, end) = (start as u32, end as u32);
    match slots.last_mut() {
        Some(last) if last.end == start => {
            last.end = end;
            last.kind = Kind::Joined;
        }
        _ => slots.push(Slot { start, end, kind }),
    }
}

/// A literal, with its first bytes as a number: most literals are so short that comparing numbers
/// is all there is to do.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) bytes: Box<[u8]>,
    head: u128,
    mask: u128,
}

/// Bytes of a literal that are compared at once.
const HEAD: usize = 16;

impl Literal {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let (mut head, mut mask) = ([0; HEAD], [0; HEAD]);
        let length = bytes.len().min(HEAD);
        head[..length].copy_from_slice(&bytes[..length]);
        mask[..length].fill(0xff);
        Self {
            bytes: bytes.into(),
            head: u128::from_le_bytes(head),
            mask: u128::from_le_bytes(mask),
        }
    }

    /// Whether the literal stands in `line` at `at`.
    fn stands_at(&self, line: &[u8], at: usize) -> bool {
        match line.get(at..).and_then(<[u8]>::first_chunk::<HEAD>) {
            Some(chunk) => {
                u128::from_le_bytes(*chunk) & self.mask == self.head
                    && (self.bytes.len() <= HEAD
                        || line[at + HEAD..].starts_with(&self.bytes[HEAD..]))
            }
            None => line[at..].starts_with(&self.bytes),
        }
    }
}

/// Finds the slots of a line as those of an earlier one with the given literals lay: much quicker
/// than looking for them anew. Answers false if the line does not follow the pattern.
pub(super) fn follow(
    literals: &[Literal],
    kinds: &[Kind],
    line: &[u8],
    slots: &mut Vec<Slot>,
) -> bool {
    slots.clear();
    let Some((last, literals)) = literals.split_last() else {
        return false;
    };
    let mut at = 0;
    for (literal, kind) in literals.iter().zip(kinds) {
        if !literal.stands_at(line, at) {
            return false;
        }
        let start = at + literal.bytes.len();
        at = match kind {
            Kind::Quoted => quoted_end(line, start),
            Kind::Bare => bare_end(line, start),
            Kind::Token => run_end(line, start, TOKEN),
            Kind::Piece => piece_end(line, start),
            Kind::Joined => return false,
        };
        slots.push(Slot {
            start: start as u32,
            end: at as u32,
            kind: *kind,
        });
    }
    line[at..] == *last.bytes
}

/// Where a piece of a time or an address ends: at a point or where its token does.
fn piece_end(line: &[u8], start: usize) -> usize {
    let rest = &line[start..];
    let length = rest
        .iter()
        .position(|byte| class(*byte) & (TOKEN | POINT) != TOKEN);
    start + length.unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let mut slots = Vec::new();
        if !find_slots(line.as_bytes(), &mut slots) {
            return "whole".into();
        }
        let mut out = line.to_owned();
        for slot in slots.iter().rev() {
            out.replace_range(slot.start as usize..slot.end as usize, "<>");
        }
        out
    }

    #[test]
    fn patterns_of_real_lines() {
        for (line, pattern) in [
            (
                r#"level=info msg="all is well" took=12ms n=3"#,
                r#"level=<> msg="<>" took=<> n=<>"#,
            ),
            (
                r#"{"a":"x\"y","b":12.5,"c":{"d":true}}"#,
                r#"{"a":"<>","b":<>,"c":{"d":<>}}"#,
            ),
            (
                r#"{"a": "x", "l": [1, 2]}"#,
                r#"{"a": "<>", "l": [<>, <>]}"#,
            ),
            (
                "10.0.0.1 - - GET /api/v1/x HTTP/1.1 200",
                "<>.<>.<>.<> - - GET /api/<>/x HTTP/<> <>",
            ),
            (
                r#"ts=2026-01-02T03:04:05.678Z t="2026-01-02T03:04:05+01:00""#,
                r#"ts=<>-<>-<>:<>:<>.<> t="<>-<>-<>:<>:<>+<>:<>""#,
            ),
            ("took 1.5s on 2026-01-02", "took <> on <>"),
            ("plain words only", "plain words only"),
            ("k=", "k="),
            ("k=v", "k=<>"),
            ("a=1=2", "a=<>"),
            ("a=10.0.0.1", "a=<>.<>.<>.<>"),
            ("two\nlines", "whole"),
            ("", ""),
        ] {
            assert_eq!(shown(line), pattern, "{line}");
        }
    }

    /// Where slots begin and end, no token of the filter goes on.
    #[test]
    fn tokens_are_never_cut() {
        let lines = [
            "ts=2026-01-02T03:04:05.678Z x=10.0.0.1abc y=1-2.3_4",
            r#"{"a":"b\"c","d":1.5e3,"e":"2026-01-02T03:04:05Z"}z9"#,
            "a=\"x\"y1 b=c\"d\"2 10.0.0.1 é1=ü2",
        ];
        let is_token = |byte: Option<&u8>| {
            byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80)
        };
        let mut slots = Vec::new();
        for line in lines.map(str::as_bytes) {
            assert!(find_slots(line, &mut slots));
            for slot in &slots {
                for edge in [slot.start as usize, slot.end as usize] {
                    let before = edge.checked_sub(1).and_then(|at| line.get(at));
                    assert!(
                        !(is_token(before) && is_token(line.get(edge))),
                        "{} at {edge}",
                        String::from_utf8_lossy(line)
                    );
                }
            }
        }
    }

    #[test]
    fn a_line_of_the_same_pattern_is_followed() {
        let (mut slots, mut again) = (Vec::new(), Vec::new());
        let first = br#"ts=2026-01-02T03:04:05.6Z level=info msg="a b" n=3 from 10.0.0.1"#;
        let other = br#"ts=2027-11-22T13:04:05.67Z level=warn msg="c \" d" n=345 from 10.20.0.1"#;
        assert!(find_slots(first, &mut slots));
        let mut from = 0;
        let mut literals: Vec<Literal> = Vec::new();
        for slot in &slots {
            literals.push(Literal::new(&first[from..slot.start as usize]));
            from = slot.end as usize;
        }
        literals.push(Literal::new(&first[from..]));
        let kinds: Vec<Kind> = slots.iter().map(|slot| slot.kind).collect();
        assert!(follow(&literals, &kinds, other, &mut slots));
        assert!(find_slots(other, &mut again));
        assert_eq!(slots, again);
        assert!(!follow(&literals, &kinds, b"ts=x", &mut slots));
    }
}
