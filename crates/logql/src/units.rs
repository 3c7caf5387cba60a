//! Durations and byte sizes as Go and Loki write and read them.

/// Nanoseconds of one unit of Go's durations.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("\u{b5}s", 1e3),
    ("\u{3bc}s", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Reads `1h30m`, `1.5s`, `-2ms`, `0` into nanoseconds as Go's
/// `time.ParseDuration` does; the error is Go's text.
pub(crate) fn parse_go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {}", quoted(text));
    let (negative, mut rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0i128;
    while !rest.is_empty() {
        let (nanos, after) = part(rest, text, &invalid)?;
        total += nanos;
        rest = after;
        if total > i128::from(i64::MAX) + 1 {
            return Err(invalid());
        }
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| invalid())
}

/// One number with its unit, in nanoseconds, and what follows.
fn part<'t>(
    rest: &'t str,
    text: &str,
    invalid: &impl Fn() -> String,
) -> Result<(i128, &'t str), String> {
    let digits = |t: &str| t.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(rest);
    let mut end = whole;
    let mut fraction = 0;
    if rest[whole..].starts_with('.') {
        fraction = digits(&rest[whole + 1..]);
        end = whole + 1 + fraction;
    }
    if whole == 0 && fraction == 0 {
        return Err(invalid());
    }
    let unit_end = rest[end..]
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .map_or(rest.len(), |at| end + at);
    let unit = &rest[end..unit_end];
    if unit.is_empty() {
        return Err(format!("time: missing unit in duration {}", quoted(text)));
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let (unit, text) = (quoted(unit), quoted(text));
        return Err(format!("time: unknown unit {unit} in duration {text}"));
    };
    let number = match whole {
        0 => 0,
        _ => rest[..whole].parse::<i64>().map_err(|_| invalid())?,
    };
    let mut nanos = i128::from(number) * (*scale as i128);
    if fraction > 0 {
        let decimals = format!("0.{}", &rest[whole + 1..end]);
        nanos += (decimals.parse::<f64>().unwrap_or(0.0) * scale) as i128;
    }
    Ok((nanos, &rest[unit_end..]))
}

fn quoted(text: &str) -> String {
    // Go quotes durations byte by byte in its own errors.
    headwater_model::quote::go_quoted(text)
}

/// Go's `time.Duration.String`: `1h30m0s`, `1.5s`, `200ms`, `0s`.
pub(crate) fn format_go_duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    if n == 0 {
        return "0s".to_owned();
    }
    let fraction = |n: u64, unit: u64, name: &str| {
        let decimals = format!("{:0w$}", n % unit, w = unit.ilog10() as usize);
        let decimals = decimals.trim_end_matches('0');
        let point = if decimals.is_empty() || unit == 1 {
            ""
        } else {
            "."
        };
        let decimals = if unit == 1 { "" } else { decimals };
        format!("{}{point}{decimals}{name}", n / unit)
    };
    let text = match n {
        0..1_000 => fraction(n, 1, "ns"),
        1_000..1_000_000 => fraction(n, 1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => fraction(n, 1_000_000, "ms"),
        _ => {
            let seconds = n / 1_000_000_000;
            let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
            let rest = fraction(n % 60_000_000_000, 1_000_000_000, "s");
            match (hours, minutes) {
                (0, 0) => rest,
                (0, m) => format!("{m}m{rest}"),
                (h, m) => format!("{h}h{m}m{rest}"),
            }
        }
    };
    format!("{sign}{text}")
}

/// A duration in a query: Prometheus's grammar first, then Go's.
pub(crate) fn parse_query_duration(text: &str) -> Result<i64, String> {
    match headwater_model::duration::parse_duration(text) {
        Ok(millis) => Ok(millis.saturating_mul(1_000_000)),
        Err(_) => parse_go_duration(text),
    }
}

/// A range such as `5m` between brackets, in nanoseconds.
pub(crate) fn parse_range(text: &str) -> Result<i64, String> {
    headwater_model::duration::parse_duration(text)
        .map(|millis| millis.saturating_mul(1_000_000))
        .map_err(|e| e.to_string())
}

/// Byte units and their factors; small letters are accepted too.
const SIZES: [(&str, f64); 23] = [
    ("", 1.0),
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("tb", 1e12),
    ("pb", 1e15),
    ("eb", 1e18),
    ("kib", 1024.0),
    ("mib", 1048576.0),
    ("gib", 1073741824.0),
    ("tib", 1099511627776.0),
    ("pib", 1125899906842624.0),
    ("k", 1e3),
    ("m", 1e6),
    ("g", 1e9),
    ("t", 1e12),
    ("p", 1e15),
    ("ki", 1024.0),
    ("mi", 1048576.0),
    ("gi", 1073741824.0),
    ("ti", 1099511627776.0),
    ("pi", 1125899906842624.0),
];

/// Reads `5MB`, `1.5 KiB`, `42` as the humanize package does, with its error texts.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == ','))
        .unwrap_or(text.len());
    let number = text[..end].replace(',', "");
    let value = parse_float(&number)?;
    let unit = text[end..].trim().to_lowercase();
    let Some((_, scale)) = SIZES.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unhandled size name: {unit}"));
    };
    let bytes = value * scale;
    if bytes >= u64::MAX as f64 {
        return Err(format!("too large: {text}"));
    }
    Ok(bytes as u64)
}

/// Go's `strconv.ParseFloat`, with its error text.
pub(crate) fn parse_float(text: &str) -> Result<f64, String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let hex = (unsigned.get(..2)).is_some_and(|prefix| prefix.eq_ignore_ascii_case("0x"));
    let parsed = match hex {
        // Go wants an exponent in hexadecimal floats.
        true if unsigned.contains(['p', 'P']) => headwater_model::number::parse_float(text),
        true => None,
        false => text.parse().ok(),
    };
    let error = |what: &str| {
        let text = headwater_model::quote::go_quoted(text);
        format!("strconv.ParseFloat: parsing {text}: {what}")
    };
    match parsed {
        Some(value) if f64::is_infinite(value) && !unsigned.to_lowercase().starts_with("inf") => {
            Err(error("value out of range"))
        }
        Some(value) => Ok(value),
        None => Err(error("invalid syntax")),
    }
}

/// The humanize package's `Bytes` without its blank: `5.0MB`, `12MB`, `82B`.
pub(crate) fn format_bytes(bytes: u64) -> String {
    if bytes < 10 {
        return format!("{bytes}B");
    }
    let names = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let power = ((bytes as f64).ln() / 1000f64.ln()).floor() as usize;
    let value = (bytes as f64 / 1000f64.powi(power as i32) * 10.0 + 0.5).floor() / 10.0;
    let name = names[power.min(6)];
    match value < 10.0 {
        true => format!("{value:.1}{name}"),
        false => format!("{value:.0}{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_character_is_no_number() {
        let error = "strconv.ParseFloat: parsing \"힙\": invalid syntax";
        assert_eq!(parse_float("힙"), Err(error.to_owned()));
        assert_eq!(parse_float("0x1p4"), Ok(16.0));
        assert!(parse_float("0x").is_err());
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("1h30m", Ok(5_400_000_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            ("-2ms", Ok(-2_000_000)),
            ("0", Ok(0)),
            ("3us", Ok(3_000)),
            ("10", Err("time: missing unit in duration \"10\"")),
            ("bogus", Err("time: invalid duration \"bogus\"")),
            ("5d", Err("time: unknown unit \"d\" in duration \"5d\"")),
            ("", Err("time: invalid duration \"\"")),
        ] {
            assert_eq!(
                parse_go_duration(text),
                want.map_err(str::to_owned),
                "{text}"
            );
        }
        for (nanos, want) in [
            (3_600_000_000_000, "1h0m0s"),
            (90_000_000_000, "1m30s"),
            (1_500_000_000, "1.5s"),
            (200_000_000, "200ms"),
            (1_500, "1.5\u{b5}s"),
            (7, "7ns"),
            (-60_000_000_000, "-1m0s"),
            (0, "0s"),
        ] {
            assert_eq!(format_go_duration(nanos), want);
        }
    }

    #[test]
    fn sizes() {
        for (text, want) in [
            ("5MB", Ok(5_000_000)),
            ("1.5KiB", Ok(1536)),
            ("42", Ok(42)),
            ("1k", Ok(1000)),
            ("2 gib", Ok(2 << 30)),
            (
                "huge",
                Err("strconv.ParseFloat: parsing \"\": invalid syntax"),
            ),
            ("5xb", Err("unhandled size name: xb")),
        ] {
            assert_eq!(parse_bytes(text), want.map_err(str::to_owned), "{text}");
        }
        for (bytes, want) in [
            (5, "5B"),
            (82, "82B"),
            (5_000_000, "5.0MB"),
            (12_345_678, "12MB"),
        ] {
            assert_eq!(format_bytes(bytes), want);
        }
    }

    #[test]
    fn floats() {
        assert_eq!(parse_float("1e3"), Ok(1000.0));
        assert_eq!(parse_float("0x1p3"), Ok(8.0));
        assert!(parse_float("NaN").is_ok_and(f64::is_nan));
        assert_eq!(parse_float("Inf"), Ok(f64::INFINITY));
        for bad in ["", "0x1F", "x", "1_0", "0b11"] {
            let text = headwater_model::quote::go_quoted(bad);
            let want = format!("strconv.ParseFloat: parsing {text}: invalid syntax");
            assert_eq!(parse_float(bad), Err(want), "{bad}");
        }
    }
}
