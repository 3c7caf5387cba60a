//! Numbers as the exposition formats print them.

/// Appends `value` as the text format prints it: the fewest digits that read back the same,
/// an exponent below 1e-4 and from 1e6 on (Go's `strconv.FormatFloat` with `'g'` and -1).
pub fn push_float_text(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("NaN");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "+Inf" } else { "-Inf" });
    } else {
        push_finite(out, value);
    }
}

/// Appends `value` as OpenMetrics wants it: like the text format, but always recognisable
/// as a float: `1.0`. Bounds and quantiles have this form in both formats.
pub fn push_float_openmetrics(out: &mut String, value: f64) {
    let start = out.len();
    push_float_text(out, value);
    if value.is_finite() && !out[start..].contains(['.', 'e']) {
        out.push_str(".0");
    }
}

/// From this decimal exponent on Go's `FormatFloat` writes one. (Its `fmt` package waits until
/// 21, which is what queries and rules print.)
const EXPONENT_FROM: i32 = 6;

fn push_finite(out: &mut String, value: f64) {
    // The shortest digits and their exponent; Rust's and Go's agree, both being shortest.
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return out.push_str(&text);
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..EXPONENT_FROM).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(digits);
        out.push('e');
        out.push(sign);
        let exponent = exponent.unsigned_abs();
        if exponent < 10 {
            out.push('0');
        }
        out.push_str(&exponent.to_string());
    } else {
        out.push_str(&value.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_go_prints_them() {
        for (value, text, openmetrics) in [
            (0.0, "0", "0.0"),
            (-0.0, "-0", "-0.0"),
            (1.0, "1", "1.0"),
            (0.1, "0.1", "0.1"),
            (123_456.0, "123456", "123456.0"),
            (1_234_567.0, "1.234567e+06", "1.234567e+06"),
            (1e6, "1e+06", "1e+06"),
            (123_456.789, "123456.789", "123456.789"),
            (0.0001, "0.0001", "0.0001"),
            (0.00001, "1e-05", "1e-05"),
            (1.5e300, "1.5e+300", "1.5e+300"),
            (-2.5, "-2.5", "-2.5"),
            (f64::NAN, "NaN", "NaN"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
        ] {
            let mut out = String::new();
            push_float_text(&mut out, value);
            assert_eq!(out, text);
            out.clear();
            push_float_openmetrics(&mut out, value);
            assert_eq!(out, openmetrics);
        }
    }
}
