//! One float a step, with a marker for "nothing here".
//!
//! The marker is the bit pattern of Prometheus's stale NaN. It never is a result: stores' stale
//! markers are taken out before evaluation, and arithmetic cannot make a signalling NaN of other
//! numbers. So columns need no bitmap beside them.

use headwater_model::STALE_NAN_BITS;

/// No value at this step.
pub const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// Whether there is no value, bit by bit.
#[inline]
pub const fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// Whether there is a value.
#[inline]
pub const fn is_present(value: f64) -> bool {
    value.to_bits() != STALE_NAN_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_nan_is_a_value() {
        assert!(is_absent(ABSENT) && !is_present(ABSENT));
        assert!(is_present(f64::NAN) && is_present(0.0));
        assert!(is_present(ABSENT + 1.0));
    }
}
