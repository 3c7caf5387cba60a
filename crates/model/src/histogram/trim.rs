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
    /// divided by interpolation: exponential, or linear for custom bounds and the zero bucket. If
    /// anything changes, the sum is estimated anew, each observation in the middle of what is left
    /// of its bucket.
    #[must_use]
    pub fn trimmed(&self, keep: Keep, at: f64) -> Self {
        let custom = self.uses_custom_buckets();
        let cut = Cut { keep, at, custom };
        let mut parts = Parts::of(self);
        let mut kept = Kept::default();
        let positive: Vec<Bucket> = self.positive_iter().collect();
        let negative: Vec<Bucket> = self.negative_iter().collect();
        kept.trim_side(&mut parts.positive, &positive, cut);
        kept.trim_side(&mut parts.negative, &negative, cut);
        if parts.zero_count != 0.0 {
            parts.zero_count = kept.take(
                cut.finite(&self.biased_zero_bucket(), true),
                parts.zero_count,
            );
        }
        if !kept.changed {
            return self.clone();
        }
        let mut out = self.clone();
        parts.put_into(&mut out);
        out.count = kept.count;
        out.sum = if kept.count == 0.0 { 0.0 } else { kept.sum };
        out
    }

    /// The zero bucket; beside buckets of one sign only it reaches no further than zero on the other side.
    fn biased_zero_bucket(&self) -> Bucket {
        let mut bucket = self.zero_bucket();
        match (
            self.negative_buckets.is_empty(),
            self.positive_buckets.is_empty(),
        ) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
        bucket
    }
}

/// What stays of a bucket.
#[derive(Clone, Copy)]
struct Share {
    count: f64,
    /// Where an observation is taken to lie.
    place: f64,
    /// It is the whole bucket.
    whole: bool,
}

const NOTHING: Share = Share {
    count: 0.0,
    place: 0.0,
    whole: false,
};

#[derive(Clone, Copy)]
struct Cut {
    keep: Keep,
    at: f64,
    custom: bool,
}

impl Cut {
    fn share(self, bucket: &Bucket) -> Share {
        if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
            self.infinite(bucket)
        } else {
            self.finite(bucket, self.custom)
        }
    }

    fn finite(self, bucket: &Bucket, linear: bool) -> Share {
        let (lower, upper) = (bucket.lower, bucket.upper);
        let middle = |from: f64, to: f64| match linear {
            true => (from + to) / 2.0,
            false => (from * to).sqrt().copysign(from + to),
        };
        let at = self.at.clamp(lower, upper);
        let (from, to) = match self.keep {
            Keep::Below => (lower, at),
            Keep::Above => (at, upper),
        };
        let below = below(bucket, at, linear);
        let count = if self.keep == Keep::Below {
            below
        } else {
            bucket.count - below
        };
        Share {
            count,
            place: middle(from, to),
            whole: (from, to) == (lower, upper),
        }
    }

    /// Nothing is known of how observations lie in an infinite bucket. What may lie on the wrong side
    /// goes whole; what certainly does not is taken to lie as near to zero as it can. A lowest bucket
    /// with a positive upper bound is taken to begin at zero, as in classic histograms.
    fn infinite(self, bucket: &Bucket) -> Share {
        let at = self.at;
        let Bucket {
            lower,
            upper,
            count,
            ..
        } = *bucket;
        let whole = |place: f64| Share {
            count,
            place,
            whole: true,
        };
        match (
            self.keep,
            lower == f64::NEG_INFINITY,
            upper == f64::INFINITY,
        ) {
            (Keep::Below, true, _) if at >= upper => {
                whole(if upper > 0.0 { upper / 2.0 } else { upper })
            }
            (Keep::Above, true, _) if at == f64::NEG_INFINITY => {
                whole(if upper > 0.0 { upper / 2.0 } else { upper })
            }
            (_, true, true) => NOTHING,
            (Keep::Below, true, _) if upper > 0.0 && at >= 0.0 => Share {
                count: count * at / upper,
                place: at / 2.0,
                whole: false,
            },
            (Keep::Below, true, _) if upper <= 0.0 && at.is_finite() => Share {
                count,
                place: at,
                whole: false,
            },
            (Keep::Above, true, _) if upper > at && at >= 0.0 => Share {
                count: count * (1.0 - at / upper),
                place: f64::midpoint(at, upper),
                whole: at == 0.0,
            },
            (Keep::Below, _, true) if at == f64::INFINITY => whole(lower),
            (Keep::Above, _, true) if at <= lower => whole(lower),
            (Keep::Above, _, true) if at.is_finite() => Share {
                count,
                place: at,
                whole: false,
            },
            _ => NOTHING,
        }
    }
}

/// What is left of all buckets.
#[derive(Default)]
struct Kept {
    count: f64,
    sum: f64,
    changed: bool,
}

impl Kept {
    fn take(&mut self, share: Share, count: f64) -> f64 {
        self.changed |= !share.whole;
        let kept = if share.whole { count } else { share.count };
        self.count += kept;
        if kept != 0.0 {
            self.sum += kept * share.place;
        }
        kept
    }

    fn trim_side(&mut self, side: &mut Side, buckets: &[Bucket], cut: Cut) {
        for (entry, bucket) in side
            .iter_mut()
            .zip(buckets)
            .filter(|(_, bucket)| bucket.count != 0.0)
        {
            entry.1 = self.take(cut.share(bucket), bucket.count);
        }
    }
}

/// Observations of a bucket up to `at`, which lies in it.
fn below(bucket: &Bucket, at: f64, linear: bool) -> f64 {
    let Bucket {
        lower,
        upper,
        count,
        ..
    } = *bucket;
    if at <= lower {
        return 0.0;
    }
    if at >= upper {
        return count;
    }
    let fraction = if linear {
        (at - lower) / (upper - lower)
    } else {
        let (low, high, middle) = (lower.abs().log2(), upper.abs().log2(), at.abs().log2());
        (middle - low) / (high - low)
    };
    count * fraction
}

#[cfg(test)]
mod tests {
    use super::super::{CUSTOM_BUCKETS_SCHEMA, Span};
    use super::*;

    fn histogram() -> FloatHistogram {
        FloatHistogram {
            count: 8.0,
            sum: 20.0,
            positive_spans: vec![Span {
                offset: 1,
                length: 3,
            }],
            positive_buckets: vec![2.0, 2.0, 4.0],
            ..FloatHistogram::default()
        }
    }

    #[test]
    fn buckets_are_cut_where_the_value_lies() {
        let low = histogram().trimmed(Keep::Below, 2.0);
        assert_eq!((low.count, low.positive_buckets), (2.0, vec![2.0]));
        let high = histogram().trimmed(Keep::Above, 2.0);
        assert_eq!((high.count, high.positive_buckets), (6.0, vec![2.0, 4.0]));
        assert_eq!(histogram().trimmed(Keep::Below, 0.5).sum, 0.0);
    }

    #[test]
    fn nothing_to_cut_changes_nothing() {
        assert_eq!(
            histogram().trimmed(Keep::Above, f64::NEG_INFINITY),
            histogram()
        );
        assert_eq!(histogram().trimmed(Keep::Below, 8.0), histogram());
    }

    #[test]
    fn infinite_buckets_stay_or_go_whole() {
        let custom = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 101.0,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_buckets: vec![1.0, 100.0],
            custom_values: [0.0].into(),
            ..FloatHistogram::default()
        };
        let above = custom.trimmed(Keep::Above, 10.0);
        assert_eq!((above.count, above.sum), (100.0, 1000.0));
        let below = custom.trimmed(Keep::Below, -10.0);
        assert_eq!((below.count, below.sum), (1.0, -10.0));
    }
}
