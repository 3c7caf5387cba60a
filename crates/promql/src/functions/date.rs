//! Parts of a date in UTC, from seconds since 1970.

use super::FunctionId;

/// Year, month (from 1) and day (from 1) of a day counted from 1970-01-01.
/// Source: Howard Hinnant, `chrono`-Compatible Low-Level Date Algorithms (`civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Years begin in March here, so that the leap day is the last one.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A moment, in seconds since 1970, as RFC 3339 has it in UTC.
pub(crate) fn rfc3339(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second % 3600 / 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Seconds from the first day that Go can tell, a first of March, to 1970.
const SECONDS_BEFORE_1970: i128 = 9_223_372_028_741_760_000;

/// The moment, in seconds since 1970, that Go takes a float for. What is not a number or too large
/// becomes the smallest integer, as on x86-64, and what is before its first day wraps around.
fn moment(seconds: f64) -> i128 {
    let out_of_range = seconds.is_nan() || seconds.abs() >= 9_223_372_036_854_775_808.0;
    let whole = if out_of_range {
        i128::from(i64::MIN)
    } else {
        i128::from(seconds as i64)
    };
    if whole < -SECONDS_BEFORE_1970 {
        whole + (1 << 64)
    } else {
        whole
    }
}

/// The part of the date that `function` names.
pub(crate) fn part(function: FunctionId, seconds: f64) -> f64 {
    let moment = moment(seconds);
    let days = moment.div_euclid(86_400) as i64;
    let second = moment.rem_euclid(86_400) as i64;
    let (year, month, day) = civil(days);
    let value = match function {
        FunctionId::Year => year,
        FunctionId::Month => month,
        FunctionId::DayOfMonth => day,
        FunctionId::DayOfWeek => (days + 4).rem_euclid(7),
        FunctionId::DayOfYear => {
            (1..month)
                .map(|month| days_in_month(year, month))
                .sum::<i64>()
                + day
        }
        FunctionId::DaysInMonth => days_in_month(year, month),
        FunctionId::Hour => second / 3600,
        _ => second % 3600 / 60,
    };
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_some_dates() {
        // 2016-02-29T23:59:58Z, a Monday in a leap year.
        let leap = 1_456_790_398.0;
        for (function, expected) in [
            (FunctionId::Year, 2016.0),
            (FunctionId::Month, 2.0),
            (FunctionId::DayOfMonth, 29.0),
            (FunctionId::DayOfWeek, 1.0),
            (FunctionId::DayOfYear, 60.0),
            (FunctionId::DaysInMonth, 29.0),
            (FunctionId::Hour, 23.0),
            (FunctionId::Minute, 59.0),
        ] {
            assert_eq!(part(function, leap), expected, "{function:?}");
        }
        assert_eq!(part(FunctionId::Year, -1.0), 1969.0);
        // 292277026596-12-04T15:30:08Z, a Sunday, is where all that is out of range ends up.
        for (function, expected) in [
            (FunctionId::Year, 292_277_026_596.0),
            (FunctionId::Month, 12.0),
            (FunctionId::DayOfMonth, 4.0),
            (FunctionId::DayOfWeek, 0.0),
            (FunctionId::DayOfYear, 339.0),
            (FunctionId::Hour, 15.0),
            (FunctionId::Minute, 30.0),
        ] {
            assert_eq!(part(function, f64::NAN), expected, "{function:?}");
            assert_eq!(part(function, 9.3e18), expected, "{function:?}");
        }
    }
}
