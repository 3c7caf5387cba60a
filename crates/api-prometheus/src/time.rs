//! Times and durations in parameters and answers, read and written as Go does.

use std::fmt::Write;
use std::time::Duration;

use headwater_model::Timestamp;
use headwater_model::duration::parse_duration;
use headwater_model::number::parse_float;
use headwater_model::quote::go_quoted;

use crate::error::ApiError;
use crate::form::Form;

/// The earliest time that the API knows, in milliseconds. Far enough from the end of `i64` that
/// subtracting any range or offset of up to 1900 years stays in it.
/// Source: Prometheus's `minTime`, `math.MinInt64/1000 + 62135596801` seconds.
pub(crate) const MIN_TIME: Timestamp = (i64::MIN / 1000 + 62_135_596_801) * 1000;
/// The latest time that the API knows, in milliseconds.
pub(crate) const MAX_TIME: Timestamp = (i64::MAX / 1000 - 62_135_596_801) * 1000 + 999;

/// How clients that copied Prometheus's own bounds spell them; the years do not fit RFC 3339.
const NAMED_TIMES: [(&str, Timestamp); 2] = [
    ("-292273086-05-16T16:47:06Z", MIN_TIME),
    ("292277025-08-18T07:12:54.999999999Z", MAX_TIME),
];

/// Reads seconds since the epoch (a float) or RFC 3339 into milliseconds.
///
/// # Errors
/// The text is neither.
pub(crate) fn parse_time(text: &str) -> Result<Timestamp, ApiError> {
    if let Some(seconds) = parse_float(text) {
        return Ok(from_seconds(seconds));
    }
    let named = NAMED_TIMES.iter().find(|(name, _)| *name == text);
    named
        .map(|(_, time)| *time)
        .or_else(|| parse_rfc3339(text))
        .ok_or_else(|| {
            ApiError::bad_data(format_args!(
                "cannot parse {} to a valid timestamp",
                go_quoted(text)
            ))
        })
}

/// Rounds the fraction to milliseconds with the very steps of the original, so that times at the
/// border between two milliseconds fall to the same side.
fn from_seconds(seconds: f64) -> Timestamp {
    if seconds.is_nan() {
        return MIN_TIME;
    }
    let (whole, fraction) = (seconds.trunc(), seconds.fract());
    let nanos = ((fraction * 1000.0).round() / 1000.0 * 1e9) as i64;
    (whole as i64)
        .saturating_mul(1000)
        .saturating_add(nanos.div_euclid(1_000_000))
        .clamp(MIN_TIME, MAX_TIME)
}

/// Reads a number of seconds or a Prometheus duration into nanoseconds.
///
/// # Errors
/// The text is neither, or the duration does not fit 2^63 nanoseconds.
pub(crate) fn parse_nanos(text: &str) -> Result<i64, ApiError> {
    let refuse = |more: &str| {
        let quoted = go_quoted(text);
        ApiError::bad_data(format_args!(
            "cannot parse {quoted} to a valid duration{more}"
        ))
    };
    match parse_float(text) {
        Some(seconds) if seconds.is_nan() => Ok(i64::MIN),
        Some(seconds) if (seconds * 1e9).abs() > i64::MAX as f64 => {
            Err(refuse(". It overflows int64"))
        }
        Some(seconds) => Ok((seconds * 1e9) as i64),
        None => parse_duration(text)
            .map(|millis| millis.saturating_mul(1_000_000))
            .map_err(|_| refuse("")),
    }
}

/// Seconds or a duration that must not be negative.
pub(crate) fn parse_span(text: &str) -> Result<Duration, ApiError> {
    parse_nanos(text).map(|nanos| Duration::from_nanos(nanos.max(0).unsigned_abs()))
}

/// An optional time parameter, as `time`, `start` and `end` of the label endpoints.
pub(crate) fn time_parameter(
    form: &Form,
    name: &str,
    default: Timestamp,
) -> Result<Timestamp, ApiError> {
    match form.first(name) {
        "" => Ok(default),
        text => parse_time(text).map_err(|error| {
            ApiError::parameter(
                name,
                format_args!("invalid time value for '{name}': {error}"),
            )
        }),
    }
}

/// `2026-11-20T03:16:42.5Z` or with an offset, into milliseconds; finer digits are dropped.
fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let fixed = bytes.get(..19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, byte)| fixed[*at] != *byte) {
        return None;
    }
    let field = |from: usize, to: usize, max: i64| digits(&fixed[from..to]).filter(|n| *n <= max);
    let (year, month, day) = (field(0, 4, 9999)?, field(5, 7, 12)?, field(8, 10, 31)?);
    let (hour, minute, second) = (field(11, 13, 23)?, field(14, 16, 59)?, field(17, 19, 59)?);
    if month == 0 || day == 0 || day > days_in_month(year, month) {
        return None;
    }
    let (millis, zone) = split_fraction(&bytes[19..])?;
    let days = days_from_civil(year, month, day);
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second - zone_seconds(zone)?;
    Some(seconds * 1000 + millis)
}

fn digits(bytes: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let plain = !text.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    plain.then(|| text.parse().ok()).flatten()
}

/// Splits `.123456Z` into milliseconds and the zone.
fn split_fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some(after) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let count = after
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (fraction, zone) = after.split_at(count);
    let first: Vec<u8> = fraction.iter().chain(b"00").take(3).copied().collect();
    (count > 0).then(|| Some((digits(&first)?, zone)))?
}

fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        b"Z" => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let hours = digits(&[*h1, *h2]).filter(|hours| *hours < 24)?;
            let minutes = digits(&[*m1, *m2]).filter(|minutes| *minutes < 60)?;
            let seconds = hours * 3600 + minutes * 60;
            Some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next = if month == 12 {
        (year + 1, 1)
    } else {
        (year, month + 1)
    };
    days_from_civil(next.0, next.1, 1) - days_from_civil(year, month, 1)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. The year begins in March, so that
/// the leap day is the last one and months have lengths of a regular pattern; 400 years repeat.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (
        year,
        month,
        day_of_year - (153 * month_from_march + 2) / 5 + 1,
    )
}

/// Nanoseconds since the epoch as RFC 3339 in UTC; the fraction has as many digits as it needs.
pub fn format_rfc3339(nanos: i64) -> String {
    let (seconds, fraction) = (
        nanos.div_euclid(1_000_000_000),
        nanos.rem_euclid(1_000_000_000),
    );
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let mut out = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if fraction != 0 {
        let digits = format!("{fraction:09}");
        write!(out, ".{}", digits.trim_end_matches('0')).expect("a String takes every write");
    }
    out.push('Z');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_times() {
        for (text, millis) in [
            ("0", 0),
            ("1795144602.5", 1_795_144_602_500),
            ("1767225600.1239", 1_767_225_600_124),
            ("-0.25", -250),
            ("2026-11-20T03:16:42Z", 1_795_144_602_000),
            ("2026-11-20T05:16:42.2509+02:00", 1_795_144_602_250),
            ("1969-12-31T23:59:59.999Z", -1),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("99999999999999999999", MAX_TIME),
            ("-292273086-05-16T16:47:06Z", MIN_TIME),
            ("NaN", MIN_TIME),
        ] {
            assert_eq!(parse_time(text).unwrap(), millis, "{text}");
        }
        for bad in [
            "",
            "yesterday",
            "2026-02-30T00:00:00Z",
            "2026-11-20T03:16:42",
            "2026-11-20 03:16:42Z",
            "2026-11-20T03:16:42.Z",
            "2026-1é-20T03:16:42Z",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_durations() {
        for (text, nanos) in [
            ("15", 15_000_000_000),
            ("0.5", 500_000_000),
            ("1m30s", 90_000_000_000),
            ("NaN", i64::MIN),
        ] {
            assert_eq!(parse_nanos(text).unwrap(), nanos, "{text}");
        }
        assert_eq!(
            parse_nanos("1e30").unwrap_err().to_string(),
            "cannot parse \"1e30\" to a valid duration. It overflows int64"
        );
        assert_eq!(
            parse_nanos("1x").unwrap_err().to_string(),
            "cannot parse \"1x\" to a valid duration"
        );
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            if let Ok(time) = parse_time(&text) {
                assert!((MIN_TIME..=MAX_TIME).contains(&time));
            }
            let _ = (parse_nanos(&text), parse_span(&text));
        }

        #[test]
        fn times_survive_writing(millis in 0i64..i64::MAX / 1_000_000) {
            let text = format_rfc3339(millis * 1_000_000);
            assert_eq!(parse_time(&text).unwrap(), millis);
        }
    }

    #[test]
    fn writes_times() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_144_602_122_789_413, "2026-11-20T03:16:42.122789413Z"),
            (951_782_400_500_000_000, "2000-02-29T00:00:00.5Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
        ] {
            assert_eq!(format_rfc3339(nanos), text);
        }
    }

    #[test]
    fn days_and_dates_agree() {
        for days in (-1_000_000..1_000_000).step_by(97) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }
}
