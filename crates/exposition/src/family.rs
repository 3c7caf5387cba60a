//! Metrics as data: what a program has to say, before it is written in some format.

use std::borrow::Cow;

use headwater_model::{Exemplar, FloatHistogram, Histogram, MetricType, Timestamp};

/// A metric family: metrics of one name, type and meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricFamily {
    /// The name; for counters with `_total`.
    pub name: String,
    /// One sentence; may be empty.
    pub help: String,
    /// The unit, e.g. `seconds`; may be empty.
    pub unit: String,
    /// The type.
    pub metric_type: MetricType,
    /// One metric for each label set.
    pub metrics: Vec<Metric>,
}

impl MetricFamily {
    /// A family without metrics and unit.
    pub fn new(name: impl Into<String>, help: impl Into<String>, metric_type: MetricType) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            unit: String::new(),
            metric_type,
            metrics: Vec::new(),
        }
    }

    /// Adds a metric.
    #[must_use]
    pub fn with(mut self, metric: Metric) -> Self {
        self.metrics.push(metric);
        self
    }
}

/// One label set of a family and what is measured for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Names and values in the order in which they are written.
    pub labels: Vec<(Cow<'static, str>, String)>,
    /// What is measured.
    pub value: MetricValue,
    /// When it was measured, if that is not now.
    pub time: Option<Timestamp>,
    /// When the counting began, in milliseconds.
    pub start: Option<Timestamp>,
}

impl Metric {
    /// A metric without labels and times.
    pub fn new(value: MetricValue) -> Self {
        Self {
            labels: Vec::new(),
            value,
            time: None,
            start: None,
        }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.labels.push((name.into(), value.into()));
        self
    }

    /// Sets the time.
    #[must_use]
    pub fn at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MetricValue {
    /// A number: of a counter, a gauge or an untyped metric.
    Number(f64),
    /// Quantiles of recent observations.
    Summary {
        /// Number of observations.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Quantile and value, in ascending order of quantiles.
        quantiles: Vec<(f64, f64)>,
    },
    /// Classic buckets.
    Buckets {
        /// Number of observations.
        count: u64,
        /// Their sum.
        sum: f64,
        /// Upper bounds in ascending order with cumulative counts; `+Inf` may be left out.
        buckets: Vec<Bucket>,
    },
    /// A native histogram; the text formats leave it out.
    Histogram(Histogram),
    /// A native histogram with float counts; the text formats leave it out.
    FloatHistogram(FloatHistogram),
}

/// A classic bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// The greatest value that counts.
    pub upper_bound: f64,
    /// Observations up to the bound.
    pub cumulative_count: u64,
    /// One of them.
    pub exemplar: Option<Exemplar>,
}
