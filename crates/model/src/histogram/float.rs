//! Histograms with float counts: what queries compute with.

use std::sync::Arc;

use super::{ResetHint, Span};

/// A native histogram with float counts, each bucket absolute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// What is known of a counter reset before this histogram.
    pub reset_hint: ResetHint,
    /// Resolution: -4 to 8, or -53 for custom bounds.
    pub schema: i32,
    /// Observations with an absolute value up to this go to the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations, NaN included.
    pub count: f64,
    /// Sum of all observations; the stale marker makes the whole histogram one.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Counts of the positive buckets.
    pub positive_buckets: Vec<f64>,
    /// Counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds for schema -53, ascending, without +Inf; empty otherwise.
    pub custom_values: Arc<[f64]>,
}

impl FloatHistogram {
    /// Bytes that the histogram holds, for memory accounting.
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of::<Span>() * (self.positive_spans.len() + self.negative_spans.len())
            + size_of::<f64>()
                * (self.positive_buckets.len()
                    + self.negative_buckets.len()
                    + self.custom_values.len())
    }
}
