#![doc = include_str!("../README.md")]

mod escape;
mod family;
mod float;
mod format;
mod parse;
pub mod registry;
mod write;

pub use escape::Escaping;
pub use family::{Bucket, Metric, MetricFamily, MetricValue};
pub use float::{push_float_openmetrics, push_float_text};
pub use format::{ContentTypeError, Format, Protocol, accept_header, detect_format, negotiate};
pub use parse::{Event, Options, ParseError, Parser, Sample, Value};
pub use registry::Registry;
pub use write::{content_type, write_body};
