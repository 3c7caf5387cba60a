//! Times, ranges of time and the stale marker.

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Timestamp = i64;

/// A range of time in milliseconds, closed on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// First millisecond of the range.
    pub start: Timestamp,
    /// Last millisecond of the range.
    pub end: Timestamp,
}

impl TimeRange {
    /// All of time.
    pub const ALL: Self = Self {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// The range from `start` to `end`, both included.
    pub const fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end }
    }

    /// Whether `time` lies in the range.
    pub const fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time <= self.end
    }

    /// Whether the two ranges share a millisecond.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Whether no millisecond lies in the range.
    pub const fn is_empty(&self) -> bool {
        self.start > self.end
    }
}

/// The bits of the NaN that says "this series has ended here".
/// Source: Prometheus `model/value`; ordinary NaN is `0x7ff8000000000001`.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that Prometheus writes for ordinary "not a number".
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The stale marker as a float.
pub const fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the stale marker, bit by bit.
pub const fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}
