//! Native histograms made coarser until they fit the limits of a job.

use headwater_model::histogram::{EXPONENTIAL_SCHEMA_MIN, is_exponential_schema, spans_indexes};
use headwater_model::{FloatHistogram, Histogram, Span};

use crate::config::ScrapeLimits;
use crate::error::ScrapeError;

/// A histogram that fits; `None` if it does already.
///
/// # Errors
/// It does not fit even at the coarsest resolution.
pub(crate) fn fit(
    histogram: &Histogram,
    limits: &ScrapeLimits,
) -> Result<Option<Histogram>, ScrapeError> {
    let buckets = |h: &Histogram| h.positive_deltas.len() + h.negative_deltas.len();
    let mut schema = allowed_schema(histogram.schema, limits);
    let mut fitted = (schema < histogram.schema).then(|| coarser(histogram, schema));
    while limits.histogram_buckets > 0
        && buckets(fitted.as_ref().unwrap_or(histogram)) > limits.histogram_buckets
    {
        if !is_exponential_schema(histogram.schema) || schema <= EXPONENTIAL_SCHEMA_MIN {
            return Err(ScrapeError::BucketLimit);
        }
        schema -= 1;
        fitted = Some(coarser(histogram, schema));
    }
    Ok(fitted)
}

/// As [`fit`], for float counts.
///
/// # Errors
/// As [`fit`].
pub(crate) fn fit_float(
    histogram: &FloatHistogram,
    limits: &ScrapeLimits,
) -> Result<Option<FloatHistogram>, ScrapeError> {
    let buckets = |h: &FloatHistogram| h.positive_buckets.len() + h.negative_buckets.len();
    let mut schema = allowed_schema(histogram.schema, limits);
    let mut fitted = (schema < histogram.schema).then(|| histogram.to_schema(schema));
    while limits.histogram_buckets > 0
        && buckets(fitted.as_ref().unwrap_or(histogram)) > limits.histogram_buckets
    {
        if !is_exponential_schema(histogram.schema) || schema <= EXPONENTIAL_SCHEMA_MIN {
            return Err(ScrapeError::BucketLimit);
        }
        schema -= 1;
        fitted = Some(histogram.to_schema(schema));
    }
    Ok(fitted)
}

/// The finest schema whose buckets grow by at least the wanted factor, or the given one if
/// that is coarser. Schema `s` grows by `2^(2^-s)`.
fn allowed_schema(schema: i32, limits: &ScrapeLimits) -> i32 {
    let factor = limits.histogram_min_bucket_factor;
    if factor <= 1.0 || !is_exponential_schema(schema) {
        return schema;
    }
    let growth = |schema: i32| f64::from(-schema).exp2().exp2();
    (EXPONENTIAL_SCHEMA_MIN..=schema)
        .rev()
        .find(|s| growth(*s) >= factor)
        .unwrap_or(EXPONENTIAL_SCHEMA_MIN)
}

fn coarser(histogram: &Histogram, schema: i32) -> Histogram {
    let steps = (histogram.schema - schema).unsigned_abs();
    let (positive_spans, positive_deltas) =
        merge(&histogram.positive_spans, &histogram.positive_deltas, steps);
    let (negative_spans, negative_deltas) =
        merge(&histogram.negative_spans, &histogram.negative_deltas, steps);
    Histogram {
        schema,
        positive_spans,
        positive_deltas,
        negative_spans,
        negative_deltas,
        ..histogram.clone()
    }
}

/// Joins the buckets that lie in one bucket of a schema `steps` lower.
fn merge(spans: &[Span], deltas: &[i64], steps: u32) -> (Vec<Span>, Vec<i64>) {
    let (mut spans_out, mut deltas_out): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
    let (mut count, mut last_count, mut last_index) = (0i64, 0i64, None);
    let mut sum = 0i64;
    for (index, delta) in spans_indexes(spans).zip(deltas) {
        count = count.wrapping_add(*delta);
        // Bucket i ends at 2^(i * 2^-schema), so that i and i + 1 of an odd i join upwards.
        let index = (index.wrapping_sub(1) >> steps).wrapping_add(1);
        match last_index {
            Some(last) if last == index => {
                sum = sum.wrapping_add(count);
                if let Some(delta) = deltas_out.last_mut() {
                    *delta = delta.wrapping_add(count);
                }
                continue;
            }
            Some(last) if index == last + 1 => {
                if let Some(span) = spans_out.last_mut() {
                    span.length += 1;
                }
            }
            _ => {
                let end = last_index.map_or(0, |last: i32| last + 1);
                spans_out.push(Span {
                    offset: index - end,
                    length: 1,
                });
            }
        }
        last_count = if last_index.is_some() {
            sum
        } else {
            last_count
        };
        deltas_out.push(count.wrapping_sub(last_count));
        sum = count;
        last_index = Some(index);
    }
    (spans_out, deltas_out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram {
        // Buckets 1: 2, 2: 3, 3: 1, 6: 4 at schema 1.
        Histogram {
            schema: 1,
            count: 10,
            positive_spans: vec![
                Span {
                    offset: 1,
                    length: 3,
                },
                Span {
                    offset: 2,
                    length: 1,
                },
            ],
            positive_deltas: vec![2, 1, -2, 3],
            ..Histogram::default()
        }
    }

    fn limits(buckets: usize, factor: f64) -> ScrapeLimits {
        ScrapeLimits {
            histogram_buckets: buckets,
            histogram_min_bucket_factor: factor,
            ..ScrapeLimits::default()
        }
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert!(matches!(fit(&histogram(), &limits(0, 0.0)), Ok(None)));
        assert!(matches!(fit(&histogram(), &limits(4, 1.2)), Ok(None)));
    }

    #[test]
    fn buckets_are_joined() {
        let fitted = fit(&histogram(), &limits(3, 0.0))
            .expect("fits")
            .expect("coarser");
        // Schema 0: bucket 1 holds 1 and 2, bucket 2 holds 3 and 4, bucket 3 holds 5 and 6.
        assert_eq!(fitted.schema, 0);
        assert_eq!(
            fitted.positive_spans,
            [Span {
                offset: 1,
                length: 3
            }]
        );
        assert_eq!(fitted.positive_deltas, [5, -4, 3]);
        assert!(fitted.validate().is_ok());
        // The float histogram agrees.
        assert_eq!(fitted.to_float(), histogram().to_float().to_schema(0));
    }

    #[test]
    fn factors_choose_a_schema() {
        let fitted = fit(&histogram(), &limits(0, 3.0))
            .expect("fits")
            .expect("coarser");
        assert_eq!(fitted.schema, -1);
        assert_eq!(allowed_schema(8, &limits(0, 1.1)), 2);
    }

    #[test]
    fn what_cannot_fit_is_refused() {
        let mut wide = histogram();
        wide.positive_spans = vec![
            Span {
                offset: 0,
                length: 1,
            },
            Span {
                offset: 10_000,
                length: 1,
            },
        ];
        wide.positive_deltas = vec![1, 0];
        assert!(matches!(
            fit(&wide, &limits(1, 0.0)),
            Err(ScrapeError::BucketLimit)
        ));
        assert!(matches!(
            fit_float(&wide.to_float(), &limits(1, 0.0)),
            Err(ScrapeError::BucketLimit)
        ));
    }
}
