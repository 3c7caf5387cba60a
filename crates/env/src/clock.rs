use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall time in nanoseconds since the Unix epoch. It may jump, also backwards.
    fn unix_nanos(&self) -> i64;

    /// Time since some fixed moment. It never goes backwards.
    fn monotonic(&self) -> Duration;

    /// Wall time in milliseconds since the Unix epoch.
    fn unix_millis(&self) -> i64 {
        self.unix_nanos().div_euclid(1_000_000)
    }
}

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> SystemClock {
        SystemClock {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn unix_nanos(&self) -> i64 {
        // A machine whose clock stands before 1970 is told 1970: every caller
        // treats times as points after the epoch.
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that moves only when it is told to.
///
/// ```
/// use headwater_env::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(1_000);
/// clock.advance(Duration::from_secs(2));
/// assert_eq!(clock.unix_millis(), 3_000);
/// assert_eq!(clock.monotonic(), Duration::from_secs(2));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    elapsed: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at `unix_millis`.
    pub fn new(unix_millis: i64) -> ManualClock {
        ManualClock {
            wall: AtomicI64::new(unix_millis.saturating_mul(1_000_000)),
            elapsed: AtomicI64::new(0),
        }
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let nanos = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.wall.fetch_add(nanos, Ordering::SeqCst);
        self.elapsed.fetch_add(nanos, Ordering::SeqCst);
    }

    /// Sets the wall time, as an operator or NTP may; monotonic time stays.
    pub fn set_unix_millis(&self, unix_millis: i64) {
        self.wall
            .store(unix_millis.saturating_mul(1_000_000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_nanos(&self) -> i64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.elapsed.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_jumps_but_monotonic_time_does_not() {
        let clock = ManualClock::new(5_000);
        clock.advance(Duration::from_millis(10));
        clock.set_unix_millis(1_000);
        assert_eq!(clock.unix_millis(), 1_000);
        assert_eq!(clock.monotonic(), Duration::from_millis(10));
    }

    #[test]
    fn system_clock_moves_forward() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        assert!(clock.monotonic() >= before);
        assert!(clock.unix_millis() > 0);
    }
}
