//! Durations the way Go writes them: `250ms`, `1m`, `1h30m`, `1.5s`.

use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error};

/// A duration in settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// Reads Go's form. Negative durations are refused: no setting takes
    /// one.
    pub fn parse(text: &str) -> Option<GoDuration> {
        if text == "0" {
            return Some(GoDuration(Duration::ZERO));
        }
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        let mut total = 0.0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let number: f64 = rest[..digits].parse().ok()?;
            rest = &rest[digits..];
            let unit = rest
                .find(|c: char| c.is_ascii_digit() || c == '.')
                .unwrap_or(rest.len());
            total += number * unit_nanos(&rest[..unit])?;
            rest = &rest[unit..];
        }
        let fits = !text.is_empty() && total <= i64::MAX as f64;
        fits.then(|| GoDuration(Duration::from_nanos(total.round() as u64)))
    }
}

fn unit_nanos(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1.0,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        "h" => 3600e9,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GoDuration, D::Error> {
        let text = String::deserialize(deserializer)?;
        GoDuration::parse(&text).ok_or_else(|| {
            D::Error::custom(format!(
                "invalid duration {text:?}, write it like 250ms, 5s or 1h30m"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_like_go_does() {
        let millis = |text| GoDuration::parse(text).map(|d| d.0.as_millis());
        assert_eq!(millis("250ms"), Some(250));
        assert_eq!(millis("1h30m"), Some(5_400_000));
        assert_eq!(millis("1.5s"), Some(1500));
        assert_eq!(millis("0"), Some(0));
        for bad in ["", "5", "s", "forever", "-1s", "1x", "999999999h"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
