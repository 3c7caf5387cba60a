//! The text of statsd: `bucket:value|kind|@rate`, a line a sample.

use super::{Stat, StatKind};

/// Reads one line. `None` if it is no sample.
///
/// As in heka a value that is no number counts as 0, and what follows the
/// kind, other than a rate, is ignored.
pub fn parse_line(line: &[u8]) -> Option<Stat> {
    let line = line.trim_ascii();
    let colon = memchr::memchr(b':', line)?;
    let (bucket, rest) = (&line[..colon], &line[colon + 1..]);
    let pipe = memchr::memchr(b'|', rest)?;
    let (value, rest) = (&rest[..pipe], &rest[pipe + 1..]);
    let letters = rest.iter().take_while(|b| b.is_ascii_alphabetic()).count();
    let (kind, rest) = rest.split_at(letters);
    let kind = match kind {
        b"c" | b"h" | b"m" => StatKind::Counter,
        b"ms" => StatKind::Timer,
        b"g" => StatKind::Gauge,
        _ => return None,
    };
    let rate = match rest {
        [] => 1.0,
        [b'|', b'@', rate @ ..] => number(rate)?,
        [b'|' | b':', ..] => 1.0,
        _ => return None,
    };
    (rate > 0.0).then(|| Stat {
        bucket: String::from_utf8_lossy(bucket).into_owned(),
        value: number(value).unwrap_or(0.0),
        kind,
        rate,
    })
}

fn number(text: &[u8]) -> Option<f64> {
    let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, f64, StatKind, f64)> {
        parse_line(line.as_bytes()).map(|s| (s.bucket, s.value, s.kind, s.rate))
    }

    #[test]
    fn samples_are_read() {
        let stat = |name: &str, value, kind, rate| Some((name.to_owned(), value, kind, rate));
        assert_eq!(
            read("hits:1|c|@0.5"),
            stat("hits", 1.0, StatKind::Counter, 0.5)
        );
        assert_eq!(read("  t:1.5|ms \r"), stat("t", 1.5, StatKind::Timer, 1.0));
        assert_eq!(read("g:x|g"), stat("g", 0.0, StatKind::Gauge, 1.0));
        assert_eq!(read("a:1|c|#tag:x"), stat("a", 1.0, StatKind::Counter, 1.0));
    }

    #[test]
    fn other_lines_are_not() {
        for line in [
            "", "bad", "a:1", "a:1|", "a:1|zz", "a:1|s", "a:1|2|c", "a:1|c|@x", "a:1|c|@0",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
