//! Token buckets: so much a second, so much at once.

use std::time::Duration;

/// How much may pass. Time comes in as a parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenBucket {
    tokens: f64,
    filled_at: Duration,
}

impl TokenBucket {
    /// A full bucket.
    pub const fn full(burst: f64, now: Duration) -> Self {
        Self {
            tokens: burst,
            filled_at: now,
        }
    }

    /// Takes `amount` if it is there; otherwise takes nothing and answers false. `now` is monotonic.
    pub fn take(&mut self, amount: f64, rate: f64, burst: f64, now: Duration) -> bool {
        let passed = now.saturating_sub(self.filled_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(burst);
        self.filled_at = now;
        let enough = amount <= self.tokens;
        if enough {
            self.tokens -= amount;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_with_time_up_to_the_burst() {
        let at = Duration::from_secs;
        let mut bucket = TokenBucket::full(10.0, at(0));
        assert!(bucket.take(10.0, 2.0, 10.0, at(0)));
        assert!(!bucket.take(1.0, 2.0, 10.0, at(0)));
        assert!(bucket.take(4.0, 2.0, 10.0, at(2)));
        assert!(
            !bucket.take(11.0, 2.0, 10.0, at(1000)),
            "more than the burst never passes"
        );
        assert!(bucket.take(10.0, 2.0, 10.0, at(1000)));
    }
}
