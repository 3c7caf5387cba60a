//! Histograms with whole counts, buckets as differences, as they are scraped and stored.

use std::sync::Arc;

use super::{FloatHistogram, ResetHint, Span};

/// A native histogram with integer counts. Bucket counts are kept as the difference to the bucket before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// What is known of a counter reset before this histogram.
    pub reset_hint: ResetHint,
    /// Resolution: -4 to 8, or -53 for custom bounds.
    pub schema: i32,
    /// Observations with an absolute value up to this go to the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations, NaN included.
    pub count: u64,
    /// Sum of all observations; the stale marker makes the whole histogram one.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// First count, then differences from bucket to bucket.
    pub positive_deltas: Vec<i64>,
    /// First count, then differences from bucket to bucket.
    pub negative_deltas: Vec<i64>,
    /// Upper bounds for schema -53, ascending, without +Inf; empty otherwise.
    pub custom_values: Arc<[f64]>,
}

impl Histogram {
    /// The same histogram with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        FloatHistogram {
            reset_hint: self.reset_hint,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            negative_spans: self.negative_spans.clone(),
            positive_buckets: absolute(&self.positive_deltas),
            negative_buckets: absolute(&self.negative_deltas),
            custom_values: self.custom_values.clone(),
        }
    }
}

fn absolute(deltas: &[i64]) -> Vec<f64> {
    let mut count = 0i64;
    let running = deltas.iter().map(|delta| {
        count = count.wrapping_add(*delta);
        count as f64
    });
    running.collect()
}
