//! How long to wait before a plugin is started again.

use std::time::Duration;

use crate::config::Retries;
use crate::message::UuidSource;

/// Counts the tries of one plugin.
#[derive(Debug)]
pub(super) struct Backoff {
    settings: Retries,
    tries: i64,
    next: Duration,
    random: UuidSource,
}

impl Backoff {
    pub(super) fn new(settings: &Retries) -> Backoff {
        Backoff {
            next: settings.delay.0,
            settings: settings.clone(),
            tries: 0,
            random: UuidSource::new(),
        }
    }

    /// The next wait, or `None` if it was tried often enough.
    pub(super) fn next_wait(&mut self) -> Option<Duration> {
        if self.settings.max_retries >= 0 && self.tries >= self.settings.max_retries {
            return None;
        }
        self.tries += 1;
        let longest = self.settings.max_delay.0.max(self.settings.delay.0);
        let wait = self.next.min(longest);
        self.next = (wait * 2).min(longest);
        Some(wait + self.jitter())
    }

    /// It works again: start over.
    pub(super) fn reset(&mut self) {
        self.tries = 0;
        self.next = self.settings.delay.0;
    }

    fn jitter(&mut self) -> Duration {
        let uuid = self.random.next_uuid();
        let share = f64::from(uuid.as_bytes()[0]) / 256.0;
        self.settings.max_jitter.0.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GoDuration;

    #[test]
    fn waits_double_up_to_the_bound_and_tries_are_counted() {
        let settings = Retries {
            max_jitter: GoDuration(Duration::ZERO),
            max_delay: GoDuration(Duration::from_millis(700)),
            max_retries: 4,
            ..Retries::default()
        };
        let mut backoff = Backoff::new(&settings);
        let mut waits = || std::iter::from_fn(|| backoff.next_wait()).collect::<Vec<_>>();
        assert_eq!(waits(), [250, 500, 700, 700].map(Duration::from_millis));
        backoff.reset();
        assert_eq!(backoff.next_wait(), Some(Duration::from_millis(250)));
    }
}
