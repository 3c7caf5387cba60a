//! Texts, numbers, lists and objects.

use std::fmt::Write;

/// A JSON string.
pub(crate) fn push_text(out: &mut String, text: &str) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        match escape {
            "" => drop(write!(out, "\\u{byte:04x}")),
            escape => out.push_str(escape),
        }
        from = at + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Milliseconds as seconds, with as many digits as needed.
pub(crate) fn push_seconds(out: &mut String, millis: i64) {
    let (seconds, rest) = (millis.div_euclid(1000), millis.rem_euclid(1000));
    let _ = write!(out, "{seconds}");
    if rest != 0 {
        let digits = format!(".{rest:03}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

/// A sample's value: a number in a text, never with an exponent.
pub(crate) fn push_value(out: &mut String, value: f64) {
    let _ = match value {
        value if value.is_nan() => write!(out, "\"NaN\""),
        f64::INFINITY => write!(out, "\"+Inf\""),
        f64::NEG_INFINITY => write!(out, "\"-Inf\""),
        value => write!(out, "\"{value}\""),
    };
}

pub(crate) fn push_list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut push: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push(out, item);
    }
    out.push(']');
}

pub(crate) fn push_object<N: AsRef<str>, V: AsRef<str>>(
    out: &mut String,
    pairs: impl IntoIterator<Item = (N, V)>,
) {
    out.push('{');
    for (at, (name, value)) in pairs.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        push_text(out, name.as_ref());
        out.push(':');
        push_text(out, value.as_ref());
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_back() {
        for text in [
            "",
            "plain",
            "a\"b\\c\n\r\t",
            "\u{0}\u{1f}\u{7f}",
            "日本 é 😀",
        ] {
            let mut out = String::new();
            push_text(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }

    #[test]
    fn numbers_are_short() {
        let seconds = |millis| {
            let mut out = String::new();
            push_seconds(&mut out, millis);
            out
        };
        assert_eq!(seconds(1_794_997_799_999), "1794997799.999");
        assert_eq!(seconds(1_794_996_095_500), "1794996095.5");
        assert_eq!(seconds(1_795_003_200_000), "1795003200");
        let mut out = String::new();
        for value in [2.0, 0.1, 1e21, f64::NAN, f64::INFINITY] {
            push_value(&mut out, value);
        }
        assert_eq!(out, "\"2\"\"0.1\"\"1000000000000000000000\"\"NaN\"\"+Inf\"");
    }
}
