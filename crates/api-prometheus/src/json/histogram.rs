//! Native histograms in JSON: count, sum and the buckets that have observations.

use headwater_model::FloatHistogram;
use headwater_model::Span;
use headwater_model::histogram::{CUSTOM_BUCKETS_SCHEMA, bucket_bound, spans_indexes};

use super::text::{PushText, push_unsigned, push_value};

/// Which bounds belong to a bucket, as numbers of the API: 0 the upper, 1 the lower, 2 none, 3 both.
fn bounds_code(lower_belongs: bool, upper_belongs: bool) -> u64 {
    match (lower_belongs, upper_belongs) {
        (false, true) => 0,
        (true, false) => 1,
        (false, false) => 2,
        (true, true) => 3,
    }
}

struct Bucket {
    bounds: u64,
    lower: f64,
    upper: f64,
    count: f64,
}

/// Appends `{"count":"…","sum":"…","buckets":[[bounds,"lower","upper","count"],…]}`. Buckets come in
/// ascending order; empty ones are left out, and so is the whole list if all are empty.
pub(crate) fn push_histogram(out: &mut Vec<u8>, histogram: &FloatHistogram) {
    out.push_str("{\"count\":");
    push_value(out, histogram.count);
    out.push_str(",\"sum\":");
    push_value(out, histogram.sum);
    let mut first = true;
    for bucket in buckets(histogram).filter(|bucket| bucket.count != 0.0) {
        out.push_str(if first { ",\"buckets\":[" } else { "," });
        first = false;
        push_bucket(out, &bucket);
    }
    out.push_str(if first { "}" } else { "]}" });
}

fn push_bucket(out: &mut Vec<u8>, bucket: &Bucket) {
    out.push(b'[');
    push_unsigned(out, bucket.bounds);
    for value in [bucket.lower, bucket.upper, bucket.count] {
        out.push(b',');
        push_value(out, value);
    }
    out.push(b']');
}

fn buckets(histogram: &FloatHistogram) -> impl Iterator<Item = Bucket> + '_ {
    let mut negative: Vec<(i32, f64)> =
        indexed(&histogram.negative_spans, &histogram.negative_buckets).collect();
    negative.reverse();
    let negative = negative.into_iter().map(|(index, count)| Bucket {
        bounds: bounds_code(true, false),
        lower: -bound(histogram, index),
        upper: -bound(histogram, index.wrapping_sub(1)),
        count,
    });
    let zero = std::iter::once(Bucket {
        bounds: bounds_code(true, true),
        lower: -histogram.zero_threshold,
        upper: histogram.zero_threshold,
        count: histogram.zero_count,
    });
    let positive = indexed(&histogram.positive_spans, &histogram.positive_buckets);
    let positive = positive.map(|(index, count)| Bucket {
        bounds: bounds_code(is_lowest_custom(histogram, index), true),
        lower: bound(histogram, index.wrapping_sub(1)),
        upper: bound(histogram, index),
        count,
    });
    negative.chain(zero).chain(positive)
}

/// The lowest custom bucket begins at -Inf, which belongs to it.
fn is_lowest_custom(histogram: &FloatHistogram, index: i32) -> bool {
    histogram.schema == CUSTOM_BUCKETS_SCHEMA && index == 0
}

fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    spans_indexes(spans).zip(counts.iter().copied())
}

fn bound(histogram: &FloatHistogram, index: i32) -> f64 {
    bucket_bound(index, histogram.schema, &histogram.custom_values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(histogram: &FloatHistogram) -> String {
        let mut out = Vec::new();
        push_histogram(&mut out, histogram);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn exponential_buckets_ascend_and_empty_ones_are_left_out() {
        let histogram = FloatHistogram {
            count: 9.5,
            sum: 12.0,
            zero_threshold: 0.25,
            zero_count: 1.0,
            positive_spans: vec![
                Span {
                    offset: 0,
                    length: 2,
                },
                Span {
                    offset: 1,
                    length: 1,
                },
            ],
            positive_buckets: vec![2.0, 0.0, 4.0],
            negative_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            negative_buckets: vec![1.5, 1.0],
            ..FloatHistogram::default()
        };
        assert_eq!(
            written(&histogram),
            concat!(
                r#"{"count":"9.5","sum":"12","buckets":[[1,"-2","-1","1"],[1,"-1","-0.5","1.5"],"#,
                r#"[3,"-0.25","0.25","1"],[0,"0.5","1","2"],[0,"4","8","4"]]}"#
            )
        );
    }

    #[test]
    fn custom_buckets_reach_both_infinities() {
        let histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 3.0,
            sum: 4.0,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_buckets: vec![1.0, 2.0],
            custom_values: vec![1.0].into(),
            ..FloatHistogram::default()
        };
        assert_eq!(
            written(&histogram),
            r#"{"count":"3","sum":"4","buckets":[[3,"-Inf","1","1"],[0,"1","+Inf","2"]]}"#
        );
    }

    #[test]
    fn no_observations_no_list() {
        assert_eq!(
            written(&FloatHistogram::default()),
            r#"{"count":"0","sum":"0"}"#
        );
    }
}
