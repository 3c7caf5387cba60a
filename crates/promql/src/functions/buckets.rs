//! Quantiles and fractions of histograms, classic and native.

use headwater_model::FloatHistogram;
use headwater_model::histogram::Bucket;

/// One bucket of a classic histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ClassicBucket {
    /// The value of `le`.
    pub(crate) bound: f64,
    /// Observations up to the bound.
    pub(crate) count: f64,
}

/// Where counts fell with rising bounds and had to be raised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Raised {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) difference: f64,
}

/// Differences this small between neighbours are rounding errors.
const TOLERANCE: f64 = 1e-12;

/// The `q`-quantile of a classic histogram, by linear interpolation in the bucket that holds it.
pub(crate) fn classic_quantile(q: f64, buckets: &mut Vec<ClassicBucket>) -> (f64, Option<Raised>) {
    if q.is_nan() {
        return (f64::NAN, None);
    }
    if !(0.0..=1.0).contains(&q) {
        return (
            if q < 0.0 {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            },
            None,
        );
    }
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets
        .last()
        .is_none_or(|last| last.bound != f64::INFINITY)
    {
        return (f64::NAN, None);
    }
    let raised = clean(buckets);
    let last = buckets.len() - 1;
    let observations = buckets[last].count;
    if last == 0 || observations == 0.0 || observations.is_nan() {
        return (f64::NAN, None);
    }
    let mut rank = q * observations;
    let at = buckets[..last]
        .iter()
        .position(|bucket| bucket.count >= rank)
        .unwrap_or(last);
    if at == last {
        return (buckets[last - 1].bound, raised);
    }
    if at == 0 && buckets[0].bound <= 0.0 {
        return (buckets[0].bound, raised);
    }
    let (mut start, end, mut count) = (0.0, buckets[at].bound, buckets[at].count);
    if at > 0 {
        start = buckets[at - 1].bound;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (start + (end - start) * (rank / count), raised)
}

/// Joins buckets of one bound, levels rounding errors, and raises counts that fell.
fn clean(buckets: &mut Vec<ClassicBucket>) -> Option<Raised> {
    let mut kept = 0;
    for at in 1..buckets.len() {
        if buckets[at].bound == buckets[kept].bound {
            buckets[kept].count += buckets[at].count;
        } else {
            kept += 1;
            buckets[kept] = buckets[at];
        }
    }
    buckets.truncate(kept + 1);
    let mut before = buckets[0].count;
    let mut raised: Option<Raised> = None;
    for bucket in &mut buckets[1..] {
        let difference = (bucket.count - before).abs();
        if difference == 0.0 {
            continue;
        }
        if difference / bucket.count.abs() <= TOLERANCE {
            bucket.count = before;
        } else if bucket.count < before {
            let entry = raised.get_or_insert(Raised {
                from: bucket.bound,
                to: bucket.bound,
                difference: 0.0,
            });
            entry.to = bucket.bound;
            entry.difference = entry.difference.max(difference);
            bucket.count = before;
        } else {
            before = bucket.count;
        }
    }
    raised
}

/// The share of observations of a classic histogram between two values.
pub(crate) fn classic_fraction(lower: f64, upper: f64, buckets: &mut Vec<ClassicBucket>) -> f64 {
    buckets.sort_by(|a, b| a.bound.total_cmp(&b.bound));
    if buckets
        .last()
        .is_none_or(|last| last.bound != f64::INFINITY)
    {
        return f64::NAN;
    }
    clean(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() || total.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let (mut below_lower, mut below_upper) = (None, None);
    let mut rank = 0.0;
    for (at, bucket) in buckets.iter().enumerate() {
        let start = match at {
            0 if bucket.bound > 0.0 => 0.0,
            0 => f64::NEG_INFINITY,
            _ => buckets[at - 1].bound,
        };
        // A lowest bucket that reaches below zero has no known lower end.
        let upto = |value: f64| {
            if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                rank + (bucket.count - rank) * (value - start) / (bucket.bound - start)
            }
        };
        for (limit, found) in [(lower, &mut below_lower), (upper, &mut below_upper)] {
            if found.is_some() {
                continue;
            }
            if start >= limit {
                *found = Some(rank);
            } else if bucket.bound > limit {
                *found = Some(upto(limit));
            }
        }
        if below_lower.is_some() && below_upper.is_some() {
            break;
        }
        rank = bucket.count;
    }
    let cap = |rank: Option<f64>| rank.filter(|rank| *rank <= total).unwrap_or(total);
    (cap(below_upper) - cap(below_lower)) / total
}

/// The result of a quantile of a native histogram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NativeQuantile {
    pub(crate) value: f64,
    /// There are NaN observations.
    pub(crate) has_nan: bool,
}

/// The `q`-quantile of a native histogram; exponential interpolation except in the zero bucket and
/// between custom bounds. NaN observations lie above all others.
pub(crate) fn native_quantile(q: f64, histogram: &FloatHistogram) -> NativeQuantile {
    let plain = |value| NativeQuantile {
        value,
        has_nan: false,
    };
    if q < 0.0 {
        return plain(f64::NEG_INFINITY);
    }
    if q > 1.0 {
        return plain(f64::INFINITY);
    }
    if histogram.count == 0.0 || q.is_nan() {
        return plain(f64::NAN);
    }
    let mut buckets = histogram.all_buckets();
    buckets.retain(|bucket| bucket.count != 0.0);
    // Observations of NaN are in the count but in no bucket; the sum is NaN then.
    let has_nan = histogram.sum.is_nan() && {
        let in_buckets: f64 = buckets.iter().map(|bucket| bucket.count).sum();
        histogram.count > in_buckets
    };
    let forward = histogram.sum.is_nan() || q < 0.5;
    let rank = if forward {
        q * histogram.count
    } else {
        (1.0 - q) * histogram.count
    };
    let Some((mut bucket, mut count, reached)) = find(&buckets, rank, forward) else {
        return NativeQuantile {
            value: f64::NAN,
            has_nan,
        };
    };
    let custom = histogram.uses_custom_buckets();
    if let Some(value) = adjust(&mut bucket, histogram, custom)
        && (reached || !histogram.sum.is_nan())
    {
        return NativeQuantile { value, has_nan };
    }
    count = count.min(histogram.count);
    if count < rank {
        let value = if histogram.sum.is_nan() {
            f64::NAN
        } else {
            bucket.upper
        };
        return NativeQuantile { value, has_nan };
    }
    let within = if forward {
        rank - (count - bucket.count)
    } else {
        count - rank
    };
    let value = interpolate(&bucket, within / bucket.count, custom);
    NativeQuantile { value, has_nan }
}

/// The bucket that holds a rank, the observations up to and with it, and whether the rank was reached.
fn find(buckets: &[Bucket], rank: f64, forward: bool) -> Option<(Bucket, f64, bool)> {
    let mut count = 0.0;
    let mut found = None;
    for at in 0..buckets.len() {
        let bucket = if forward {
            buckets[at]
        } else {
            buckets[buckets.len() - 1 - at]
        };
        count += bucket.count;
        found = Some((bucket, count, count >= rank));
        if count >= rank {
            break;
        }
    }
    found
}

/// Bounds that interpolation needs; for infinite ones the result if there is nothing to interpolate.
fn adjust(bucket: &mut Bucket, histogram: &FloatHistogram, custom: bool) -> Option<f64> {
    if custom {
        if bucket.lower == f64::NEG_INFINITY {
            if bucket.upper <= 0.0 {
                return Some(bucket.upper);
            }
            bucket.lower = 0.0;
        } else if bucket.upper == f64::INFINITY {
            return Some(bucket.lower);
        }
        return None;
    }
    narrow_zero(bucket, histogram);
    None
}

/// A zero bucket beside buckets of one sign only reaches no further than zero on the other side.
fn narrow_zero(bucket: &mut Bucket, histogram: &FloatHistogram) {
    if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
        match (
            histogram.negative_buckets.is_empty(),
            histogram.positive_buckets.is_empty(),
        ) {
            (true, false) => bucket.lower = 0.0,
            (false, true) => bucket.upper = 0.0,
            _ => {}
        }
    }
}

fn interpolate(bucket: &Bucket, fraction: f64, custom: bool) -> f64 {
    let Bucket { lower, upper, .. } = *bucket;
    if custom || (lower <= 0.0 && upper >= 0.0) {
        return lower + (upper - lower) * fraction;
    }
    let (low, high) = (lower.abs().log2(), upper.abs().log2());
    if lower > 0.0 {
        (low + (high - low) * fraction).exp2()
    } else {
        -(high + (low - high) * (1.0 - fraction)).exp2()
    }
}

/// The share of observations of a native histogram between two values.
pub(crate) fn native_fraction(lower: f64, upper: f64, histogram: &FloatHistogram) -> f64 {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let custom = histogram.uses_custom_buckets();
    let (mut below_lower, mut below_upper) = (None, None);
    let mut rank = 0.0;
    for mut bucket in histogram.all_buckets() {
        let is_zero = !custom && bucket.lower <= 0.0 && bucket.upper >= 0.0;
        if custom && bucket.lower == f64::NEG_INFINITY && bucket.upper > 0.0 {
            bucket.lower = 0.0;
        }
        narrow_zero_for_fraction(&mut bucket, histogram, is_zero);
        for (limit, found) in [(lower, &mut below_lower), (upper, &mut below_upper)] {
            if found.is_some() {
                continue;
            }
            if bucket.lower >= limit {
                *found = Some(rank);
            } else if bucket.upper > limit {
                *found = Some(rank + bucket.count * share_below(&bucket, limit, custom || is_zero));
            }
        }
        if below_lower.is_some() && below_upper.is_some() {
            break;
        }
        rank += bucket.count;
    }
    let cap = |found: Option<f64>| {
        found
            .filter(|rank| *rank <= histogram.count)
            .unwrap_or(rank.min(histogram.count))
    };
    (cap(below_upper) - cap(below_lower)) / histogram.count
}

fn narrow_zero_for_fraction(bucket: &mut Bucket, histogram: &FloatHistogram, is_zero: bool) {
    if is_zero {
        narrow_zero(bucket, histogram);
    }
}

/// Which part of a bucket lies below a value inside it.
fn share_below(bucket: &Bucket, value: f64, linear: bool) -> f64 {
    let Bucket { lower, upper, .. } = *bucket;
    if lower == f64::NEG_INFINITY {
        return 1.0;
    }
    if upper == f64::INFINITY && linear {
        return 0.0;
    }
    if linear {
        return (value - lower) / (upper - lower);
    }
    let (low, high, at) = (lower.abs().log2(), upper.abs().log2(), value.abs().log2());
    if value > 0.0 {
        (at - low) / (high - low)
    } else {
        1.0 - (at - high) / (low - high)
    }
}

/// The variance of observations, each taken to lie in the middle of its bucket.
pub(crate) fn native_variance(histogram: &FloatHistogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let custom = histogram.uses_custom_buckets();
    let (mut sum, mut lost) = (0.0, 0.0);
    for bucket in histogram
        .all_buckets()
        .iter()
        .filter(|bucket| bucket.count != 0.0)
    {
        let middle = match (bucket.lower, bucket.upper) {
            (lower, upper) if custom => (lower + upper) / 2.0,
            (lower, upper) if lower <= 0.0 && upper >= 0.0 => 0.0,
            (lower, upper) if upper < 0.0 => -(lower * upper).sqrt(),
            (lower, upper) => (lower * upper).sqrt(),
        };
        let distance = middle - mean;
        (sum, lost) =
            headwater_model::histogram::kahan_add(bucket.count * distance * distance, sum, lost);
    }
    (sum + lost) / histogram.count
}

#[cfg(test)]
mod tests {
    use headwater_model::Span;

    use super::*;

    fn classic(pairs: &[(f64, f64)]) -> Vec<ClassicBucket> {
        pairs
            .iter()
            .map(|&(bound, count)| ClassicBucket { bound, count })
            .collect()
    }

    #[test]
    fn classic_quantiles_and_fractions() {
        let buckets = [(1.0, 1.0), (2.0, 3.0), (f64::INFINITY, 4.0)];
        assert_eq!(classic_quantile(0.5, &mut classic(&buckets)).0, 1.5);
        assert_eq!(classic_quantile(1.0, &mut classic(&buckets)).0, 2.0);
        assert!(
            classic_quantile(0.5, &mut classic(&buckets[..2]))
                .0
                .is_nan()
        );
        assert_eq!(classic_fraction(0.0, 1.5, &mut classic(&buckets)), 0.5);
    }

    #[test]
    fn falling_counts_are_raised() {
        let mut buckets = classic(&[(1.0, 5.0), (2.0, 3.0), (f64::INFINITY, 6.0)]);
        let raised = classic_quantile(0.5, &mut buckets).1.unwrap();
        assert_eq!((raised.from, raised.difference), (2.0, 2.0));
    }

    #[test]
    fn native_quantiles_interpolate_exponentially() {
        let histogram = FloatHistogram {
            count: 4.0,
            sum: 6.0,
            positive_spans: vec![Span {
                offset: 1,
                length: 1,
            }],
            positive_buckets: vec![4.0],
            ..FloatHistogram::default()
        };
        let quantile = native_quantile(0.5, &histogram).value;
        assert!((quantile - std::f64::consts::SQRT_2).abs() < 1e-12);
        assert!((native_fraction(0.0, quantile, &histogram) - 0.5).abs() < 1e-12);
    }
}
