//! Sums, differences, products.

use super::reconcile::{Combined, IncompatibleSchemas, Parts, combine_hints, reconcile};
use super::side::{Side, zip};
use super::{FloatHistogram, ResetHint, Span, spans_indexes};

impl FloatHistogram {
    /// Adds another histogram. Layouts are reconciled: the lower resolution, the wider zero bucket,
    /// the custom bounds that both have.
    ///
    /// # Errors
    /// One has exponential buckets, the other custom ones; nothing is changed then.
    pub fn add(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        let (hint, reset_conflict) = combine_hints(self.reset_hint, other.reset_hint);
        let bounds_reconciled = self.combine(other, |a, b| a + b)?;
        self.reset_hint = hint;
        Ok(Combined {
            reset_conflict,
            bounds_reconciled,
        })
    }

    /// Subtracts another histogram; buckets may become negative.
    ///
    /// # Errors
    /// As [`FloatHistogram::add`].
    pub fn sub(&mut self, other: &Self) -> Result<Combined, IncompatibleSchemas> {
        let (hint, reset_conflict) = combine_hints(self.reset_hint, other.reset_hint);
        let bounds_reconciled = self.combine(other, |a, b| a - b)?;
        self.reset_hint = hint;
        Ok(Combined {
            reset_conflict,
            bounds_reconciled,
        })
    }

    fn combine(
        &mut self,
        other: &Self,
        op: impl Fn(f64, f64) -> f64 + Copy,
    ) -> Result<bool, IncompatibleSchemas> {
        if self.combine_same_layout(other, op) {
            return Ok(false);
        }
        let (mut left, mut right) = (Parts::of(self), Parts::of(other));
        let reconciled = reconcile(&mut left, &mut right)?;
        left.zero_count = op(left.zero_count, right.zero_count);
        left.positive = join(&left.positive, &right.positive, op);
        left.negative = join(&left.negative, &right.negative, op);
        left.put_into(self);
        self.count = op(self.count, other.count);
        self.sum = op(self.sum, other.sum);
        Ok(reconciled)
    }

    /// The common case: nothing to reconcile, no allocation.
    fn combine_same_layout(&mut self, other: &Self, op: impl Fn(f64, f64) -> f64) -> bool {
        let same = self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && self.positive_spans == other.positive_spans
            && self.negative_spans == other.negative_spans
            && self.custom_values == other.custom_values;
        if same {
            let pairs = self
                .positive_buckets
                .iter_mut()
                .zip(&other.positive_buckets);
            for (count, by) in pairs.chain(
                self.negative_buckets
                    .iter_mut()
                    .zip(&other.negative_buckets),
            ) {
                *count = op(*count, *by);
            }
            self.zero_count = op(self.zero_count, other.zero_count);
            self.count = op(self.count, other.count);
            self.sum = op(self.sum, other.sum);
        }
        same
    }

    fn each_number(&mut self, op: impl Fn(f64) -> f64) {
        for count in self
            .positive_buckets
            .iter_mut()
            .chain(&mut self.negative_buckets)
        {
            *count = op(*count);
        }
        self.zero_count = op(self.zero_count);
        self.count = op(self.count);
        self.sum = op(self.sum);
    }

    /// Multiplies all counts and the sum. A negative factor makes a gauge of it.
    pub fn mul(&mut self, factor: f64) {
        self.each_number(|number| number * factor);
        if factor < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
    }

    /// Divides all counts and the sum. Division by zero leaves no buckets: each would be infinite or NaN.
    /// A negative divisor makes a gauge of it.
    pub fn div(&mut self, by: f64) {
        self.each_number(|number| number / by);
        if by < 0.0 {
            self.reset_hint = ResetHint::Gauge;
        }
        if by == 0.0 {
            self.positive_spans.clear();
            self.negative_spans.clear();
            self.positive_buckets.clear();
            self.negative_buckets.clear();
        }
    }

    /// Whether a count or the sum is infinite.
    pub fn has_overflow(&self) -> bool {
        let mut counts = self.positive_buckets.iter().chain(&self.negative_buckets);
        self.zero_count.is_infinite()
            || self.count.is_infinite()
            || self.sum.is_infinite()
            || counts.any(|count| count.is_infinite())
    }

    /// Whether both are the same bit by bit, in the same layout: an empty bucket that is written out
    /// is not the same as none. Reset hints do not count.
    pub fn same_as(&self, other: &Self) -> bool {
        let bits = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let all =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| bits(*a, *b));
        let laid_out = |a: &[Span], b: &[Span]| spans_indexes(a).eq(spans_indexes(b));
        self.schema == other.schema
            && self.zero_threshold == other.zero_threshold
            && bits(self.zero_count, other.zero_count)
            && bits(self.count, other.count)
            && bits(self.sum, other.sum)
            && all(&self.custom_values, &other.custom_values)
            && all(&self.positive_buckets, &other.positive_buckets)
            && all(&self.negative_buckets, &other.negative_buckets)
            && laid_out(&self.positive_spans, &other.positive_spans)
            && laid_out(&self.negative_spans, &other.negative_spans)
    }
}

fn join(left: &[(i32, f64)], right: &[(i32, f64)], op: impl Fn(f64, f64) -> f64) -> Side {
    let mut out = Side::with_capacity(left.len().max(right.len()));
    zip(left, right, |index, a, b| out.push((index, op(a, b))));
    out
}

#[cfg(test)]
mod tests {
    use super::super::{CUSTOM_BUCKETS_SCHEMA, Span};
    use super::*;

    fn exponential(schema: i32, offset: i32, counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            schema,
            count: counts.iter().sum(),
            positive_spans: vec![Span {
                offset,
                length: counts.len() as u32,
            }],
            positive_buckets: counts.to_vec(),
            ..FloatHistogram::default()
        }
    }

    fn custom(bounds: &[f64], counts: &[f64]) -> FloatHistogram {
        FloatHistogram {
            custom_values: bounds.into(),
            ..exponential(CUSTOM_BUCKETS_SCHEMA, 0, counts)
        }
    }

    #[test]
    fn the_lower_resolution_wins() {
        let mut sum = exponential(1, 1, &[1.0, 2.0, 4.0]);
        sum.add(&exponential(0, 1, &[10.0])).unwrap();
        assert_eq!((sum.schema, sum.count), (0, 17.0));
        assert_eq!(sum.positive_buckets, [13.0, 4.0]);
    }

    #[test]
    fn a_wider_zero_bucket_swallows_buckets() {
        let mut sum = exponential(0, 0, &[1.0, 2.0]);
        let zero = FloatHistogram {
            zero_threshold: 1.0,
            zero_count: 5.0,
            count: 5.0,
            ..FloatHistogram::default()
        };
        sum.add(&zero).unwrap();
        assert_eq!((sum.zero_count, sum.zero_threshold), (6.0, 1.0));
        assert_eq!(sum.positive_buckets, [2.0]);
    }

    #[test]
    fn common_bounds_are_kept() {
        let mut sum = custom(&[1.0, 2.0, 4.0], &[1.0, 1.0, 1.0, 1.0]);
        let combined = sum
            .add(&custom(&[2.0, 3.0, 4.0], &[1.0, 1.0, 1.0, 1.0]))
            .unwrap();
        assert!(combined.bounds_reconciled);
        assert_eq!(&sum.custom_values[..], [2.0, 4.0]);
        assert_eq!(sum.positive_buckets, [3.0, 3.0, 2.0]);
    }

    #[test]
    fn kinds_do_not_mix() {
        assert!(
            exponential(0, 0, &[1.0])
                .add(&custom(&[1.0], &[1.0]))
                .is_err()
        );
    }

    #[test]
    fn contradicting_hints_are_told() {
        let mut left = FloatHistogram {
            reset_hint: ResetHint::Reset,
            ..FloatHistogram::default()
        };
        let right = FloatHistogram {
            reset_hint: ResetHint::NotReset,
            ..FloatHistogram::default()
        };
        assert!(left.add(&right).unwrap().reset_conflict);
        assert_eq!(left.reset_hint, ResetHint::Unknown);
    }
}
