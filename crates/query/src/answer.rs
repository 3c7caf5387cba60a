//! What an evaluation returns.

use std::sync::Arc;

use headwater_model::{FloatHistogram, Labels, SeriesColumns, Timestamp};

use crate::stats::QueryStats;

/// A value, with what should be said beside it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// Something is wrong or was left out: shown to the user as a warning.
    pub warnings: Vec<String>,
    /// Something may be a mistake in the query: shown as information.
    pub infos: Vec<String>,
    /// What the evaluation cost.
    pub stats: QueryStats,
}

/// The four kinds of value.
#[derive(Clone, Debug)]
pub enum Value {
    /// One number without labels.
    Scalar {
        /// Milliseconds.
        time: Timestamp,
        /// The number.
        value: f64,
    },
    /// A string literal.
    String {
        /// Milliseconds.
        time: Timestamp,
        /// The text.
        value: String,
    },
    /// One point a series, all at the same time. The order means something only after a sort function.
    Vector(Vec<InstantSample>),
    /// Points over time, sorted by labels.
    Matrix(Vec<RangeSeries>),
}

impl Default for Value {
    fn default() -> Self {
        Self::Vector(Vec::new())
    }
}

impl Value {
    /// The word that the HTTP API uses for the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Scalar { .. } => "scalar",
            Self::String { .. } => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// A float or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<FloatHistogram>),
}

/// One series of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct InstantSample {
    /// The series.
    pub labels: Labels,
    /// Milliseconds.
    pub time: Timestamp,
    /// Its point.
    pub point: Point,
}

/// One series of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct RangeSeries {
    /// The series.
    pub labels: Labels,
    /// Its points.
    pub columns: SeriesColumns,
}
