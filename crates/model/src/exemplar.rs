//! Exemplars: one observation, usually with a trace id, beside a sample.

use crate::label::Labels;
use crate::sample::Timestamp;

/// The most UTF-8 characters that an exemplar's labels may hold, names and values together.
/// Source: the OpenMetrics specification.
pub const EXEMPLAR_MAX_LABEL_CHARS: usize = 128;

/// One observation that stands for many.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// What identifies the observation, usually `trace_id`.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When it was observed; `None` means "at the time of the sample beside it".
    pub time: Option<Timestamp>,
}
