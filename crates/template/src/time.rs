//! Go's `time.Time` as a template value: layouts read and written, methods.

use std::fmt;

use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, Zoned};

use crate::value::{Object, Value};

/// A moment with a time zone, printed and asked as Go's `time.Time`.
#[derive(Debug, Clone, PartialEq)]
pub struct GoTime(Zoned);

/// Go's layout for printing a time without asking for one.
const DEFAULT: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

/// The pieces a layout is made of, longest first where one begins another.
const PIECES: [&str; 35] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "__2",
    "002",
    "_2",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
    ".0",
    ".9",
];

impl GoTime {
    /// A moment in UTC from nanoseconds since the epoch; moments beyond the
    /// year 9999 are held at its end.
    pub fn from_unix_nanos(nanos: i128) -> Self {
        let edge = if nanos < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        Self(
            Timestamp::from_nanosecond(nanos)
                .unwrap_or(edge)
                .to_zoned(TimeZone::UTC),
        )
    }

    /// Nanoseconds since the epoch.
    pub fn unix_nanos(&self) -> i128 {
        self.0.timestamp().as_nanosecond()
    }

    /// Go's zero time: the first second of year 1.
    pub fn zero() -> Self {
        Self::from_unix_nanos(-62_135_596_800 * 1_000_000_000)
    }

    /// The same moment seen in another zone, if that zone is known.
    pub fn in_zone(&self, name: &str) -> Option<Self> {
        Some(Self(self.0.with_time_zone(zone(name)?)))
    }

    /// Reads `text` by a Go layout; what the layout leaves out is zero, and a
    /// layout without an offset is taken to be in the named zone.
    pub fn parse(layout: &str, text: &str, zone_name: &str) -> Option<Self> {
        let mut fields = Fields::default();
        let rest = fields.read(layout, text)?;
        rest.is_empty().then_some(())?;
        fields.finish(zone_name).map(Self)
    }

    /// Writes the time by a Go layout.
    ///
    /// ```
    /// use headwater_template::GoTime;
    /// let time = GoTime::from_unix_nanos(1_673_798_889_902_000_000);
    /// assert_eq!(time.format("Mon, 02 Jan 2006 15:04:05.000 MST"), "Sun, 15 Jan 2023 16:08:09.902 UTC");
    /// ```
    pub fn format(&self, layout: &str) -> String {
        let mut out = String::with_capacity(layout.len() + 8);
        let mut rest = layout;
        while let Some(c) = rest.chars().next() {
            match piece_at(rest) {
                Some(piece) => {
                    self.write(piece, &mut out);
                    rest = &rest[piece.len()..];
                }
                None => {
                    out.push(c);
                    rest = &rest[c.len_utf8()..];
                }
            }
        }
        out
    }

    fn write(&self, piece: &str, out: &mut String) {
        let t = &self.0;
        let month = MONTHS[t.month() as usize - 1];
        let day = DAYS[t.weekday().to_monday_zero_offset() as usize];
        let hour12 = (t.hour() + 11) % 12 + 1;
        let text = match piece {
            "January" => month.to_owned(),
            "Jan" => month[..3].to_owned(),
            "Monday" => day.to_owned(),
            "Mon" => day[..3].to_owned(),
            "MST" => self.zone_name(),
            "2006" => format!("{:04}", t.year()),
            "06" => format!("{:02}", t.year().rem_euclid(100)),
            "01" => format!("{:02}", t.month()),
            "1" => t.month().to_string(),
            "02" => format!("{:02}", t.day()),
            "_2" => format!("{:2}", t.day()),
            "2" => t.day().to_string(),
            "002" => format!("{:03}", t.day_of_year()),
            "__2" => format!("{:3}", t.day_of_year()),
            "15" => format!("{:02}", t.hour()),
            "03" => format!("{hour12:02}"),
            "3" => hour12.to_string(),
            "04" => format!("{:02}", t.minute()),
            "4" => t.minute().to_string(),
            "05" => format!("{:02}", t.second()),
            "5" => t.second().to_string(),
            "PM" => if t.hour() < 12 { "AM" } else { "PM" }.to_owned(),
            "pm" => if t.hour() < 12 { "am" } else { "pm" }.to_owned(),
            fraction if fraction.starts_with(['.', ',']) => self.fraction(fraction),
            offset => self.offset(offset),
        };
        out.push_str(&text);
    }

    fn fraction(&self, piece: &str) -> String {
        let nanos = format!("{:09}", self.0.subsec_nanosecond());
        let digits = &nanos[..(piece.len() - 1).min(9)];
        let digits = match piece.ends_with('9') {
            true => digits.trim_end_matches('0'),
            false => digits,
        };
        match digits {
            "" => String::new(),
            digits => format!("{}{digits}", &piece[..1]),
        }
    }

    fn offset(&self, piece: &str) -> String {
        let seconds = self.0.offset().seconds();
        if seconds == 0 && piece.starts_with('Z') {
            return "Z".to_owned();
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let (h, m, s) = (
            seconds.abs() / 3600,
            seconds.abs() / 60 % 60,
            seconds.abs() % 60,
        );
        match &piece[1..] {
            "07" => format!("{sign}{h:02}"),
            "0700" => format!("{sign}{h:02}{m:02}"),
            "07:00" => format!("{sign}{h:02}:{m:02}"),
            "070000" => format!("{sign}{h:02}{m:02}{s:02}"),
            _ => format!("{sign}{h:02}:{m:02}:{s:02}"),
        }
    }

    fn zone_name(&self) -> String {
        let name = self.0.strftime("%Z").to_string();
        match name.starts_with(['+', '-']) {
            true => self.offset("-0700"),
            false => name,
        }
    }
}

fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" | "Local" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

/// The piece a layout begins with, if any.
fn piece_at(layout: &str) -> Option<&str> {
    if layout.starts_with(['.', ',']) {
        let digit = layout[1..]
            .chars()
            .next()
            .filter(|c| matches!(c, '0' | '9'))?;
        let run = layout[1..].len() - layout[1..].trim_start_matches(digit).len();
        let after = layout[1 + run..].chars().next();
        return (!after.is_some_and(|c| c.is_ascii_digit())).then(|| &layout[..1 + run]);
    }
    let piece = PIECES.iter().find(|piece| layout.starts_with(**piece))?;
    // A name that goes on in lower case is some other word, as Go has it.
    let after = layout[piece.len()..].chars().next();
    let word = matches!(*piece, "Jan" | "Mon") && after.is_some_and(|c| c.is_ascii_lowercase());
    (!word).then(|| &layout[..piece.len()])
}

/// What a layout found in a text.
#[derive(Debug)]
struct Fields {
    year: i16,
    month: i8,
    day: i8,
    yearday: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    pm: Option<bool>,
    offset: Option<i32>,
    utc: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            year: 0,
            month: 1,
            day: 1,
            yearday: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanos: 0,
            pm: None,
            offset: None,
            utc: false,
        }
    }
}

impl Fields {
    fn read<'t>(&mut self, layout: &str, text: &'t str) -> Option<&'t str> {
        let (mut layout, mut text) = (layout, text);
        while let Some(c) = layout.chars().next() {
            match piece_at(layout) {
                Some(piece) => {
                    layout = &layout[piece.len()..];
                    text = self.piece(piece, text)?;
                    if matches!(piece, "05" | "5")
                        && piece_at(layout).is_none_or(|p| !p.starts_with(['.', ',']))
                    {
                        text = self.unasked_fraction(text);
                    }
                }
                None => {
                    layout = &layout[c.len_utf8()..];
                    text = text.strip_prefix(c)?;
                }
            }
        }
        Some(text)
    }

    /// A fraction may follow the seconds even if the layout does not name it.
    fn unasked_fraction<'t>(&mut self, text: &'t str) -> &'t str {
        let digits = text.strip_prefix(['.', ',']).map_or(0, |t| digits(t, 9));
        if digits == 0 {
            return text;
        }
        self.nanos = nanos(&text[1..=digits]);
        &text[1 + digits..]
    }

    fn piece<'t>(&mut self, piece: &str, text: &'t str) -> Option<&'t str> {
        let (value, rest) = match piece {
            "January" | "Jan" => {
                let (at, rest) = named(text, &MONTHS, piece == "Jan")?;
                self.month = at as i8 + 1;
                return Some(rest);
            }
            "Monday" | "Mon" => return Some(named(text, &DAYS, piece == "Mon")?.1),
            "MST" => return self.named_zone(text),
            "PM" | "pm" => {
                let upper = text.get(..2)?.to_uppercase();
                self.pm = Some(match upper.as_str() {
                    "PM" => true,
                    "AM" => false,
                    _ => return None,
                });
                return Some(&text[2..]);
            }
            "2006" => number(text, 4, 4)?,
            "002" => number(text, 3, 3)?,
            "01" | "02" | "03" | "04" | "05" | "06" => number(text, 2, 2)?,
            "_2" => number(text.trim_start_matches(' '), 1, 2)?,
            "__2" => number(text.trim_start_matches(' '), 1, 3)?,
            "15" | "1" | "2" | "3" | "4" | "5" => number(text, 1, 2)?,
            fraction if fraction.starts_with(['.', ',']) => return self.fraction(fraction, text),
            offset => return self.offset(offset, text),
        };
        self.store(piece, value);
        Some(rest)
    }

    fn store(&mut self, piece: &str, value: i32) {
        match piece {
            "2006" => self.year = value as i16,
            "06" => self.year = if value >= 69 { 1900 } else { 2000 } + value as i16,
            "01" | "1" => self.month = value as i8,
            "02" | "_2" | "2" => self.day = value as i8,
            "002" | "__2" => self.yearday = Some(value as i16),
            "15" | "03" | "3" => self.hour = value as i8,
            "04" | "4" => self.minute = value as i8,
            _ => self.second = value as i8,
        }
    }

    fn fraction<'t>(&mut self, piece: &str, text: &'t str) -> Option<&'t str> {
        let optional = piece.ends_with('9');
        let Some(after) = text.strip_prefix(['.', ',']) else {
            return optional.then_some(text);
        };
        let most = if optional { 9 } else { piece.len() - 1 };
        let len = digits(after, most);
        if len == 0 || (!optional && len != most) {
            return None;
        }
        self.nanos = nanos(&after[..len]);
        Some(&after[len..])
    }

    fn offset<'t>(&mut self, piece: &str, text: &'t str) -> Option<&'t str> {
        if let (true, Some(rest)) = (piece.starts_with('Z'), text.strip_prefix('Z')) {
            self.utc = true;
            return Some(rest);
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let mut rest = &text[1..];
        let mut seconds = 0;
        for unit in [3600, 60, 1] {
            if unit != 3600 && piece.contains(':') {
                rest = rest.strip_prefix(':')?;
            }
            let (value, after) = number(rest, 2, 2)?;
            seconds += value * unit;
            rest = after;
            if seconds_done(piece, unit) {
                break;
            }
        }
        self.offset = Some(sign * seconds);
        Some(rest)
    }

    fn named_zone<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        let end = text
            .find(|c: char| !c.is_ascii_uppercase())
            .unwrap_or(text.len());
        if !(3..=5).contains(&end) {
            return None;
        }
        self.utc = &text[..end] == "UTC";
        Some(&text[end..])
    }

    fn finish(self, zone_name: &str) -> Option<Zoned> {
        let hour = match (self.pm, self.hour) {
            (Some(true), h) if h < 12 => h + 12,
            (Some(false), 12) => 0,
            (_, h) => h,
        };
        let date = match self.yearday {
            Some(day) => Date::new(self.year, 1, 1)
                .ok()?
                .with()
                .day_of_year(day)
                .build()
                .ok()?,
            None => Date::new(self.year, self.month, self.day).ok()?,
        };
        let time = jiff::civil::Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let zone = match (self.utc, self.offset) {
            (true, _) | (_, Some(0)) => TimeZone::UTC,
            (_, Some(seconds)) => TimeZone::fixed(Offset::from_seconds(seconds).ok()?),
            _ => zone(zone_name)?,
        };
        DateTime::from_parts(date, time).to_zoned(zone).ok()
    }
}

/// Whether the offset piece ends with the unit just read.
fn seconds_done(piece: &str, unit: i32) -> bool {
    match piece.chars().filter(char::is_ascii_digit).count() {
        2 => true,
        4 => unit == 60,
        _ => unit == 1,
    }
}

/// How many digits a text begins with, at most `most`.
fn digits(text: &str, most: usize) -> usize {
    text.bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count()
}

fn nanos(digits: &str) -> i32 {
    format!("{digits:0<9}").parse().unwrap_or(0)
}

fn number(text: &str, least: usize, most: usize) -> Option<(i32, &str)> {
    let len = digits(text, most);
    (len >= least).then_some(())?;
    Some((text[..len].parse().ok()?, &text[len..]))
}

/// A month or weekday, in full or by its first three letters.
fn named<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(at, name)| {
        let name = if short { &name[..3] } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name)
            .then(|| (at, &text[name.len()..]))
    })
}

impl fmt::Display for GoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format(DEFAULT))
    }
}

impl Object for GoTime {
    fn type_name(&self) -> &str {
        "time.Time"
    }

    fn method(&self, name: &str, args: &[Value]) -> Option<Result<Value, String>> {
        let t = &self.0;
        Some(Ok(match (name, args) {
            ("Format", [Value::Str(layout)]) => Value::from(self.format(layout)),
            ("Unix", []) => Value::Int(t.timestamp().as_second()),
            ("UnixMilli", []) => Value::Int(t.timestamp().as_millisecond()),
            ("UnixMicro", []) => Value::Int(t.timestamp().as_microsecond()),
            ("UnixNano", []) => Value::Int(self.unix_nanos() as i64),
            ("Year", []) => Value::Int(t.year().into()),
            ("Month", []) => Value::str(MONTHS[t.month() as usize - 1]),
            ("Weekday", []) => Value::str(DAYS[t.weekday().to_monday_zero_offset() as usize]),
            ("Day", []) => Value::Int(t.day().into()),
            ("YearDay", []) => Value::Int(t.day_of_year().into()),
            ("Hour", []) => Value::Int(t.hour().into()),
            ("Minute", []) => Value::Int(t.minute().into()),
            ("Second", []) => Value::Int(t.second().into()),
            ("Nanosecond", []) => Value::Int(t.subsec_nanosecond().into()),
            ("UTC", []) => Value::object(Self(t.with_time_zone(TimeZone::UTC))),
            ("IsZero", []) => Value::Bool(*self == Self::zero()),
            ("String", []) => Value::from(self.to_string()),
            ("Add", [Value::Int(nanos)]) => self.shifted(i128::from(*nanos)),
            ("AddDate", [Value::Int(y), Value::Int(m), Value::Int(d)]) => {
                let span = jiff::Span::new()
                    .try_years(*y)
                    .and_then(|s| s.try_months(*m));
                let span = span.and_then(|s| s.try_days(*d));
                match span.and_then(|s| t.checked_add(s)) {
                    Ok(moved) => Value::object(Self(moved)),
                    Err(e) => return Some(Err(e.to_string())),
                }
            }
            ("After" | "Before" | "Equal" | "Sub", [other]) => {
                let Some(other) = other.downcast::<Self>() else {
                    return Some(Err(format!("{name} wants a time.Time")));
                };
                self.against(name, other)
            }
            _ => return None,
        }))
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl GoTime {
    fn shifted(&self, nanos: i128) -> Value {
        let moved = Self::from_unix_nanos(self.unix_nanos().saturating_add(nanos));
        Value::object(Self(moved.0.with_time_zone(self.0.time_zone().clone())))
    }

    fn against(&self, name: &str, other: &Self) -> Value {
        let (a, b) = (self.unix_nanos(), other.unix_nanos());
        match name {
            "After" => Value::Bool(a > b),
            "Before" => Value::Bool(a < b),
            "Equal" => Value::Bool(a == b),
            _ => Value::Int((a - b).clamp(i64::MIN.into(), i64::MAX.into()) as i64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_layouts() {
        let t = GoTime::from_unix_nanos(1_136_239_445_120_000_000);
        for (layout, want) in [
            ("2006-01-02T15:04:05Z07:00", "2006-01-02T22:04:05Z"),
            ("Mon Jan _2 15:04:05 2006", "Mon Jan  2 22:04:05 2006"),
            ("3:04PM", "10:04PM"),
            (
                "2006-01-02T15:04:05.999999999Z07:00",
                "2006-01-02T22:04:05.12Z",
            ),
            ("05.000", "05.120"),
            ("Monday, 02-Jan-06", "Monday, 02-Jan-06"),
            ("002 -0700", "002 +0000"),
            ("", ""),
        ] {
            assert_eq!(t.format(layout), want, "{layout}");
        }
        assert_eq!(t.to_string(), "2006-01-02 22:04:05.12 +0000 UTC");
    }

    #[test]
    fn reads_layouts() {
        let read =
            |layout: &str, text: &str| GoTime::parse(layout, text, "UTC").map(|t| t.to_string());
        let want = Some("2023-01-15 16:08:09 +0000 UTC".to_owned());
        assert_eq!(
            read("2006-01-02T15:04:05Z07:00", "2023-01-15T16:08:09Z"),
            want
        );
        assert_eq!(
            read("Jan 2, 2006 at 3:04:05PM", "Jan 15, 2023 at 4:08:09PM"),
            want
        );
        assert_eq!(
            read("2006-01-02T15:04:05Z07:00", "2023-01-15T16:08:09.5+01:30").as_deref(),
            Some("2023-01-15 16:08:09.5 +0130 +0130")
        );
        assert_eq!(read("2006-01-02", "2023-13-15"), None);
        assert_eq!(read("2006-01-02", "2023-01-15x"), None);
        assert_eq!(GoTime::zero().to_string(), "0001-01-01 00:00:00 +0000 UTC");
    }
}
