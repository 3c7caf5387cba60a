//! Sums of many histograms with compensation of rounding errors (Neumaier's variant of Kahan's sum).

use super::reconcile::{Combined, IncompatibleSchemas, Parts, combine_hints, reconcile};
use super::side::{Side, zip};
use super::{FloatHistogram, ResetHint};

/// One step of a compensated sum: the new sum and the new compensation.
pub fn kahan_add(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    if total.is_infinite() {
        return (total, 0.0);
    }
    // Swapped if the next term is larger than the sum.
    let lost = if sum.abs() >= value.abs() {
        (sum - total) + value
    } else {
        (value - total) + sum
    };
    (total, compensation + lost)
}

/// A running sum of histograms.
#[derive(Clone, Debug)]
pub struct HistogramSum {
    sum: FloatHistogram,
    lost: FloatHistogram,
}

impl HistogramSum {
    /// A sum of one.
    pub fn new(first: FloatHistogram) -> Self {
        let lost = FloatHistogram {
            schema: first.schema,
            zero_threshold: first.zero_threshold,
            custom_values: first.custom_values.clone(),
            ..FloatHistogram::default()
        };
        Self { sum: first, lost }
    }

    /// Adds a histogram.
    ///
    /// # Errors
    /// As [`FloatHistogram::add`]; nothing is changed then.
    pub fn add(&mut self, other: &FloatHistogram) -> Result<Combined, IncompatibleSchemas> {
        let (mut sum, mut by) = (Parts::of(&self.sum), Parts::of(other));
        let bounds_reconciled = reconcile(&mut sum, &mut by)?;
        // The losses follow the layout of the sum; their zero bucket cannot force it any wider.
        let mut lost = Parts::of(&self.lost);
        let mut layout = Parts {
            positive: Side::new(),
            negative: Side::new(),
            zero_count: 0.0,
            ..sum.clone()
        };
        reconcile(&mut lost, &mut layout)?;
        (sum.positive, lost.positive) = add_sides(&sum.positive, &by.positive, &lost.positive);
        (sum.negative, lost.negative) = add_sides(&sum.negative, &by.negative, &lost.negative);
        (sum.zero_count, lost.zero_count) =
            kahan_add(by.zero_count, sum.zero_count, lost.zero_count);
        sum.put_into(&mut self.sum);
        lost.put_into(&mut self.lost);
        (self.sum.count, self.lost.count) = kahan_add(other.count, self.sum.count, self.lost.count);
        (self.sum.sum, self.lost.sum) = kahan_add(other.sum, self.sum.sum, self.lost.sum);
        let (hint, reset_conflict) = combine_hints(self.sum.reset_hint, other.reset_hint);
        self.sum.reset_hint = hint;
        Ok(Combined {
            reset_conflict,
            bounds_reconciled,
        })
    }

    /// Multiplies sum and losses.
    pub fn mul(&mut self, factor: f64) {
        let hint = self.sum.reset_hint;
        self.sum.mul(factor);
        self.lost.mul(factor);
        self.sum.reset_hint = hint;
    }

    /// Whether a number of the sum is infinite.
    pub fn has_overflow(&self) -> bool {
        self.sum.has_overflow()
    }

    /// The sum with its losses added, without empty buckets.
    pub fn finish(mut self) -> FloatHistogram {
        let hint = self.sum.reset_hint;
        self.lost.reset_hint = ResetHint::Unknown;
        // Both have one layout, so the addition cannot fail.
        let added = self.sum.add(&self.lost);
        debug_assert!(added.is_ok(), "a sum and its losses share a layout");
        self.sum.reset_hint = hint;
        self.sum.compact();
        self.sum
    }
}

/// Sum and losses of one side. A bucket without a loss so far has lost nothing.
fn add_sides(sum: &Side, by: &Side, lost: &Side) -> (Side, Side) {
    let mut pairs: Vec<(i32, f64, f64)> = Vec::with_capacity(sum.len().max(by.len()));
    zip(sum, by, |index, sum, by| pairs.push((index, sum, by)));
    let (mut totals, mut losses) = (
        Side::with_capacity(pairs.len()),
        Side::with_capacity(pairs.len()),
    );
    let mut earlier = lost.iter().copied().peekable();
    for (index, sum, by) in pairs {
        // Losses of buckets that are empty in both stay what they were.
        while let Some(before) = earlier.next_if(|(at, _)| *at < index) {
            losses.push(before);
        }
        let loss = earlier
            .next_if(|(at, _)| *at == index)
            .map_or(0.0, |(_, loss)| loss);
        let (total, loss) = kahan_add(by, sum, loss);
        totals.push((index, total));
        losses.push((index, loss));
    }
    losses.extend(earlier);
    (totals, losses)
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    fn one(count: f64) -> FloatHistogram {
        FloatHistogram {
            count,
            sum: count,
            positive_spans: vec![Span {
                offset: 1,
                length: 1,
            }],
            positive_buckets: vec![count],
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn small_numbers_survive_large_ones() {
        let mut sum = HistogramSum::new(one(1.0));
        for count in [1e100, 1.0, -1e100] {
            sum.add(&one(count)).unwrap();
        }
        let total = sum.finish();
        assert_eq!((total.count, total.sum), (2.0, 2.0));
        assert_eq!(total.positive_buckets, [2.0]);
    }
}
