//! Where buckets begin and end.

use super::fractions::FRACTIONS;
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

/// The schema whose buckets are listed one by one; finer ones are not used.
const FINEST_SCHEMA: i32 = 8;

/// The whole part of the exponent is split off, so that the rounding error does not grow with
/// the index.
fn exponential_bound(index: i32, schema: i32) -> f64 {
    let per_octave = 1i64 << schema.clamp(0, FINEST_SCHEMA);
    let index = i64::from(index) << (-schema).clamp(0, 30);
    let (octave, step) = (index.div_euclid(per_octave), index.rem_euclid(per_octave));
    if step == 0 && octave == 1024 {
        // The bucket that ends at 2^1024 takes the largest float, so that +Inf has a bucket of its own.
        return f64::MAX;
    }
    let fraction = FRACTIONS[(step * (256 / per_octave)) as usize];
    times_power_of_two(fraction, octave.clamp(-1100, 1025) as i32 + 1)
}

/// In two factors, so that neither leaves the range in which powers of two are exact.
fn times_power_of_two(value: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    value * 2f64.powi(half) * 2f64.powi(exponent - half)
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
        assert_eq!(bucket_bound(1, 1, &[]), 2.0 * 0.7071067811865475);
        assert_eq!(bucket_bound(-1074, 0, &[]), 5e-324);
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
