//! Filters.

mod counter;
mod stat;

pub use counter::CounterFilter;
pub use stat::{MetricSettings, StatFilter, StatFilterSettings};
