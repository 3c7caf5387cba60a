//! When a change is told: soon if all was quiet, later and later while changes keep coming.

use std::time::Duration;

use tokio::time::Instant;

/// Decides; whoever asks does the waiting.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    shortest: Duration,
    longest: Duration,
    wait: Duration,
    told: Option<Instant>,
}

impl Throttle {
    /// Changes are told after `shortest` at least, so that what comes together is told together, and
    /// never more often than every `longest` if they do not end.
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self {
            shortest,
            longest: longest.max(shortest),
            wait: shortest,
            told: None,
        }
    }

    /// When a change that came `now`, with nothing untold before it, is to be told.
    pub(crate) fn due(&mut self, now: Instant) -> Instant {
        let soonest = now + self.shortest;
        let Some(told) = self.told.filter(|told| now < *told + self.longest) else {
            self.wait = self.shortest;
            return soonest;
        };
        self.wait = (self.wait * 2).clamp(self.shortest, self.longest);
        soonest.max(told + self.wait)
    }

    /// All is told.
    pub(crate) fn told(&mut self, now: Instant) {
        self.told = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn quiet_is_answered_soon_and_noise_late() {
        let ms = Duration::from_millis;
        let mut throttle = Throttle::new(ms(100), ms(5000));
        let mut now = Instant::now();
        let mut waits = Vec::new();
        // Each change comes just after the one before was told.
        for _ in 0..8 {
            let due = throttle.due(now);
            waits.push(due - now);
            now = due;
            throttle.told(now);
        }
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000].map(ms));
        assert_eq!(throttle.due(now + ms(5000)) - now, ms(5100));
    }
}
