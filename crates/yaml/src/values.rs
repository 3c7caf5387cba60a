//! Values that settings of this family write in their own way: durations and sizes.

use std::fmt;
use std::str::FromStr;

use headwater_model::duration::{format_duration, parse_duration};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Empty;

/// A duration as Prometheus writes it: `1h30m`, `15s`, `0`. Counted in whole milliseconds, never
/// negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(i64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// So many milliseconds; a negative count is none.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// So many seconds; a negative count is none.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// The milliseconds.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The duration as the standard library has it.
    #[must_use]
    pub const fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }

    /// True for no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl FromStr for Duration {
    type Err = headwater_model::duration::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_duration(text).map(Self)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format_duration(self.0))
    }
}

/// A size in bytes as Prometheus writes it: a number with a unit, `15MB`, `1GiB512MiB`, or `0`.
///
/// All units are powers of 1024, those without an `i` too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// From small to large, by 1024 each.
const SIZE_UNITS: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];

impl Size {
    /// So many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// A text that is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SizeError {
    /// Neither a number nor a number with a unit.
    #[error("units: invalid {0:?}")]
    Invalid(String),
    /// A number alone.
    #[error("units: missing unit in {0:?}; write for example 100B, 15MB or 1GB")]
    MissingUnit(String),
    /// A unit that there is not.
    #[error("units: unknown unit {unit:?} in {text:?}")]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// More than fits 63 bits.
    #[error("units: {0:?} is too large")]
    TooLarge(String),
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        if text == "0" {
            return Ok(Self(0));
        }
        let invalid = || SizeError::Invalid(text.to_owned());
        let (mut rest, mut total) = (text, 0.0);
        if rest.is_empty() {
            return Err(invalid());
        }
        while !rest.is_empty() {
            let number = rest.len()
                - rest
                    .trim_start_matches(|c: char| c.is_ascii_digit() || c == '.')
                    .len();
            let (digits, after) = rest.split_at(number);
            let amount: f64 = digits.parse().map_err(|_| invalid())?;
            let letters = after.len()
                - after
                    .trim_start_matches(|c: char| !c.is_ascii_digit() && c != '.')
                    .len();
            let (unit, next) = after.split_at(letters);
            total += amount * 1024f64.powi(exponent(unit, text)?);
            rest = next;
        }
        // Everything below 2^63 is exact enough: a fraction of a unit is a fraction of bytes.
        match total < 9.2e18 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked to be in range"
            )]
            true => Ok(Self(total as u64)),
            false => Err(SizeError::TooLarge(text.to_owned())),
        }
    }
}

/// Which power of 1024 a unit is: `B`, `KB`, `KiB` and so on.
fn exponent(unit: &str, text: &str) -> Result<i32, SizeError> {
    if unit.is_empty() {
        return Err(SizeError::MissingUnit(text.to_owned()));
    }
    let prefix = unit
        .strip_suffix("iB")
        .filter(|prefix| !prefix.is_empty())
        .or(unit.strip_suffix('B'));
    let power = prefix.and_then(|prefix| SIZE_UNITS.iter().position(|known| *known == prefix));
    let unknown = || SizeError::UnknownUnit {
        unit: unit.to_owned(),
        text: text.to_owned(),
    };
    power
        .and_then(|power| i32::try_from(power).ok())
        .ok_or_else(unknown)
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        for (power, unit) in SIZE_UNITS.iter().enumerate().rev() {
            let (size, suffix) = (1u64 << (10 * power), if power == 0 { "B" } else { "iB" });
            let count = if power == 6 {
                self.0 / size
            } else {
                self.0 / size % 1024
            };
            if count > 0 {
                write!(f, "{count}{unit}{suffix}")?;
            }
        }
        Ok(())
    }
}

macro_rules! as_text {
    ($($t:ty => $zero:expr),*) => { $(
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }

        impl Serialize for $t {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl Empty for $t {
            fn is_empty(&self) -> bool {
                self.0 == $zero
            }
        }
    )* };
}
as_text!(Duration => 0, Size => 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes, printed) in [
            ("0", 0, "0B"),
            ("15MB", 15 << 20, "15MiB"),
            ("1GiB512MiB", 1536 << 20, "1GiB512MiB"),
            ("1.5GB", 1536 << 20, "1GiB512MiB"),
            ("100B", 100, "100B"),
            ("2EB", 2 << 60, "2EiB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(
                (size.bytes(), size.to_string().as_str()),
                (bytes, printed),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for bad in [
            "", "100", "-1GB", "MB", "1XB", "1.2.3MB", "99EB", "1iB", "é", "1é",
        ] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_read_and_print() {
        let duration: Duration = "90m".parse().unwrap();
        assert_eq!(
            (duration.millis(), duration.to_string().as_str()),
            (5_400_000, "1h30m")
        );
        let error = "-1h".parse::<Duration>().unwrap_err().to_string();
        assert_eq!(error, "not a valid duration string: \"-1h\"");
    }
}
