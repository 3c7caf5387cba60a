//! Outputs.

mod carbon;
mod file;
#[cfg(feature = "http")]
mod http;
mod log;
#[cfg(feature = "http")]
mod metrics;
#[cfg(feature = "http")]
mod page;
mod tcp;
mod udp;

pub use carbon::{CarbonOutput, CarbonOutputSettings};
pub use file::{FileOutput, FileOutputSettings, FlushOperator};
#[cfg(feature = "http")]
pub use http::{HttpOutput, HttpOutputSettings};
pub use log::LogOutput;
#[cfg(feature = "http")]
pub use metrics::{MetricsOutput, MetricsOutputSettings};
pub use tcp::{TcpOutput, TcpOutputSettings};
pub use udp::{UdpOutput, UdpOutputSettings};
