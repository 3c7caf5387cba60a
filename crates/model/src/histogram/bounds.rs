//! Where buckets begin and end.

use super::{CUSTOM_BUCKETS_SCHEMA, Span};

/// The upper bound of bucket `index` (positive side): `2^(index · 2^-schema)` for exponential
/// schemas, the listed bound (or +Inf past the last) for custom ones.
pub fn bucket_bound(index: i32, schema: i32, custom_values: &[f64]) -> f64 {
    if schema == CUSTOM_BUCKETS_SCHEMA {
        return match usize::try_from(index) {
            Ok(at) => custom_values.get(at).copied().unwrap_or(f64::INFINITY),
            Err(_) => f64::NEG_INFINITY,
        };
    }
    exponential_bound(index, schema)
}

/// Powers whose exponent is whole are exact; the others split off the whole part, so that
/// the rounding error does not grow with the index.
fn exponential_bound(index: i32, schema: i32) -> f64 {
    let buckets_per_octave = 1i64 << schema.max(0);
    let index = i64::from(index) << (-schema).max(0);
    let (octave, step) = (
        index.div_euclid(buckets_per_octave),
        index.rem_euclid(buckets_per_octave),
    );
    let fraction = (step as f64 / buckets_per_octave as f64).exp2();
    if step == 0 && octave == 1024 {
        // The bucket that ends at 2^1024 takes the largest float, so that +Inf has a bucket of its own.
        return f64::MAX;
    }
    fraction * 2f64.powi(octave.clamp(-1100, 1025) as i32)
}

/// The bucket index of every bucket that the spans describe, in order.
pub fn spans_indexes(spans: &[Span]) -> impl Iterator<Item = i32> + '_ {
    let mut next = 0i32;
    spans.iter().flat_map(move |span| {
        let start = next.wrapping_add(span.offset);
        next = start.wrapping_add(span.length as i32);
        (0..span.length as i32).map(move |at| start.wrapping_add(at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_some_schemas() {
        assert_eq!(bucket_bound(0, 0, &[]), 1.0);
        assert_eq!(bucket_bound(3, 0, &[]), 8.0);
        assert_eq!(bucket_bound(-1, 0, &[]), 0.5);
        assert_eq!(bucket_bound(1, -2, &[]), 16.0);
        assert_eq!(bucket_bound(1, 1, &[]), std::f64::consts::SQRT_2);
        assert_eq!(bucket_bound(1024, 0, &[]), f64::MAX);
        assert_eq!(bucket_bound(1025, 0, &[]), f64::INFINITY);
        assert_eq!(bucket_bound(1, CUSTOM_BUCKETS_SCHEMA, &[1.0, 2.5]), 2.5);
        assert_eq!(
            bucket_bound(2, CUSTOM_BUCKETS_SCHEMA, &[1.0, 2.5]),
            f64::INFINITY
        );
    }

    #[test]
    fn spans_name_their_buckets() {
        let spans = [
            Span {
                offset: -1,
                length: 2,
            },
            Span {
                offset: 3,
                length: 1,
            },
        ];
        assert_eq!(spans_indexes(&spans).collect::<Vec<_>>(), [-1, 0, 4]);
    }
}
