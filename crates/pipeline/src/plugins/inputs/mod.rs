//! Inputs.

#[cfg(feature = "http")]
mod http_listen;
mod logstreamer;
mod stat_accum;
mod statsd;
mod tcp;
mod udp;

#[cfg(feature = "http")]
pub use http_listen::{HttpListenInput, HttpListenInputSettings};
pub use logstreamer::{LogstreamerInput, LogstreamerInputSettings};
pub use stat_accum::{StatAccumInput, StatAccumInputSettings};
#[cfg(feature = "golden")]
pub(crate) use statsd::take_datagram;
pub use statsd::{StatsdInput, StatsdInputSettings};
pub use tcp::{TcpInput, TcpInputSettings};
pub use udp::{UdpInput, UdpInputSettings};
