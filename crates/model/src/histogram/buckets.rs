//! Buckets with their bounds, in the order of the values that they hold.

use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Span, bucket_bound, spans_indexes};

/// A bucket with its bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Lower bound; belongs to the bucket if it is negative.
    pub lower: f64,
    /// Upper bound; belongs to the bucket if it is positive.
    pub upper: f64,
    /// Observations.
    pub count: f64,
    /// The lower bound belongs to the bucket.
    pub lower_inclusive: bool,
    /// The upper bound belongs to the bucket.
    pub upper_inclusive: bool,
}

impl Bucket {
    fn new(lower: f64, upper: f64, count: f64) -> Self {
        Self {
            lower,
            upper,
            count,
            lower_inclusive: lower < 0.0,
            upper_inclusive: upper > 0.0,
        }
    }
}

impl FloatHistogram {
    /// Whether the bounds are listed rather than given by a schema.
    pub const fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// The buckets above zero (for custom bounds: all), ascending, empty ones included.
    pub fn positive_iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        side(&self.positive_spans, &self.positive_buckets).map(|(index, count)| {
            let bound = |index| bucket_bound(index, self.schema, &self.custom_values);
            Bucket::new(bound(index - 1), bound(index), count)
        })
    }

    /// The buckets below zero from the one nearest to zero on, empty ones included.
    pub fn negative_iter(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        side(&self.negative_spans, &self.negative_buckets).map(|(index, count)| {
            let bound = |index| bucket_bound(index, self.schema, &self.custom_values);
            Bucket::new(-bound(index), -bound(index - 1), count)
        })
    }

    /// The zero bucket.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            count: self.zero_count,
            lower_inclusive: true,
            upper_inclusive: true,
        }
    }

    /// All buckets in ascending order of values. The zero bucket is left out if it is empty;
    /// buckets that reach into it are cut.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut out =
            Vec::with_capacity(self.positive_buckets.len() + self.negative_buckets.len() + 1);
        out.extend(self.negative_iter().rev().map(|mut bucket| {
            if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
                bucket.upper = -self.zero_threshold;
            }
            bucket
        }));
        if self.zero_count > 0.0 {
            out.push(self.zero_bucket());
        }
        out.extend(self.positive_iter().map(|mut bucket| {
            if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
                bucket.lower = self.zero_threshold;
            }
            bucket
        }));
        out
    }
}

fn side<'a>(
    spans: &'a [Span],
    counts: &'a [f64],
) -> impl DoubleEndedIterator<Item = (i32, f64)> + 'a {
    let pairs: Vec<(i32, f64)> = spans_indexes(spans).zip(counts.iter().copied()).collect();
    pairs.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_come_in_order_of_values() {
        let histogram = FloatHistogram {
            zero_threshold: 0.001,
            zero_count: 1.0,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_buckets: vec![2.0, 3.0],
            negative_spans: vec![Span {
                offset: 1,
                length: 1,
            }],
            negative_buckets: vec![4.0],
            ..FloatHistogram::default()
        };
        let bounds: Vec<_> = histogram
            .all_buckets()
            .iter()
            .map(|b| (b.lower, b.upper, b.count))
            .collect();
        assert_eq!(
            bounds,
            [
                (-2.0, -1.0, 4.0),
                (-0.001, 0.001, 1.0),
                (0.5, 1.0, 2.0),
                (1.0, 2.0, 3.0)
            ]
        );
    }
}
