//! Writing times with C's `strftime` letters, as far as heka's library has
//! them. Letters it does not know are copied.

use std::fmt::Write;

use jiff::civil::DateTime;

use super::{MONTHS, WEEKDAYS, utc};

/// A format, read once.
#[derive(Debug, Clone)]
pub struct StrfTime {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Letter(char),
}

impl StrfTime {
    /// Reads a format. A single `%` at the end is text.
    pub fn new(format: &str) -> StrfTime {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = format.chars();
        while let Some(ch) = rest.next() {
            if ch != '%' {
                text.push(ch);
                continue;
            }
            match rest.next() {
                None => text.push('%'),
                Some('%') => text.push('%'),
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some(letter) if "aAbBcCdDefFhHIjkmMpRsSTuwxXyYzZ".contains(letter) => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(Piece::Letter(letter));
                }
                Some(other) => text.extend(['%', other]),
            }
        }
        pieces.push(Piece::Text(text));
        StrfTime { pieces }
    }

    /// Writes a moment, in nanoseconds since 1970, in UTC.
    pub fn format(&self, nanos: i64) -> String {
        let time = utc(nanos);
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Letter('s') => put(
                    &mut out,
                    format_args!("{}", nanos.div_euclid(1_000_000_000)),
                ),
                Piece::Letter(letter) => letter_of(*letter, time, &mut out),
            }
        }
        out
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

fn letter_of(letter: char, t: DateTime, out: &mut String) {
    let month = MONTHS[t.month() as usize - 1];
    let weekday = WEEKDAYS[t.weekday().to_sunday_zero_offset() as usize];
    let hour12 = (t.hour() + 11) % 12 + 1;
    match letter {
        'a' => out.push_str(&weekday[..3]),
        'A' => out.push_str(weekday),
        'b' | 'h' => out.push_str(&month[..3]),
        'B' => out.push_str(month),
        'C' => put(out, format_args!("{:02}", t.year() / 100)),
        'd' => put(out, format_args!("{:02}", t.day())),
        'e' => put(out, format_args!("{:2}", t.day())),
        'f' => put(out, format_args!("{:06}", t.subsec_nanosecond() / 1000)),
        'H' => put(out, format_args!("{:02}", t.hour())),
        'I' => put(out, format_args!("{hour12:02}")),
        'j' => put(out, format_args!("{:03}", t.day_of_year())),
        'k' => put(out, format_args!("{:2}", t.hour())),
        'm' => put(out, format_args!("{:02}", t.month())),
        'M' => put(out, format_args!("{:02}", t.minute())),
        'p' => out.push_str(if t.hour() < 12 { "AM" } else { "PM" }),
        'S' => put(out, format_args!("{:02}", t.second())),
        'u' => put(out, format_args!("{}", t.weekday().to_monday_one_offset())),
        'w' => put(out, format_args!("{}", t.weekday().to_sunday_zero_offset())),
        'y' => put(out, format_args!("{:02}", t.year().rem_euclid(100))),
        'Y' => put(out, format_args!("{:04}", t.year())),
        'z' => out.push_str("+0000"),
        'Z' => out.push_str("UTC"),
        _ => composite(letter, t, out),
    }
}

fn composite(letter: char, t: DateTime, out: &mut String) {
    let letters = match letter {
        'D' | 'x' => "m/d/y",
        'F' => "Y-m-d",
        'T' | 'X' => "H:M:S",
        'R' => "H:M",
        _ => "a b e H:M:S Y",
    };
    for ch in letters.chars() {
        if ch.is_ascii_alphabetic() {
            letter_of(ch, t, out);
        } else {
            out.push(ch);
        }
    }
}

/// A moment as Go prints times: `2014-11-24 14:54:53.123456789 +0000 UTC`,
/// without the zeros at the end of the fraction.
pub fn rfc3339_utc(nanos: i64) -> String {
    let t = utc(nanos);
    let mut out = StrfTime::new("%F %T").format(nanos);
    if t.subsec_nanosecond() != 0 {
        let fraction = format!("{:09}", t.subsec_nanosecond());
        out.push('.');
        out.push_str(fraction.trim_end_matches('0'));
    }
    out.push_str(" +0000 UTC");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: i64 = 1_416_840_893_123_456_789;

    #[test]
    fn letters_are_replaced_and_unknown_ones_copied() {
        let format = |text| StrfTime::new(text).format(MOMENT);
        assert_eq!(
            format("%Y-%m-%dT%H:%M:%S.%f %%"),
            "2014-11-24T14:54:53.123456 %"
        );
        assert_eq!(format("%a %B %j %p %I %U%"), "Mon November 328 PM 02 %U%");
    }

    #[test]
    fn times_before_1970_are_written() {
        assert_eq!(
            StrfTime::new("%F %T %s").format(-1),
            "1969-12-31 23:59:59 -1"
        );
    }

    #[test]
    fn fractions_lose_their_last_zeros() {
        assert_eq!(
            rfc3339_utc(1_500_000_000),
            "1970-01-01 00:00:01.5 +0000 UTC"
        );
        assert_eq!(rfc3339_utc(0), "1970-01-01 00:00:00 +0000 UTC");
    }
}
