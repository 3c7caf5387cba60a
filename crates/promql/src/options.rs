//! Settings of an engine.

use std::time::Duration;

use crate::syntax::parse::ParseOptions;

/// How an engine evaluates; the defaults are Prometheus's.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// How far an instant selector looks back, in milliseconds.
    pub lookback: i64,
    /// Samples that a query may hold at once; 0 for no limit.
    pub max_samples: u64,
    /// Bytes that a query may hold at once; 0 for no limit.
    pub max_bytes: u64,
    /// Bytes that all queries may hold at once; 0 for no limit.
    pub max_total_bytes: u64,
    /// How long a query may take, waiting included.
    pub timeout: Duration,
    /// Step of subqueries that name none, in milliseconds; Prometheus takes its global evaluation interval.
    pub default_subquery_step: i64,
    /// Which parts of the language are enabled.
    pub parse: ParseOptions,
    /// Metric names go at the end of the evaluation rather than where values change their meaning.
    pub delayed_name_removal: bool,
    /// `rate` and its like look at start timestamps.
    pub use_start_timestamps: bool,
    /// The labels `__type__` and `__unit__` say what the name's suffix says otherwise.
    pub type_and_unit_labels: bool,
    /// Threads for evaluation; 0 for one a core.
    pub threads: usize,
    /// Queries that run at once; others wait in the order in which they came. 0 for as many as there are threads.
    pub max_concurrency: usize,
    /// Rewrite plans before they run.
    pub optimise: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback: 300_000,
            max_samples: 50_000_000,
            max_bytes: 0,
            max_total_bytes: 0,
            timeout: Duration::from_secs(120),
            default_subquery_step: 60_000,
            parse: ParseOptions::stable(),
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
            threads: 0,
            max_concurrency: 20,
            optimise: true,
        }
    }
}
