//! Floats as text, as Go prints and reads them.

use std::fmt::Write;

/// Appends `value` as Prometheus's JSON and text formats print it: shortest digits that
/// read back the same, an exponent below 1e-6 and from 1e21 on, `NaN`, `+Inf`, `-Inf`.
pub fn push_float(out: &mut String, value: f64) {
    if push_special(out, value) {
        return;
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        return push_exponent(out, value);
    }
    // Several times faster than the standard library; prints an exponent where Go does not, though.
    let mut buffer = zmij::Buffer::new();
    let text = buffer.format_finite(value);
    if text.contains('e') {
        write!(out, "{value}").expect("a String takes every write");
    } else {
        out.push_str(text.strip_suffix(".0").unwrap_or(text));
    }
}

fn push_special(out: &mut String, value: f64) -> bool {
    let word = match value {
        v if v.is_nan() => "NaN",
        f64::INFINITY => "+Inf",
        f64::NEG_INFINITY => "-Inf",
        _ => return false,
    };
    out.push_str(word);
    true
}

/// Go writes at least two digits of exponent and always its sign.
fn push_exponent(out: &mut String, value: f64) {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(rest) => ('-', rest),
        None => ('+', exponent),
    };
    write!(out, "{digits}e{sign}{exponent:0>2}").expect("a String takes every write");
}

/// [`push_float`] for text that is kept as bytes.
pub fn append_float(out: &mut Vec<u8>, value: f64) {
    // Within these bounds the fast way prints no exponents.
    if (1e-3..1e15).contains(&value.abs()) {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(value);
        let text = text.strip_suffix(".0").unwrap_or(text);
        return out.extend_from_slice(text.as_bytes());
    }
    let mut text = String::new();
    push_float(&mut text, value);
    out.extend_from_slice(text.as_bytes());
}

/// [`push_float`] into a new string.
pub fn format_float(value: f64) -> String {
    let mut out = String::new();
    push_float(&mut out, value);
    out
}

/// `value` as Go's `%g` and `%v` print it: shortest digits, an exponent below 1e-4 and already from
/// 1e6 on. Numbers in Prometheus's messages have this form.
pub fn format_float_go(value: f64) -> String {
    let mut out = String::new();
    if push_special(&mut out, value) {
        return out;
    }
    if value == 0.0 || (1e-4..1e6).contains(&value.abs()) {
        write!(out, "{value}").expect("a String takes every write");
    } else {
        push_exponent(&mut out, value);
    }
    out
}

/// `value` as Go's `%.Ng` prints it: at most `digits` (at least one) of them, an exponent below 1e-4
/// and where there are not enough digits for the whole part.
pub fn format_float_short(value: f64, digits: usize) -> String {
    let mut out = String::new();
    if push_special(&mut out, value) {
        return out;
    }
    let rounded = format!("{value:.*e}", digits.saturating_sub(1));
    let (mantissa, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:0>2}", trimmed(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{value:.decimals$}"))
}

/// Reads a float as Go's `strconv.ParseFloat` does, hexadecimal floats included; a number that is
/// too large for a float is none.
pub fn parse_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let unsigned = match bytes.first()? {
        b'+' | b'-' => &text[1..],
        _ => text,
    };
    let prefix = unsigned.get(..2).unwrap_or_default();
    if unsigned.len() > 2 && prefix.eq_ignore_ascii_case("0x") {
        let value = parse_hex(&unsigned[2..]).filter(|value| value.is_finite())?;
        return Some(if bytes[0] == b'-' { -value } else { value });
    }
    let too_large = |value: &f64| {
        value.is_infinite() && unsigned.starts_with(|first: char| !first.is_ascii_alphabetic())
    };
    text.parse().ok().filter(|value| !too_large(value))
}

/// `1.8p3`: a mantissa in base 16 and an exponent of 2 in base 10; the exponent may be left out
/// for whole numbers, as Prometheus's number literals allow.
fn parse_hex(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut value, mut scale) = (0.0f64, 0i32);
    for (digits, step) in [(whole, 0), (fraction, 4)] {
        for digit in digits.chars() {
            value = value * 16.0 + f64::from(digit.to_digit(16)?);
            scale = scale.checked_sub(step)?;
        }
    }
    Some(value * 2f64.powi(exponent.checked_add(scale)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_like_go() {
        for (value, json) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.5, "1.5"),
            (1e-5, "0.00001"),
            (1e-7, "1e-07"),
            (1e20, "100000000000000000000"),
            (1.5e16, "15000000000000000"),
            (123456.0, "123456"),
            (0.0625, "0.0625"),
            (2e-6, "0.000002"),
            (5e-5, "0.00005"),
            (1.25e21, "1.25e+21"),
            (-2.5e-300, "-2.5e-300"),
            (0.001, "0.001"),
            (-0.00125, "-0.00125"),
            (999_999_999_999_999.9, "999999999999999.9"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_float(value), json);
            let mut bytes = Vec::new();
            append_float(&mut bytes, value);
            assert_eq!(bytes, json.as_bytes());
        }
    }

    #[test]
    fn prints_messages_like_go() {
        for (value, text) in [
            (0.0, "0"),
            (-1.5, "-1.5"),
            (999_999.0, "999999"),
            (1e6, "1e+06"),
            (1.25e19, "1.25e+19"),
            (1e-5, "1e-05"),
        ] {
            assert_eq!(format_float_go(value), text);
        }
    }

    #[test]
    fn prints_few_digits_like_go() {
        for (value, text) in [
            (0.0, "0"),
            (10.0, "10"),
            (0.0512, "0.051"),
            (-1.96, "-2"),
            (99.9, "1e+02"),
            (123_456.0, "1.2e+05"),
            (0.000_012_3, "1.2e-05"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(format_float_short(value, 2), text);
        }
    }

    #[test]
    fn reads_like_go() {
        for (text, value) in [
            ("1e3", Some(1000.0)),
            ("+Inf", Some(f64::INFINITY)),
            ("-inf", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("", None),
            ("0x", None),
            ("1_0", None),
            ("1e309", None),
            ("-0x1p1024", None),
            ("aé1", None),
        ] {
            assert_eq!(parse_float(text), value, "{text}");
        }
        assert!(parse_float("nan").unwrap().is_nan());
    }
}
