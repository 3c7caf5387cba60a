//! Times in text: Go's layouts for reading, strftime for writing.

mod layout;
mod strftime;

pub use layout::Layout;
pub use strftime::{StrfTime, rfc3339_utc};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The months of a year.
pub(crate) const MONTHS: [&str; 12] = [
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

/// The days of a week, which begins on Sunday.
pub(crate) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A moment in nanoseconds since 1970 as date and time in UTC. Every i64 is
/// within the range of years that jiff covers.
pub(crate) fn utc(nanos: i64) -> DateTime {
    let moment = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or(Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(moment)
}

pub(crate) fn nanos(zoned: &Zoned) -> Option<i64> {
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}
