//! Finding what repeats in lines: literals, and slots between them.
//!
//! A place varies if it is the value behind `"key":` or `key=`, or a token that holds a digit.
//! Everything else belongs to the template. The rule looks at bytes only and is applied by the
//! writer alone: a reader never needs to know it.

/// Longest line that is taken apart, in bytes; longer ones are kept whole.
const MAX_LINE: usize = 16 << 10;
/// Most slots of a template.
const MAX_SLOTS: usize = 128;

/// Calls `slot` with the start and end of each place of `line` that varies, in order; they neither
/// touch nor overlap. Answers false if the line should be kept whole.
pub(super) fn find_slots(line: &[u8], slots: &mut Vec<(u32, u32)>) -> bool {
    slots.clear();
    if line.len() > MAX_LINE || memchr::memchr(b'\n', line).is_some() {
        return false;
    }
    let mut at = 0;
    while at < line.len() {
        at = match line[at] {
            b'=' => value_slot(line, at + 1, slots),
            b':' if at > 0 && line[at - 1] == b'"' => value_slot(line, at + 1, slots),
            byte if is_token(byte) => token_slot(line, at, slots),
            _ => at + 1,
        };
        if slots.len() > MAX_SLOTS {
            return false;
        }
    }
    true
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte == b'.' || byte >= 0x80
}

/// A token is a slot if it holds a digit.
fn token_slot(line: &[u8], start: usize, slots: &mut Vec<(u32, u32)>) -> usize {
    let length = line[start..]
        .iter()
        .take_while(|byte| is_token(**byte))
        .count();
    let end = start + length;
    if line[start..end].iter().any(u8::is_ascii_digit) {
        push(slots, start, end);
    }
    end
}

/// The value at `start`: what is between quotes, or up to the next delimiter. Objects and arrays
/// are not values but hold some.
fn value_slot(line: &[u8], start: usize, slots: &mut Vec<(u32, u32)>) -> usize {
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
            push(slots, start + 1, end);
            // The closing quote is no key's end: step over it.
            (end + 1).min(line.len())
        }
        Some(b'{' | b'[') | None => start,
        Some(_) => {
            let stops =
                |byte: &u8| matches!(byte, b' ' | b',' | b'}' | b']' | b'\t' | b'"' | b'&' | b';');
            let end = start + line[start..].iter().take_while(|byte| !stops(byte)).count();
            push(slots, start, end);
            end.max(start)
        }
    }
}

/// Position of the quote that ends a text, backslashes respected.
fn quoted_end(line: &[u8], mut at: usize) -> usize {
    while at < line.len() {
        match line[at] {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    line.len()
}

/// Slots that would touch become one, so that literals between them are never empty.
fn push(slots: &mut Vec<(u32, u32)>, start: usize, end: usize) {
    match slots.last_mut() {
        Some(last) if last.1 as usize == start => last.1 = end as u32,
        _ => slots.push((start as u32, end as u32)),
    }
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
        for (start, end) in slots.iter().rev() {
            out.replace_range(*start as usize..*end as usize, "<>");
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
                "<> - - GET /api/<>/x HTTP/<> <>",
            ),
            ("plain words only", "plain words only"),
            ("k=", "k="),
            ("k=v", "k=<>"),
            ("a=1=2", "a=<>"),
            ("two\nlines", "whole"),
            ("", ""),
        ] {
            assert_eq!(shown(line), pattern, "{line}");
        }
    }
}
