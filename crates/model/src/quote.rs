//! Go's double-quoted string literals, the form in which Prometheus prints values.

use std::fmt::{self, Write};

/// Writes `text` as Go's `strconv.Quote` would, but for U+FFFD, which is escaped so that it can be read again.
pub fn write_go_quoted(out: &mut dyn Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for c in text.chars() {
        write_escaped(out, c)?;
    }
    out.write_char('"')
}

/// `text` as Go's `strconv.Quote` would print it.
pub fn go_quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    write_go_quoted(&mut out, text).expect("a String takes every write");
    out
}

fn write_escaped(out: &mut dyn Write, c: char) -> fmt::Result {
    match c {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '\x07' => out.write_str("\\a"),
        '\x08' => out.write_str("\\b"),
        '\x0c' => out.write_str("\\f"),
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '\x0b' => out.write_str("\\v"),
        // Stands for bytes that were no text, mostly; PromQL refuses it where it stands bare.
        char::REPLACEMENT_CHARACTER => out.write_str("\\ufffd"),
        c if is_printable(c) => out.write_char(c),
        c if u32::from(c) < 0x80 => write!(out, "\\x{:02x}", u32::from(c)),
        c if u32::from(c) < 0x1_0000 => write!(out, "\\u{:04x}", u32::from(c)),
        c => write!(out, "\\U{:08x}", u32::from(c)),
    }
}

/// Close to Go's `unicode.IsPrint`: no controls, no format characters, no exotic spaces, no private use.
fn is_printable(c: char) -> bool {
    let invisible = matches!(u32::from(c),
        0x00..=0x1f | 0x7f..=0xa0 | 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e
        | 0x1680 | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x3000
        | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe..=0xffff
        | 0xe0000..=0xe007f | 0xf0000..=0x10_ffff);
    !invisible
}

#[cfg(test)]
mod tests {
    use super::go_quoted;

    #[test]
    fn quotes_like_go() {
        for (text, quoted) in [
            ("plain", r#""plain""#),
            ("a\"b\\c\n", r#""a\"b\\c\n""#),
            ("\x00\x7f", r#""\x00\x7f""#),
            ("é世", r#""é世""#),
            ("\u{200b}\u{feff}", r#""\u200b\ufeff""#),
            ("\u{fffd}", r#""\ufffd""#),
        ] {
            assert_eq!(go_quoted(text), quoted);
        }
    }
}
