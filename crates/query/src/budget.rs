//! What one query may hold in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{QueryError, QueryErrorKind};

/// Bounds of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Samples held at once; 0 for no bound. A histogram counts as its size over 16 bytes.
    pub samples: u64,
    /// Bytes held at once; 0 for no bound. Columns, groups and labels are counted, and an eighth is
    /// added for what the allocator takes beside them.
    pub bytes: u64,
}

impl Limits {
    /// No bounds.
    pub const NONE: Self = Self {
        samples: 0,
        bytes: 0,
    };

    /// At most this many samples.
    #[must_use]
    pub const fn with_samples(mut self, samples: u64) -> Self {
        self.samples = samples;
        self
    }

    /// At most this many bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Counts what a query holds, shared by its threads. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget(Arc<State>);

#[derive(Debug)]
struct State {
    limits: Limits,
    samples: AtomicU64,
    peak_samples: AtomicU64,
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    seen: AtomicU64,
    /// The budget that all queries share.
    shared: Option<Budget>,
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new(limits: Limits) -> Self {
        Self::with_shared(limits, None)
    }

    /// A budget of one query of many: what it holds in bytes counts in `shared` too, whose limit
    /// holds for all of them together.
    pub fn within(shared: &Self, limits: Limits) -> Self {
        Self::with_shared(limits, Some(shared.clone()))
    }

    fn with_shared(limits: Limits, shared: Option<Self>) -> Self {
        let zero = || AtomicU64::new(0);
        let (samples, peak_samples, bytes, peak_bytes, seen) =
            (zero(), zero(), zero(), zero(), zero());
        Self(Arc::new(State {
            limits,
            samples,
            peak_samples,
            bytes,
            peak_bytes,
            seen,
            shared,
        }))
    }

    /// Takes room; what is taken comes back when the hold is dropped. `operator` names who asks.
    ///
    /// # Errors
    /// [`QueryErrorKind::Limit`]: the limit on samples or on bytes would be exceeded.
    pub fn hold(&self, samples: u64, bytes: u64, operator: &str) -> Result<Hold, QueryError> {
        let mut hold = Hold {
            budget: self.clone(),
            samples: 0,
            bytes: 0,
            shared_bytes: 0,
        };
        hold.grow(samples, bytes, operator)?;
        Ok(hold)
    }

    /// Notes samples that were looked at, for the statistics.
    pub fn saw(&self, samples: u64) {
        self.0.seen.fetch_add(samples, Ordering::Relaxed);
    }

    /// Samples looked at so far.
    pub fn seen(&self) -> u64 {
        self.0.seen.load(Ordering::Relaxed)
    }

    /// The most samples that were held at once.
    pub fn peak_samples(&self) -> u64 {
        self.0.peak_samples.load(Ordering::Relaxed)
    }

    /// The bytes that are held now.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// The most bytes that were held at once.
    pub fn peak_bytes(&self) -> u64 {
        self.0.peak_bytes.load(Ordering::Relaxed)
    }
}

/// Room that is in use.
#[derive(Debug)]
pub struct Hold {
    budget: Budget,
    samples: u64,
    bytes: u64,
    /// What of it counts in the shared budget.
    shared_bytes: u64,
}

impl Hold {
    /// Takes more room.
    ///
    /// # Errors
    /// As [`Budget::hold`]; what was held before stays held.
    pub fn grow(&mut self, samples: u64, bytes: u64, operator: &str) -> Result<(), QueryError> {
        let state = &self.budget.0;
        self.samples += samples;
        self.bytes += bytes;
        let held_samples = state.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        let held_bytes = state.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        state
            .peak_samples
            .fetch_max(held_samples, Ordering::Relaxed);
        state.peak_bytes.fetch_max(held_bytes, Ordering::Relaxed);
        if state.limits.samples > 0 && held_samples > state.limits.samples {
            // The words of Prometheus: users and their tools search for them.
            let message =
                "query processing would load too many samples into memory in query execution";
            return Err(QueryError::new(QueryErrorKind::Limit, message));
        }
        let held_bytes = with_overhead(held_bytes);
        if state.limits.bytes > 0 && held_bytes > state.limits.bytes {
            let limit = state.limits.bytes;
            let message = format!(
                "{operator} would hold {held_bytes} bytes, over the limit of {limit} bytes a query"
            );
            return Err(QueryError::new(QueryErrorKind::Limit, message));
        }
        let Some(shared) = &state.shared else {
            return Ok(());
        };
        let held = shared.0.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.shared_bytes += bytes;
        shared.0.peak_bytes.fetch_max(held, Ordering::Relaxed);
        let held = with_overhead(held);
        if shared.0.limits.bytes > 0 && held > shared.0.limits.bytes {
            let limit = shared.0.limits.bytes;
            let message = format!(
                "{operator} would hold {held_bytes} bytes, {held} together with other queries, over the limit of {limit} bytes for all queries"
            );
            return Err(QueryError::new(QueryErrorKind::Limit, message));
        }
        Ok(())
    }

    /// Bytes that are held.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hands a part of what is held over to another hold on the same budget, with the memory itself.
    pub fn hand_over(&mut self, samples: u64, bytes: u64, to: &mut Self) {
        let (samples, bytes) = (samples.min(self.samples), bytes.min(self.bytes));
        let shared = bytes.min(self.shared_bytes);
        (self.samples, self.bytes) = (self.samples - samples, self.bytes - bytes);
        (to.samples, to.bytes) = (to.samples + samples, to.bytes + bytes);
        (self.shared_bytes, to.shared_bytes) =
            (self.shared_bytes - shared, to.shared_bytes + shared);
    }

    /// Gives everything back and takes this instead.
    ///
    /// # Errors
    /// As [`Budget::hold`].
    pub fn replace(&mut self, samples: u64, bytes: u64, operator: &str) -> Result<(), QueryError> {
        self.release();
        self.grow(samples, bytes, operator)
    }

    /// Takes more room if less than this is held: for memory that is used again and again and grows
    /// with the largest of its contents.
    ///
    /// # Errors
    /// As [`Hold::grow`].
    pub fn at_least(&mut self, samples: u64, bytes: u64, operator: &str) -> Result<(), QueryError> {
        let more = (
            samples.saturating_sub(self.samples),
            bytes.saturating_sub(self.bytes),
        );
        match more {
            (0, 0) => Ok(()),
            (samples, bytes) => self.grow(samples, bytes, operator),
        }
    }

    fn release(&mut self) {
        let state = &self.budget.0;
        state.samples.fetch_sub(self.samples, Ordering::Relaxed);
        state.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if let Some(shared) = &state.shared {
            shared
                .0
                .bytes
                .fetch_sub(self.shared_bytes, Ordering::Relaxed);
        }
        (self.samples, self.bytes, self.shared_bytes) = (0, 0, 0);
    }
}

/// Bytes with what the allocator takes beside them: headers, rounding, holes between chunks.
const fn with_overhead(bytes: u64) -> u64 {
    bytes + bytes / 8
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_comes_back() {
        let budget = Budget::new(Limits::NONE.with_samples(10));
        let hold = budget.hold(8, 0, "test").unwrap();
        assert_eq!(
            budget.hold(8, 0, "test").unwrap_err().kind(),
            QueryErrorKind::Limit
        );
        drop(hold);
        budget.hold(10, 0, "test").unwrap();
        assert_eq!(budget.peak_samples(), 16);
    }

    #[test]
    fn room_that_is_used_again_only_grows() {
        let budget = Budget::new(Limits::NONE.with_bytes(100));
        let mut hold = budget.hold(0, 0, "test").unwrap();
        for (samples, bytes, held) in [(2, 32, 32), (1, 16, 32), (1, 40, 40)] {
            hold.at_least(samples, bytes, "test").unwrap();
            assert_eq!((hold.bytes(), budget.bytes()), (held, held));
        }
        assert_eq!(budget.peak_samples(), 2);
        hold.at_least(1, 101, "test").unwrap_err();
    }

    #[test]
    fn queries_share_a_limit() {
        let all = Budget::new(Limits::NONE.with_bytes(100));
        let (one, other) = (
            Budget::within(&all, Limits::NONE),
            Budget::within(&all, Limits::NONE.with_bytes(100)),
        );
        let hold = one.hold(0, 60, "sum").unwrap();
        let error = other.hold(0, 50, "a vector").unwrap_err().to_string();
        assert_eq!(
            error,
            "a vector would hold 56 bytes, 123 together with other queries, over the limit of 100 bytes for all queries"
        );
        assert_eq!((all.bytes(), other.bytes()), (60, 0));
        drop(hold);
        other.hold(0, 50, "a vector").unwrap();
        other.hold(0, 95, "a vector").unwrap_err();
        assert_eq!(all.bytes(), 0);
    }

    #[test]
    fn what_is_handed_over_is_counted_once() {
        let all = Budget::new(Limits::NONE);
        let budget = Budget::within(&all, Limits::NONE);
        let mut one = budget.hold(4, 100, "sum").unwrap();
        let mut other = budget.hold(0, 0, "sum").unwrap();
        one.hand_over(3, 60, &mut other);
        assert_eq!((one.bytes(), other.bytes(), budget.bytes()), (40, 60, 100));
        drop(one);
        assert_eq!((budget.bytes(), all.bytes()), (60, 60));
        drop(other);
        assert_eq!((budget.bytes(), all.bytes()), (0, 0));
    }

    #[test]
    fn byte_limits_name_the_operator() {
        let budget = Budget::new(Limits::NONE.with_bytes(100));
        let mut hold = budget.hold(1, 80, "sum").unwrap();
        let error = hold.grow(1, 16, "sum").unwrap_err().to_string();
        assert_eq!(
            error,
            "sum would hold 108 bytes, over the limit of 100 bytes a query"
        );
    }
}
