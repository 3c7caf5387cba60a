//! Two histograms brought to one layout: schema, zero bucket, custom bounds.

use super::side::{Side, coarsen, drop_below, pack, reindex, unpack};
use super::{FloatHistogram, ResetHint, bucket_bound};

/// Exponential and custom buckets cannot be brought together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas"
)]
pub struct IncompatibleSchemas;

/// What happened while two histograms were combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Combined {
    /// One said "reset", the other "no reset".
    pub reset_conflict: bool,
    /// Custom bounds differed; only those that both have were kept.
    pub bounds_reconciled: bool,
}

/// A histogram taken apart.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) zero_count: f64,
    pub(super) positive: Side,
    pub(super) negative: Side,
    pub(super) bounds: std::sync::Arc<[f64]>,
}

impl Parts {
    pub(super) fn of(histogram: &FloatHistogram) -> Self {
        Self {
            schema: histogram.schema,
            zero_threshold: histogram.zero_threshold,
            zero_count: histogram.zero_count,
            positive: unpack(&histogram.positive_spans, &histogram.positive_buckets),
            negative: unpack(&histogram.negative_spans, &histogram.negative_buckets),
            bounds: histogram.custom_values.clone(),
        }
    }

    pub(super) fn put_into(&self, histogram: &mut FloatHistogram) {
        histogram.schema = self.schema;
        histogram.zero_threshold = self.zero_threshold;
        histogram.zero_count = self.zero_count;
        (histogram.positive_spans, histogram.positive_buckets) = pack(&self.positive);
        (histogram.negative_spans, histogram.negative_buckets) = pack(&self.negative);
        histogram.custom_values = self.bounds.clone();
    }

    pub(super) fn coarsen_to(&mut self, schema: i32) {
        let steps = self.schema.saturating_sub(schema).max(0).unsigned_abs();
        coarsen(&mut self.positive, steps);
        coarsen(&mut self.negative, steps);
        self.schema = self.schema.min(schema);
    }

    /// Observations of the zero bucket if it were as wide as `threshold`, and how wide it has to be
    /// so that no populated bucket is cut.
    pub(super) fn zero_count_at(&self, mut threshold: f64) -> (f64, f64) {
        loop {
            let mut count = self.zero_count;
            let mut wider = threshold;
            for side in [&self.positive, &self.negative] {
                for &(index, observations) in side {
                    if bucket_bound(index - 1, self.schema, &[]) >= threshold {
                        break;
                    }
                    count += observations;
                    let upper = bucket_bound(index, self.schema, &[]);
                    if upper > threshold {
                        if observations != 0.0 {
                            wider = wider.max(upper);
                        }
                        break;
                    }
                }
            }
            if wider <= threshold {
                return (count, threshold);
            }
            threshold = wider;
        }
    }

    fn widen_zero(&mut self, threshold: f64) {
        if threshold > self.zero_threshold {
            (self.zero_count, self.zero_threshold) = self.zero_count_at(threshold);
            drop_below(&mut self.positive, self.schema, self.zero_threshold);
            drop_below(&mut self.negative, self.schema, self.zero_threshold);
        }
    }

    /// Keeps the bounds in `bounds`, which is a part of the own ones.
    pub(super) fn narrow_to(&mut self, bounds: &std::sync::Arc<[f64]>) {
        let own = self.bounds.clone();
        reindex(&mut self.positive, |index| {
            let upper = bucket_bound(index, super::CUSTOM_BUCKETS_SCHEMA, &own);
            bounds.partition_point(|bound| *bound < upper) as i32
        });
        self.bounds = bounds.clone();
    }
}

/// Brings both to one layout; answers whether custom bounds had to give way.
pub(super) fn reconcile(left: &mut Parts, right: &mut Parts) -> Result<bool, IncompatibleSchemas> {
    let custom = |parts: &Parts| parts.schema == super::CUSTOM_BUCKETS_SCHEMA;
    match (custom(left), custom(right)) {
        (true, true) => Ok(reconcile_bounds(left, right)),
        (false, false) => {
            // Widening one zero bucket can cut a bucket of the other, so go on until they agree.
            while left.zero_threshold != right.zero_threshold {
                left.widen_zero(right.zero_threshold);
                right.widen_zero(left.zero_threshold);
            }
            let schema = left.schema.min(right.schema);
            left.coarsen_to(schema);
            right.coarsen_to(schema);
            Ok(false)
        }
        _ => Err(IncompatibleSchemas),
    }
}

fn reconcile_bounds(left: &mut Parts, right: &mut Parts) -> bool {
    if left.bounds == right.bounds {
        return false;
    }
    let common = common_bounds(&left.bounds, &right.bounds);
    left.narrow_to(&common);
    right.narrow_to(&common);
    true
}

fn common_bounds(left: &[f64], right: &[f64]) -> std::sync::Arc<[f64]> {
    left.iter()
        .copied()
        .filter(|bound| right.iter().any(|other| other == bound))
        .collect()
}

/// The hint of a sum, and whether the hints contradict each other.
pub(super) fn combine_hints(left: ResetHint, right: ResetHint) -> (ResetHint, bool) {
    match (left, right) {
        (a, b) if a == b => (a, false),
        (ResetHint::Gauge, _) | (_, ResetHint::Gauge) => (ResetHint::Gauge, false),
        (ResetHint::Unknown, _) | (_, ResetHint::Unknown) => (ResetHint::Unknown, false),
        _ => (ResetHint::Unknown, true),
    }
}

impl FloatHistogram {
    /// The same histogram at a lower resolution; a schema that is not lower changes nothing.
    #[must_use]
    pub fn to_schema(&self, schema: i32) -> Self {
        let mut out = self.clone();
        if schema < self.schema && !self.uses_custom_buckets() {
            let mut parts = Parts::of(self);
            parts.coarsen_to(schema);
            parts.put_into(&mut out);
        }
        out
    }

    /// Drops empty buckets and joins spans that touch.
    pub fn compact(&mut self) {
        let parts = Parts::of(self);
        (self.positive_spans, self.positive_buckets) = pack(&parts.positive);
        (self.negative_spans, self.negative_buckets) = pack(&parts.negative);
    }
}
