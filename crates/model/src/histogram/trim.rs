//! Cutting off the observations below or above a value, for PromQL's `>/` and `</`.

use super::FloatHistogram;
use super::buckets::Bucket;
use super::reconcile::Parts;
use super::side::Side;

/// Which observations stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Those up to the value.
    Below,
    /// Those from the value on.
    Above,
}

impl FloatHistogram {
    /// The histogram without the observations on one side of `at`. Buckets that hold `at` are
    /// divided by interpolation (exponential, or linear for custom bounds and the zero bucket), and
    /// the sum loses what was removed, each observation counted at the middle of its bucket.
    #[must_use]
    pub fn trimmed(&self, keep: Keep, at: f64) -> Self {
        let custom = self.uses_custom_buckets();
        let mut parts = Parts::of(self);
        let mut kept = Kept::default();
        let positive: Vec<Bucket> = self.positive_iter().collect();
        let negative: Vec<Bucket> = self.negative_iter().collect();
        kept.trim_side(
            &mut parts.positive,
            &positive,
            Cut {
                keep,
                at,
                positive: true,
                custom,
            },
        );
        kept.trim_side(
            &mut parts.negative,
            &negative,
            Cut {
                keep,
                at,
                positive: false,
                custom,
            },
        );
        if parts.zero_count > 0.0 {
            let below = split(&self.zero_bucket(), at, true, true);
            parts.zero_count = if keep == Keep::Below {
                below
            } else {
                parts.zero_count - below
            };
            kept.count += parts.zero_count;
        }
        let mut out = self.clone();
        parts.put_into(&mut out);
        out.count = kept.count;
        out.sum = kept.sum(self.sum);
        out
    }
}

#[derive(Clone, Copy)]
struct Cut {
    keep: Keep,
    at: f64,
    positive: bool,
    custom: bool,
}

/// What is left, and what that says about the sum.
#[derive(Default)]
struct Kept {
    count: f64,
    removed_sum: f64,
    has_positive: bool,
    has_negative: bool,
}

impl Kept {
    fn trim_side(&mut self, side: &mut Side, buckets: &[Bucket], cut: Cut) {
        for (entry, bucket) in side
            .iter_mut()
            .zip(buckets)
            .filter(|(_, bucket)| bucket.count != 0.0)
        {
            self.note_signs(bucket, cut);
            let (whole, part) = match cut.keep {
                Keep::Below => (bucket.upper <= cut.at, bucket.lower < cut.at),
                Keep::Above => (bucket.lower >= cut.at, bucket.upper > cut.at),
            };
            if whole {
                self.count += bucket.count;
                continue;
            }
            let (kept, middle) = trim_bucket(bucket, cut);
            if part {
                self.removed_sum += (bucket.count - kept) * middle;
                self.count += kept;
                entry.1 = kept;
                continue;
            }
            let middle = if cut.custom {
                middle
            } else {
                (bucket.lower * bucket.upper).sqrt()
            };
            self.removed_sum += bucket.count * middle;
            entry.1 = 0.0;
        }
    }

    fn note_signs(&mut self, bucket: &Bucket, cut: Cut) {
        if cut.custom {
            self.has_negative |= bucket.upper <= 0.0 || bucket.lower < 0.0;
            self.has_positive |= bucket.upper > 0.0;
        } else {
            self.has_positive |= cut.positive;
            self.has_negative |= !cut.positive;
        }
    }

    fn sum(&self, before: f64) -> f64 {
        let sum = before - self.removed_sum;
        let impossible = (!self.has_negative && sum < 0.0) || (!self.has_positive && sum > 0.0);
        if self.count == 0.0 || impossible {
            0.0
        } else {
            sum
        }
    }
}

/// What stays of a bucket and where the removed observations are taken to lie.
fn trim_bucket(bucket: &Bucket, cut: Cut) -> (f64, f64) {
    if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
        return trim_unbounded(bucket, cut);
    }
    let below = split(bucket, cut.at, cut.positive, cut.custom);
    let (kept, other_bound) = match cut.keep {
        Keep::Below => (below, bucket.lower),
        Keep::Above => (bucket.count - below, bucket.upper),
    };
    if cut.custom {
        return (kept, (bucket.lower + bucket.upper) / 2.0);
    }
    let middle = (other_bound.abs() * cut.at.abs()).sqrt();
    (kept, if cut.positive { middle } else { -middle })
}

/// Nothing is known about how observations lie in an infinite bucket, so it goes whole, except
/// that a lowest bucket with a positive upper bound is taken to begin at zero.
fn trim_unbounded(bucket: &Bucket, cut: Cut) -> (f64, f64) {
    let Cut { keep, at, .. } = cut;
    if bucket.lower == f64::NEG_INFINITY {
        let divisible = at >= 0.0 && bucket.upper > at && bucket.upper != f64::INFINITY;
        return match keep {
            Keep::Below if at >= bucket.upper => (bucket.count, 0.0),
            Keep::Below if divisible => {
                (bucket.count * at / bucket.upper, (at + bucket.upper) / 2.0)
            }
            Keep::Above if at <= bucket.lower => (bucket.count, 0.0),
            Keep::Above if divisible => (bucket.count * (1.0 - at / bucket.upper), at / 2.0),
            _ => (0.0, bucket.upper),
        };
    }
    if keep == Keep::Above && at <= bucket.lower {
        (bucket.count, 0.0)
    } else {
        (0.0, bucket.lower)
    }
}

/// Observations of a bucket up to `at`.
fn split(bucket: &Bucket, at: f64, positive: bool, linear: bool) -> f64 {
    if at <= bucket.lower {
        return 0.0;
    }
    if at >= bucket.upper {
        return bucket.count;
    }
    let fraction = if linear {
        (at - bucket.lower) / (bucket.upper - bucket.lower)
    } else {
        let (lower, upper, at) = (
            bucket.lower.abs().log2(),
            bucket.upper.abs().log2(),
            at.abs().log2(),
        );
        if positive {
            (at - lower) / (upper - lower)
        } else {
            1.0 - (at - upper) / (lower - upper)
        }
    };
    bucket.count * fraction
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    #[test]
    fn buckets_are_cut_where_the_value_lies() {
        let histogram = FloatHistogram {
            count: 8.0,
            sum: 20.0,
            positive_spans: vec![Span {
                offset: 1,
                length: 3,
            }],
            positive_buckets: vec![2.0, 2.0, 4.0],
            ..FloatHistogram::default()
        };
        let low = histogram.trimmed(Keep::Below, 2.0);
        assert_eq!((low.count, low.positive_buckets), (2.0, vec![2.0]));
        let high = histogram.trimmed(Keep::Above, 2.0);
        assert_eq!((high.count, high.positive_buckets), (6.0, vec![2.0, 4.0]));
        assert_eq!(histogram.trimmed(Keep::Below, 0.5).sum, 0.0);
    }
}
