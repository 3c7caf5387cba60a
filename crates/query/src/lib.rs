#![doc = include_str!("../README.md")]

pub mod active;
pub mod aggregate;
pub mod answer;
pub mod budget;
pub mod cancel;
pub mod error;
pub mod evaluate;
pub mod gate;
pub mod grid;
pub mod pool;
pub mod stats;
pub mod step;

pub use active::{ActiveQueries, ActiveQuery};
pub use aggregate::{FloatAggregate, FloatGroup};
pub use answer::{Answer, InstantSample, Point, RangeSeries, Value};
pub use budget::{Budget, Hold, Limits};
pub use cancel::CancelToken;
pub use error::{QueryError, QueryErrorKind};
pub use evaluate::{EvalRequest, Evaluate, Explain, Origin, StatsLevel};
pub use gate::{Gate, Permit};
pub use grid::StepGrid;
pub use pool::CpuPool;
pub use stats::QueryStats;
pub use step::{ABSENT, is_absent, is_present};
