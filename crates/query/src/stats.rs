//! What an evaluation cost.

use std::time::Duration;

use headwater_model::Timestamp;

/// Costs of one evaluation. Samples are counted as Prometheus counts them: a histogram by its size over 16 bytes.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct QueryStats {
    /// Waiting for a free slot.
    pub queue_time: Duration,
    /// Opening selects.
    pub prepare_time: Duration,
    /// Evaluating.
    pub eval_time: Duration,
    /// Sorting the result.
    pub sort_time: Duration,
    /// From arrival to answer.
    pub total_time: Duration,
    /// Samples that were looked at, over all steps.
    pub samples: u64,
    /// The most samples held at once.
    pub peak_samples: u64,
    /// Samples looked at, by step, if asked for.
    pub samples_per_step: Vec<(Timestamp, u64)>,
    /// Samples taken from the store, each once however many steps look at it.
    pub samples_read: u64,
    /// Samples taken from the store, by the step that took them first, if asked for.
    pub samples_read_per_step: Vec<(Timestamp, u64)>,
}
