//! Floating-point text by Go's rules (`strconv.FormatFloat`).

/// Writes `value` with Go's verb `e`, `f` or `g`; `precision` `None` means the
/// fewest digits that read back as the same number.
///
/// ```
/// use headwater_template::format_float;
/// assert_eq!(format_float(1435065584.128, 'g', None), "1.435065584128e+09");
/// assert_eq!(format_float(0.5, 'f', Some(2)), "0.50");
/// ```
pub fn format_float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match (verb, precision) {
        ('f', None) => format!("{value}"),
        ('f', Some(p)) => format!("{value:.p$}"),
        ('e', None) => exponent_form(&format!("{value:e}")),
        ('e', Some(p)) => exponent_form(&format!("{value:.p$e}")),
        (_, p) => shorter_form(value, p),
    }
}

/// Re-lays Rust's `1.5e7` as Go's `1.5e+07`.
fn exponent_form(text: &str) -> String {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// The `g` form: exponents below -4 or from the precision on use `e`.
fn shorter_form(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        None => format!("{value:e}"),
        Some(p) => format!("{value:.*e}", p.max(1) - 1),
    };
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa = match mantissa.contains('.') {
        true => mantissa.trim_end_matches('0').trim_end_matches('.'),
        false => mantissa,
    };
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count() as i32;
    let threshold = match precision {
        None => 6,
        Some(p) => {
            let p = p.max(1) as i32;
            if p > digits && digits > exponent {
                digits
            } else {
                p
            }
        }
    };
    if exponent < -4 || exponent >= threshold {
        return exponent_form(&format!("{mantissa}e{exponent}"));
    }
    let decimals = (digits - exponent - 1).max(0) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::format_float;

    #[test]
    fn table() {
        let cases: &[(f64, char, Option<usize>, &str)] = &[
            (1.0, 'g', None, "1"),
            (100000.0, 'g', None, "100000"),
            (1000000.0, 'g', None, "1e+06"),
            (123456.7, 'g', None, "123456.7"),
            (1234567.8, 'g', None, "1.2345678e+06"),
            (0.0001, 'g', None, "0.0001"),
            (0.00001, 'g', None, "1e-05"),
            (100.0, 'g', Some(3), "100"),
            (1234.5678, 'g', Some(4), "1235"),
            (123456.0, 'g', Some(4), "1.235e+05"),
            (12.0, 'g', Some(4), "12"),
            (-0.0, 'g', None, "-0"),
            (1.5, 'e', None, "1.5e+00"),
            (1.5, 'e', Some(3), "1.500e+00"),
            (2.5, 'f', Some(0), "2"),
            (1e21, 'f', None, "1000000000000000000000"),
            (f64::INFINITY, 'f', None, "+Inf"),
            (f64::NAN, 'g', None, "NaN"),
        ];
        for &(value, verb, precision, want) in cases {
            assert_eq!(
                format_float(value, verb, precision),
                want,
                "{value} {verb} {precision:?}"
            );
        }
    }
}
