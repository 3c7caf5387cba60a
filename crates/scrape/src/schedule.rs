//! When a target is scraped.

use std::time::Duration;

/// How long to wait before the first scrape of a target, so that targets are spread evenly over
/// the interval, each at the same phase after a restart, and servers with different seeds at
/// different moments.
pub(crate) fn first_scrape_in(
    identity: u64,
    seed: u64,
    interval: Duration,
    now_nanos: i64,
) -> Duration {
    let interval = u64::try_from(interval.as_nanos())
        .unwrap_or(u64::MAX)
        .max(1);
    let now = u64::try_from(now_nanos).unwrap_or(0);
    let to_next_multiple = interval - now % interval;
    let phase = (identity ^ seed) % interval;
    Duration::from_nanos((to_next_multiple + phase) % interval)
}

/// The time that a scrape is written under: the scheduled one if the actual one is no more than
/// two milliseconds (or a hundredth of the interval) late, because regular times compress better.
pub(crate) fn snap(actual_nanos: i64, scheduled_nanos: i64, interval: Duration) -> i64 {
    const TOLERANCE: Duration = Duration::from_millis(2);
    let tolerance = TOLERANCE.min(interval / 100);
    let late = actual_nanos - scheduled_nanos;
    let close = late >= 0 && late as u128 <= tolerance.as_nanos();
    if close { scheduled_nanos } else { actual_nanos }
}

/// The latest moment of the schedule that is not after `now`. A clock that was set back by more
/// than an interval begins a new schedule.
pub(crate) fn advance(mut scheduled_nanos: i64, now_nanos: i64, interval: Duration) -> i64 {
    let interval = i64::try_from(interval.as_nanos())
        .unwrap_or(i64::MAX)
        .max(1);
    if scheduled_nanos.saturating_sub(now_nanos) > interval {
        return now_nanos;
    }
    if now_nanos > scheduled_nanos {
        scheduled_nanos += (now_nanos - scheduled_nanos) / interval * interval;
    }
    scheduled_nanos
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn the_phase_does_not_depend_on_now() {
        let interval = Duration::from_secs(15);
        let phase = |now: i64| {
            let wait = first_scrape_in(12345, 678, interval, now);
            assert!(wait < interval);
            (now + wait.as_nanos() as i64) % (15 * SECOND)
        };
        assert_eq!(phase(0), phase(7 * SECOND + 3));
        assert_eq!(phase(0), phase(1_700_000_000 * SECOND));
    }

    #[test]
    fn seeds_spread_servers() {
        let wait = |seed| first_scrape_in(1 << 40, seed, Duration::from_secs(15), 0);
        assert_ne!(wait(1), wait(1 << 33));
    }

    #[test]
    fn times_snap_to_the_schedule() {
        let interval = Duration::from_secs(1);
        assert_eq!(snap(SECOND + 1_500_000, SECOND, interval), SECOND);
        assert_eq!(
            snap(SECOND + 2_500_000, SECOND, interval),
            SECOND + 2_500_000
        );
        assert_eq!(snap(SECOND - 1, SECOND, interval), SECOND - 1);
        // A hundredth of 100 ms.
        assert_eq!(snap(1_500_000, 0, Duration::from_millis(100)), 1_500_000);
    }

    #[test]
    fn missed_scrapes_are_skipped() {
        assert_eq!(
            advance(10, 10 + 3 * SECOND + 5, Duration::from_secs(1)),
            10 + 3 * SECOND
        );
        assert_eq!(advance(10, 5, Duration::from_secs(1)), 10);
        assert_eq!(
            advance(10 * SECOND, 5 * SECOND, Duration::from_secs(1)),
            5 * SECOND
        );
    }
}
