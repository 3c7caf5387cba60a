//! Counter resets between two histograms.

use super::reconcile::{Parts, reconcile};
use super::side::{drop_below, zip};
use super::{FloatHistogram, ResetHint};

impl FloatHistogram {
    /// Whether a counter was reset between `previous` and this histogram: by the hint if there is
    /// one, else if any count fell or the resolution rose.
    pub fn detect_reset(&self, previous: &Self) -> bool {
        match self.reset_hint {
            ResetHint::Reset => return true,
            ResetHint::NotReset => return false,
            ResetHint::Unknown | ResetHint::Gauge => {}
        }
        if self.count < previous.count
            || self.uses_custom_buckets() != previous.uses_custom_buckets()
        {
            return true;
        }
        let (mut now, mut before) = (Parts::of(self), Parts::of(previous));
        if self.uses_custom_buckets() {
            // Both have custom bounds, so this cannot fail.
            return reconcile(&mut now, &mut before).is_err() || fell(&now, &before);
        }
        if self.schema > previous.schema || self.zero_threshold < previous.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = before.zero_count_at(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        drop_below(&mut before.positive, before.schema, self.zero_threshold);
        drop_below(&mut before.negative, before.schema, self.zero_threshold);
        before.coarsen_to(self.schema);
        fell(&now, &before)
    }
}

/// Whether a bucket holds less than before.
fn fell(now: &Parts, before: &Parts) -> bool {
    let mut fell = false;
    zip(&now.positive, &before.positive, |_, now, before| {
        fell |= now < before
    });
    zip(&now.negative, &before.negative, |_, now, before| {
        fell |= now < before
    });
    fell
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn counted(schema: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![Span {
                offset: 1,
                length: counts.len() as u32,
            }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn falling_buckets_are_resets() {
        assert!(!counted(0, &[2.0, 3.0]).detect_reset(&counted(0, &[1.0, 3.0])));
        assert!(counted(0, &[9.0, 2.0]).detect_reset(&counted(0, &[1.0, 3.0])));
        assert!(counted(0, &[1.0]).detect_reset(&counted(0, &[2.0])));
    }

    #[test]
    fn a_lower_resolution_is_no_reset() {
        assert!(!counted(0, &[3.0]).detect_reset(&counted(1, &[1.0, 1.0])));
        assert!(counted(1, &[3.0, 3.0]).detect_reset(&counted(0, &[1.0])));
    }

    #[test]
    fn hints_overrule() {
        let mut now = counted(0, &[1.0]);
        now.reset_hint = ResetHint::NotReset;
        assert!(!now.detect_reset(&counted(0, &[2.0])));
    }
}
