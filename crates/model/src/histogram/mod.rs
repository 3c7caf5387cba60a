//! Native histograms: sparse buckets whose bounds follow a schema.
//!
//! Exponential schemas -4 to 8: bucket `i` of the positive side holds observations in
//! `(2^((i-1)·2^-s), 2^(i·2^-s)]`; the negative side mirrors it; a zero bucket takes what lies
//! within the zero threshold. Schema -53 has custom bounds, positive buckets only.
//! Source: Prometheus's native histogram specification, 1.0.

mod arithmetic;
mod bounds;
mod buckets;
mod display;
mod float;
mod fractions;
mod integer;
mod kahan;
mod reconcile;
mod reset;
mod side;
mod trim;
mod validate;

use std::borrow::Cow;

pub use bounds::{bucket_bound, spans_indexes};
pub use buckets::Bucket;
pub use float::FloatHistogram;
pub use integer::Histogram;
pub use kahan::{HistogramSum, kahan_add};
pub use reconcile::{Combined, IncompatibleSchemas};
pub use trim::Keep;
pub use validate::HistogramError;

/// The schema number that says "bounds are listed in `custom_values`".
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The coarsest exponential schema.
pub const EXPONENTIAL_SCHEMA_MIN: i32 = -4;
/// The finest exponential schema.
pub const EXPONENTIAL_SCHEMA_MAX: i32 = 8;

/// Whether `schema` is one of the exponential schemas.
pub const fn is_exponential_schema(schema: i32) -> bool {
    EXPONENTIAL_SCHEMA_MIN <= schema && schema <= EXPONENTIAL_SCHEMA_MAX
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the span before in buckets; for the first span, its first bucket index.
    pub offset: i32,
    /// Number of buckets in the run.
    pub length: u32,
}

/// What is known about a counter reset between this histogram and the one before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResetHint {
    /// Nothing: look at the buckets.
    #[default]
    Unknown,
    /// A reset happened.
    Reset,
    /// No reset happened.
    NotReset,
    /// A gauge histogram: resets mean nothing.
    Gauge,
}

/// A histogram of either kind, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HistogramRef<'a> {
    /// Counts are whole numbers.
    Integer(&'a Histogram),
    /// Counts are floats.
    Float(&'a FloatHistogram),
}

impl<'a> HistogramRef<'a> {
    /// The histogram with float counts, copied only if it has to be.
    pub fn to_float(self) -> Cow<'a, FloatHistogram> {
        match self {
            Self::Integer(histogram) => Cow::Owned(histogram.to_float()),
            Self::Float(histogram) => Cow::Borrowed(histogram),
        }
    }

    /// The sum of observations.
    pub fn sum(self) -> f64 {
        match self {
            Self::Integer(histogram) => histogram.sum,
            Self::Float(histogram) => histogram.sum,
        }
    }

    /// Whether this is a stale marker.
    pub fn is_stale(self) -> bool {
        crate::sample::is_stale_nan(self.sum())
    }

    /// Checks the invariants that every store relies on.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn validate(self) -> Result<(), HistogramError> {
        match self {
            Self::Integer(histogram) => histogram.validate(),
            Self::Float(histogram) => histogram.validate(),
        }
    }
}
