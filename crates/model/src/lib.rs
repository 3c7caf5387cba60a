#![doc = include_str!("../README.md")]

pub mod column;
pub mod duration;
pub mod exemplar;
pub mod histogram;
pub mod label;
pub mod matcher;
pub mod metadata;
pub mod name;
pub mod number;
pub mod quote;
pub mod sample;
pub mod target;

pub use column::{FloatColumn, HistogramColumn, SeriesColumns};
pub use exemplar::Exemplar;
pub use histogram::{FloatHistogram, Histogram, HistogramRef, ResetHint, Span};
pub use label::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use metadata::{Metadata, MetricType};
pub use sample::{STALE_NAN_BITS, TimeRange, Timestamp, is_stale_nan, stale_nan};
pub use target::TargetGroup;
