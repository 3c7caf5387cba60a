//! Moments and durations in parameters and answers.

use std::fmt::Write;

use headwater_model::duration::parse_duration;

use crate::error::ApiError;

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// A moment in nanoseconds: seconds with a fraction, whole seconds (up to ten digits), nanoseconds,
/// or RFC 3339.
pub(crate) fn parse_time(text: &str) -> Result<i64, ApiError> {
    if text.contains('.')
        && let Ok(seconds) = text.parse::<f64>()
    {
        // Milliseconds are what such clients mean; the digits behind them are noise of the float.
        return Ok(((seconds * 1000.0).round() as i64).saturating_mul(1_000_000));
    }
    match text.parse::<i64>() {
        Ok(number) if text.len() <= 10 => Ok(number.saturating_mul(SECOND)),
        Ok(number) => Ok(number),
        Err(_) => {
            let wrong = || {
                ApiError::bad(format_args!(
                    "strconv.ParseInt: parsing {text:?}: invalid syntax"
                ))
            };
            let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
            i64::try_from(time.as_nanosecond()).map_err(|_| wrong())
        }
    }
}

/// A duration in nanoseconds: seconds as a number, or `1h30m`.
pub(crate) fn parse_step(text: &str) -> Result<i64, ApiError> {
    if let Ok(seconds) = text.parse::<f64>() {
        let nanos = seconds * SECOND as f64;
        if nanos.is_finite() && nanos.abs() < i64::MAX as f64 {
            return Ok(nanos as i64);
        }
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let nanos = parse_duration(rest)
        .map(|millis| millis.saturating_mul(1_000_000))
        .map_err(|_| ApiError::bad(format_args!("cannot parse {text:?} to a valid duration")))?;
    Ok(if negative { -nanos } else { nanos })
}

/// Nanoseconds as Go prints durations: `1442h0m0s`.
pub(crate) fn go_duration(nanos: i64) -> String {
    let (seconds, rest) = (nanos / SECOND, nanos % SECOND);
    let (hours, minutes) = (seconds / 3600, seconds % 3600 / 60);
    let mut out = String::new();
    if hours > 0 {
        let _ = write!(out, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(out, "{minutes}m");
    }
    let fraction = match rest {
        0 => String::new(),
        rest => format!(".{}", format!("{rest:09}").trim_end_matches('0')),
    };
    let _ = write!(out, "{}{fraction}s", seconds % 60);
    out
}

/// Nanoseconds as RFC 3339 with as many digits as needed.
pub(crate) fn rfc3339(nanos: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(nanos))
        .map_or_else(|_| nanos.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_four_ways() {
        let wanted = 1_794_996_120 * SECOND;
        for text in [
            "1794996120",
            "1794996120000000000",
            "1794996120.0",
            "2026-11-18T10:02:00Z",
        ] {
            assert_eq!(parse_time(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(
            parse_time("1794996480.5").unwrap(),
            1_794_996_480_500_000_000
        );
        let error = parse_time("zz").unwrap_err().to_string();
        assert_eq!(error, "strconv.ParseInt: parsing \"zz\": invalid syntax");
    }

    #[test]
    fn steps_are_numbers_or_durations() {
        for (text, wanted) in [
            ("60", 60 * SECOND),
            ("0.5", SECOND / 2),
            ("7m13s", 433 * SECOND),
            ("-1", -SECOND),
        ] {
            assert_eq!(parse_step(text).unwrap(), wanted, "{text}");
        }
        assert_eq!(
            parse_step("1x").unwrap_err().to_string(),
            "cannot parse \"1x\" to a valid duration"
        );
    }

    #[test]
    fn prints_as_go_does() {
        assert_eq!(go_duration(1442 * 3600 * SECOND), "1442h0m0s");
        assert_eq!(go_duration(90 * SECOND + SECOND / 2), "1m30.5s");
        assert_eq!(
            rfc3339(1_794_996_000_123_456_789),
            "2026-11-18T10:00:00.123456789Z"
        );
        assert_eq!(rfc3339(1_794_996_000_000_000_000), "2026-11-18T10:00:00Z");
    }
}
