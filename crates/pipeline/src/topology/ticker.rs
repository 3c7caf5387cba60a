//! When the next tick is due.

use std::time::{Duration, Instant};

/// Ticks at a fixed interval. Ticks that were missed are not made up for.
#[derive(Debug)]
pub(super) struct Ticker {
    interval: Option<Duration>,
    next: Option<Instant>,
}

impl Ticker {
    pub(super) fn new(interval: Option<Duration>) -> Ticker {
        Ticker {
            interval,
            next: interval.map(|interval| Instant::now() + interval),
        }
    }

    /// When the next tick is due, if it ticks.
    pub(super) fn at(&self) -> Option<Instant> {
        self.next
    }

    /// Whether a tick is due; if so the next one is set.
    pub(super) fn is_due(&mut self) -> bool {
        let (Some(interval), Some(next)) = (self.interval, self.next) else {
            return false;
        };
        let now = Instant::now();
        if now < next {
            return false;
        }
        let later = next + interval;
        self.next = Some(if later > now { later } else { now + interval });
        true
    }
}
