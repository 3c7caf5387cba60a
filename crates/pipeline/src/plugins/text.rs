//! Numbers and bytes in text, as Go writes them.

/// A float as Go's `%v`: the shortest digits that read back the same, with
/// an exponent below 1e-4 and from 1e21 on.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{value:e}");
        if let Some((digits, exponent)) = text.split_once('e') {
            let (sign, number) = match exponent.strip_prefix('-') {
                Some(number) => ('-', number),
                None => ('+', exponent),
            };
            return format!("{digits}e{sign}{number:0>2}");
        }
    }
    format!("{value}")
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let six = (bits >> (18 - 6 * place)) & 63;
            out.push(if place <= chunk.len() {
                char::from(ALPHABET[six as usize])
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_like_go_does() {
        for (value, text) in [
            (99.9, "99.9"),
            (3.0, "3"),
            (-0.0, "-0"),
            (1e300, "1e+300"),
            (1e20, "100000000000000000000"),
            (1.5e-7, "1.5e-07"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(base64(b"data"), "ZGF0YQ==");
        assert_eq!(base64(&[0xff, 0]), "/wA=");
        assert_eq!(base64(b"abc"), "YWJj");
    }
}
