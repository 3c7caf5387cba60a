//! What a metric means: type, unit, help.

use std::fmt;

/// The kind of a metric, as exposition formats name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MetricType {
    /// Not known or not declared.
    #[default]
    Unknown,
    /// Only grows, except when its process restarts.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, sum and count, classic or native.
    Histogram,
    /// Histogram of a current state.
    GaugeHistogram,
    /// Quantiles, sum and count.
    Summary,
    /// Labels that carry facts, value 1.
    Info,
    /// One of a set of states.
    StateSet,
}

impl MetricType {
    /// The word that exposition formats and the HTTP API use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::GaugeHistogram => "gaugehistogram",
            Self::Summary => "summary",
            Self::Info => "info",
            Self::StateSet => "stateset",
        }
    }

    /// The type that a word stands for; `untyped` is the old word for unknown.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "unknown" | "untyped" => Self::Unknown,
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "histogram" => Self::Histogram,
            "gaugehistogram" => Self::GaugeHistogram,
            "summary" => Self::Summary,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            _ => return None,
        })
    }
}

impl fmt::Display for MetricType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Type, unit and help of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The metric's type.
    pub metric_type: MetricType,
    /// The unit, e.g. `seconds`; often empty.
    pub unit: String,
    /// One sentence for people; may be empty.
    pub help: String,
}
