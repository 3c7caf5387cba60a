//! Prometheus's durations: `1h30m`, `2d`, `500ms`, `0`.

use std::fmt::Write;

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DurationError {
    /// No text at all.
    #[error("empty duration string")]
    Empty,
    /// Not number-unit pairs with units from large to small.
    #[error("not a valid duration string: {}", crate::quote::go_quoted(.0))]
    Syntax(String),
    /// A unit that is none.
    #[error("unknown unit {} in duration {}", crate::quote::go_quoted(.unit), crate::quote::go_quoted(.text))]
    Unit {
        /// What stands where a unit should.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than 2^63 nanoseconds (some 292 years), the limit of the original.
    #[error("duration out of range")]
    OutOfRange,
}

/// Units from large to small, in milliseconds. A year has 365 days, a week seven.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The longest duration, in milliseconds: what fits 2^63 nanoseconds.
const MAX_MILLIS: i64 = i64::MAX / 1_000_000;

/// Reads a duration into milliseconds.
///
/// # Errors
/// The text is empty, is not a duration, or is longer than 292 years.
pub fn parse_duration(text: &str) -> Result<i64, DurationError> {
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let syntax = || DurationError::Syntax(text.to_owned());
    let (mut rest, mut next_unit, mut total) = (text, 0, 0i64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..]
            .bytes()
            .take_while(|byte| !byte.is_ascii_digit())
            .count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        if number.is_empty() || unit.is_empty() {
            return Err(syntax());
        }
        let Some(at) = UNITS.iter().position(|(name, _)| *name == unit) else {
            let (unit, text) = (unit.to_owned(), text.to_owned());
            return Err(DurationError::Unit { unit, text });
        };
        // Units go from large to small.
        if at < next_unit {
            return Err(syntax());
        }
        let amount: i64 = number.parse().map_err(|_| syntax())?;
        total = amount
            .checked_mul(UNITS[at].1)
            .and_then(|millis| millis.checked_add(total))
            .filter(|millis| *millis <= MAX_MILLIS)
            .ok_or(DurationError::OutOfRange)?;
        next_unit = at + 1;
        rest = &rest[digits + letters..];
    }
    Ok(total)
}

/// Prints milliseconds as Prometheus does: years and weeks only where they divide the whole, because
/// 90d reads better than 12w6d; then days to milliseconds; `0s` for nothing.
pub fn format_duration(millis: i64) -> String {
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    let mut rest = millis.unsigned_abs();
    if millis < 0 {
        out.push('-');
    }
    for (at, (unit, size)) in UNITS.iter().enumerate() {
        let size = size.unsigned_abs();
        let exact_only = at < 2;
        if exact_only && !rest.is_multiple_of(size) {
            continue;
        }
        if rest / size > 0 {
            write!(out, "{}{unit}", rest / size).expect("a String takes every write");
            rest %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, millis, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("324ms", 324, "324ms"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("3d", 259_200_000, "3d"),
            ("10d", 864_000_000, "10d"),
            ("14d", 1_209_600_000, "2w"),
            ("1y", 31_536_000_000, "1y"),
            ("1d1h", 90_000_000, "1d1h"),
            ("721h", 2_595_600_000, "30d1h"),
            ("90d", 7_776_000_000, "90d"),
        ] {
            assert_eq!(parse_duration(text), Ok(millis), "{text}");
            assert_eq!(format_duration(millis), printed, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_one() {
        for bad in ["1", "1y1m1d", "-1w", "d", "1h1h", "99999999999999999999s"] {
            assert_eq!(
                parse_duration(bad),
                Err(DurationError::Syntax(bad.into())),
                "{bad}"
            );
        }
        assert_eq!(parse_duration(""), Err(DurationError::Empty));
        assert_eq!(parse_duration("294y"), Err(DurationError::OutOfRange));
        for (bad, unit) in [("1.5d", "."), ("1 h", " h"), ("5µs", "µs"), ("5y1hs", "hs")] {
            let found = parse_duration(bad).unwrap_err().to_string();
            let expected = format!("unknown unit \"{unit}\" in duration \"{bad}\"");
            assert_eq!(found, expected);
        }
    }
}
