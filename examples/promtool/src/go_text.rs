//! Texts as Go's standard library prints them.

use std::time::Duration;

/// A duration as Go's `Duration.String`: `1h2m3.5s`, `20.465608ms`, `230ns`.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let fraction = |unit: u128| {
        let width = unit.ilog10() as usize;
        let digits = format!("{:0width$}", nanos % unit);
        match digits.trim_end_matches('0') {
            "" => (nanos / unit).to_string(),
            digits => format!("{}.{digits}", nanos / unit),
        }
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", fraction(1_000_000)),
        _ => long(duration),
    }
}

fn long(duration: Duration) -> String {
    let minutes = duration.as_secs() / 60;
    let rest = duration - Duration::from_secs(minutes * 60);
    let seconds = format!("{}.{:09}", rest.as_secs(), rest.subsec_nanos());
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// A time in milliseconds as Go prints times in UTC: `2021-01-06 17:37:16 +0000 UTC`.
pub(crate) fn utc(millis: i64) -> String {
    let seconds = millis.div_euclid(1000);
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| millis.to_string(),
        |time| time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_look_like_those_of_go() {
        assert_eq!(utc(1_609_954_636_000), "2021-01-06 17:37:16 +0000 UTC");
    }

    #[test]
    fn durations_look_like_those_of_go() {
        let cases = [
            (0, "0s"),
            (230, "230ns"),
            (305_649, "305.649µs"),
            (20_465_608, "20.465608ms"),
            (193_000_000, "193ms"),
            (1_500_000_000, "1.5s"),
            (2_000_000_000, "2s"),
            (61_000_000_001, "1m1.000000001s"),
            (7_200_000_000_000, "2h0m0s"),
        ];
        for (nanos, text) in cases {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
    }
}
