//! When maintenance has to come before its time.
//!
//! Finished chunks go to files, and full ranges of time to blocks, once a
//! minute. Samples that are sent as fast as they can be read fill a head with
//! hours in that time: so many of them call maintenance at once.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Fewer samples since the last round call nobody: some ten megabytes of chunks.
const LEAST_SAMPLES: u64 = 4 << 20;
/// Nor do fewer samples a series than these: a round looks at every series, which
/// takes the time of an append or so.
const SAMPLES_A_SERIES: u64 = 32;

type Call = Box<dyn Fn() + Send + Sync>;

/// What has come since the last round of maintenance, and who does the next one.
#[derive(Default)]
pub(crate) struct Growth {
    /// Samples that there had been at the last round.
    seen: AtomicU64,
    /// Somebody was called since.
    called: AtomicBool,
    call: OnceLock<Call>,
}

impl Growth {
    /// Says whom to call; the first one stays. To be called must not take long.
    pub(crate) fn on_due(&self, call: impl Fn() + Send + Sync + 'static) {
        let _ = self.call.set(Box::new(call));
    }

    /// There are so many samples and series now.
    pub(crate) fn note(&self, samples: u64, series: u32) {
        let since = samples.saturating_sub(self.seen.load(Ordering::Relaxed));
        let enough = LEAST_SAMPLES.max(SAMPLES_A_SERIES * u64::from(series));
        if since >= enough
            && let Some(call) = self.call.get()
            && !self.called.swap(true, Ordering::AcqRel)
        {
            call();
        }
    }

    /// Whether somebody was called who has not come yet.
    #[cfg(test)]
    pub(crate) fn is_called(&self) -> bool {
        self.called.load(Ordering::Acquire)
    }

    /// A round of maintenance begins.
    pub(crate) fn begin_round(&self, samples: u64) {
        self.seen.store(samples, Ordering::Relaxed);
        self.called.store(false, Ordering::Release);
    }
}

impl std::fmt::Debug for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Growth")
            .field("seen", &self.seen)
            .field("called", &self.called)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn many_samples_call_once_a_round() {
        let (growth, calls) = (Growth::default(), Arc::new(AtomicU64::new(0)));
        growth.note(u64::MAX, 1);
        let counted = Arc::clone(&calls);
        growth.on_due(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let after = |samples, series| {
            growth.note(samples, series);
            calls.load(Ordering::Relaxed)
        };
        assert_eq!(after(LEAST_SAMPLES - 1, 1), 0);
        assert_eq!(after(LEAST_SAMPLES, 1_000_000), 0, "few a series");
        assert_eq!(after(LEAST_SAMPLES, 1), 1);
        assert_eq!(after(LEAST_SAMPLES * 9, 1), 1, "who was called will come");
        growth.begin_round(LEAST_SAMPLES * 9);
        assert_eq!(after(LEAST_SAMPLES * 10 - 1, 1), 1);
        assert_eq!(after(LEAST_SAMPLES * 10, 1), 2);
    }
}
