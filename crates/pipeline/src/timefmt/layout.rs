//! Reading times with Go's layouts, which show how the moment
//! `Mon Jan 2 15:04:05 -0700 2006` would be written.

use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

use super::{MONTHS, WEEKDAYS};

/// A layout, read once.
#[derive(Debug, Clone)]
pub struct Layout {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(Vec<u8>),
    LongMonth,
    Month,
    MonthNumber,
    LongWeekday,
    Weekday,
    Day,
    DayOfYear,
    Hour24,
    Hour12,
    Minute,
    Second,
    Year,
    ShortYear,
    AmPm,
    ZoneName,
    /// `Z` also stands for no offset; with or without colon; with minutes.
    Offset {
        zulu: bool,
        colon: bool,
        minutes: bool,
        seconds: bool,
    },
    /// `.000`: exactly so many digits behind a dot or comma.
    Fraction(usize),
    /// `.999`: any digits, or none.
    AnyFraction,
}

/// Layout texts, the longer before those they start with.
const TOKENS: &[(&str, Piece)] = &[
    ("January", Piece::LongMonth),
    ("Jan", Piece::Month),
    ("Monday", Piece::LongWeekday),
    ("Mon", Piece::Weekday),
    ("MST", Piece::ZoneName),
    ("2006", Piece::Year),
    ("002", Piece::DayOfYear),
    ("01", Piece::MonthNumber),
    ("02", Piece::Day),
    ("03", Piece::Hour12),
    ("04", Piece::Minute),
    ("05", Piece::Second),
    ("06", Piece::ShortYear),
    ("15", Piece::Hour24),
    ("PM", Piece::AmPm),
    ("pm", Piece::AmPm),
    ("-07:00:00", offset(false, true, true, true)),
    ("-070000", offset(false, false, true, true)),
    ("-07:00", offset(false, true, true, false)),
    ("-0700", offset(false, false, true, false)),
    ("-07", offset(false, false, false, false)),
    ("Z07:00:00", offset(true, true, true, true)),
    ("Z070000", offset(true, false, true, true)),
    ("Z07:00", offset(true, true, true, false)),
    ("Z0700", offset(true, false, true, false)),
    ("Z07", offset(true, false, false, false)),
    ("_2", Piece::Day),
    ("1", Piece::MonthNumber),
    ("2", Piece::Day),
    ("3", Piece::Hour12),
    ("4", Piece::Minute),
    ("5", Piece::Second),
];

const fn offset(zulu: bool, colon: bool, minutes: bool, seconds: bool) -> Piece {
    Piece::Offset {
        zulu,
        colon,
        minutes,
        seconds,
    }
}

impl Layout {
    /// Reads a layout. Whatever is no part of the sample moment is text.
    pub fn new(layout: &str) -> Layout {
        let mut pieces = Vec::new();
        let mut text = Vec::new();
        let mut rest = layout;
        while let Some(first) = rest.chars().next() {
            let token = fraction(rest).or_else(|| {
                let found = TOKENS.iter().find(|(token, _)| rest.starts_with(token))?;
                Some((found.0.len(), found.1.clone()))
            });
            let (len, piece) = match token {
                Some((len, piece)) => (len, Some(piece)),
                None => (first.len_utf8(), None),
            };
            match piece {
                Some(piece) => {
                    if !text.is_empty() {
                        pieces.push(Piece::Text(std::mem::take(&mut text)));
                    }
                    pieces.push(piece);
                }
                None => text.extend_from_slice(&rest.as_bytes()[..len]),
            }
            rest = &rest[len..];
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text));
        }
        Layout { pieces }
    }

    /// The moment that `text` tells, in nanoseconds since 1970. Without an
    /// offset it is a time in `zone`; without a year it is in `year`.
    pub fn parse(&self, text: &str, zone: &TimeZone, year: i16) -> Option<i64> {
        let mut reader = Reader {
            rest: text.as_bytes(),
            parts: Parts::default(),
        };
        for (index, piece) in self.pieces.iter().enumerate() {
            reader.piece(piece)?;
            // As in Go, digits of a second may follow though the layout has
            // none.
            let fraction_next = matches!(
                self.pieces.get(index + 1),
                Some(Piece::Fraction(_) | Piece::AnyFraction)
            );
            if *piece == Piece::Second && !fraction_next {
                reader.any_fraction()?;
            }
        }
        if !reader.rest.is_empty() {
            return None;
        }
        reader.parts.moment(zone, year)
    }
}

/// `.000`, `,000`, `.999`: a run of one digit behind a dot or comma that no
/// other digit follows.
fn fraction(layout: &str) -> Option<(usize, Piece)> {
    let bytes = layout.as_bytes();
    if !matches!(bytes.first(), Some(b'.' | b',')) {
        return None;
    }
    let digit = *bytes.get(1)?;
    let run = bytes[1..].iter().take_while(|b| **b == digit).count();
    if bytes.get(1 + run).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    match digit {
        b'0' => Some((run + 1, Piece::Fraction(run))),
        b'9' => Some((run + 1, Piece::AnyFraction)),
        _ => None,
    }
}

#[derive(Default)]
struct Parts {
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: i8,
    afternoon: Option<bool>,
    minute: i8,
    second: i8,
    nanos: i32,
    offset: Option<i32>,
    /// A zone's name was given: unknown names mean UTC, as in Go.
    named: bool,
}

impl Parts {
    fn moment(&self, zone: &TimeZone, year: i16) -> Option<i64> {
        let hour = match self.afternoon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let year = self.year.unwrap_or(year);
        let month = self.month.unwrap_or(1);
        let day = self.day.unwrap_or(1);
        let mut time =
            DateTime::new(year, month, day, hour, self.minute, self.second, self.nanos).ok()?;
        if let Some(day) = self.day_of_year {
            time = time.with().day_of_year(day).build().ok()?;
        }
        let zone = match self.offset {
            Some(seconds) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
            None if self.named => TimeZone::UTC,
            None => zone.clone(),
        };
        super::nanos(&zone.to_zoned(time).ok()?)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    parts: Parts,
}

impl Reader<'_> {
    fn piece(&mut self, piece: &Piece) -> Option<()> {
        let parts = |reader: &mut Self, min, max| reader.number(min, max);
        match piece {
            Piece::Text(text) => self.text(text)?,
            Piece::LongMonth => self.parts.month = Some(self.name(&MONTHS, usize::MAX)? as i8 + 1),
            Piece::Month => self.parts.month = Some(self.name(&MONTHS, 3)? as i8 + 1),
            Piece::LongWeekday => drop(self.name(&WEEKDAYS, usize::MAX)?),
            Piece::Weekday => drop(self.name(&WEEKDAYS, 3)?),
            Piece::MonthNumber => self.parts.month = Some(parts(self, 1, 2)? as i8),
            Piece::Day => {
                if self.rest.first() == Some(&b' ') {
                    self.rest = &self.rest[1..];
                }
                self.parts.day = Some(parts(self, 1, 2)? as i8);
            }
            Piece::DayOfYear => self.parts.day_of_year = Some(parts(self, 3, 3)? as i16),
            Piece::Hour24 | Piece::Hour12 => self.parts.hour = parts(self, 1, 2)? as i8,
            Piece::Minute => self.parts.minute = parts(self, 1, 2)? as i8,
            Piece::Second => self.parts.second = parts(self, 1, 2)? as i8,
            Piece::Year => self.parts.year = Some(parts(self, 4, 4)? as i16),
            Piece::ShortYear => {
                let year = parts(self, 2, 2)? as i16;
                self.parts.year = Some(if year >= 69 { 1900 + year } else { 2000 + year });
            }
            Piece::AmPm => self.parts.afternoon = Some(self.name(&["AM", "PM"], 2)? == 1),
            Piece::ZoneName => self.zone_name()?,
            Piece::Offset {
                zulu,
                colon,
                minutes,
                seconds,
            } => self.offset(*zulu, *colon, *minutes, *seconds)?,
            Piece::Fraction(digits) => self.fraction(*digits)?,
            Piece::AnyFraction => self.any_fraction()?,
        }
        Some(())
    }

    fn text(&mut self, text: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn number(&mut self, min: usize, max: usize) -> Option<u32> {
        let digits = self
            .rest
            .iter()
            .take(max)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits < min {
            return None;
        }
        let (number, rest) = self.rest.split_at(digits);
        self.rest = rest;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    /// Which of `names`, the first `len` letters of each, comes next.
    fn name(&mut self, names: &[&str], len: usize) -> Option<usize> {
        let place = names.iter().position(|name| {
            let name = &name.as_bytes()[..name.len().min(len)];
            self.rest
                .get(..name.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(name))
        })?;
        self.rest = &self.rest[names[place].len().min(len)..];
        Some(place)
    }

    fn zone_name(&mut self) -> Option<()> {
        let letters = self
            .rest
            .iter()
            .take_while(|b| b.is_ascii_uppercase())
            .count();
        if !(3..=5).contains(&letters) {
            return None;
        }
        self.rest = &self.rest[letters..];
        self.parts.named = true;
        Some(())
    }

    fn offset(&mut self, zulu: bool, colon: bool, minutes: bool, seconds: bool) -> Option<()> {
        if zulu && self.rest.first() == Some(&b'Z') {
            self.rest = &self.rest[1..];
            self.parts.offset = Some(0);
            return Some(());
        }
        let sign = match self.rest.first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let mut total = self.number(2, 2)? as i32 * 3600;
        for (present, unit) in [(minutes, 60), (seconds, 1)] {
            if present {
                if colon {
                    self.text(b":")?;
                }
                total += self.number(2, 2)? as i32 * unit;
            }
        }
        self.parts.offset = Some(sign * total);
        Some(())
    }

    fn fraction(&mut self, digits: usize) -> Option<()> {
        if !matches!(self.rest.first(), Some(b'.' | b',')) {
            return None;
        }
        self.rest = &self.rest[1..];
        let found = self.rest.get(..digits)?;
        self.parts.nanos = nanos_of(found)?;
        self.rest = &self.rest[digits..];
        Some(())
    }

    fn any_fraction(&mut self) -> Option<()> {
        let mark = matches!(self.rest.first(), Some(b'.' | b','));
        let digits = self
            .rest
            .iter()
            .skip(1)
            .take_while(|b| b.is_ascii_digit())
            .count();
        if mark && digits > 0 {
            return self.fraction(digits);
        }
        Some(())
    }
}

/// Digits behind the point as nanoseconds; more than nine are cut.
fn nanos_of(digits: &[u8]) -> Option<i32> {
    let mut nanos = 0;
    for place in 0..9 {
        let digit = *digits.get(place).unwrap_or(&b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        nanos = nanos * 10 + i32::from(digit - b'0');
    }
    Some(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(layout: &str, text: &str) -> Option<i64> {
        Layout::new(layout).parse(text, &TimeZone::UTC, 2014)
    }

    const AT: i64 = 1_389_337_496_000_000_000;

    #[test]
    fn common_layouts_are_read() {
        for (layout, text) in [
            ("2006-01-02 15:04:05", "2014-01-10 07:04:56"),
            ("02/Jan/2006:15:04:05 -0700", "10/Jan/2014:08:04:56 +0100"),
            ("Mon Jan _2 15:04:05 2006", "Fri Jan 10 07:04:56 2014"),
            ("2006-01-02T15:04:05Z07:00", "2014-01-10T07:04:56Z"),
            ("Jan _2 15:04:05", "Jan 10 07:04:56"),
            (
                "Monday, 02-Jan-06 03:04:05 PM MST",
                "Friday, 10-Jan-14 07:04:56 AM UTC",
            ),
        ] {
            assert_eq!(parse(layout, text), Some(AT), "{layout}");
        }
    }

    #[test]
    fn fractions_are_read_with_and_without_a_place_in_the_layout() {
        let half = Some(AT + 500_000_000);
        assert_eq!(
            parse("2006-01-02 15:04:05,000", "2014-01-10 07:04:56,500"),
            half
        );
        assert_eq!(
            parse("2006-01-02 15:04:05.999", "2014-01-10 07:04:56.5"),
            half
        );
        assert_eq!(parse("2006-01-02 15:04:05", "2014-01-10 07:04:56.5"), half);
    }

    #[test]
    fn what_does_not_fit_is_no_time() {
        for text in [
            "2014-13-10 07:04:56",
            "2014-01-10",
            "x",
            "2014-01-10 07:04:56 x",
        ] {
            assert_eq!(parse("2006-01-02 15:04:05", text), None, "{text}");
        }
    }
}
