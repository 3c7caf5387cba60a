#![doc = include_str!("../README.md")]

pub mod answer;
pub mod cancel;
pub mod error;
pub mod evaluate;
pub mod grid;
pub mod stats;

pub use answer::{Answer, InstantSample, Point, RangeSeries, Value};
pub use cancel::CancelToken;
pub use error::{QueryError, QueryErrorKind};
pub use evaluate::{EvalRequest, Evaluate, StatsLevel};
pub use grid::StepGrid;
pub use stats::QueryStats;
