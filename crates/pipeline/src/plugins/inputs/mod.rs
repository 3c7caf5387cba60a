//! Inputs.

mod stat_accum;
mod statsd;
mod tcp;
mod udp;

pub use stat_accum::{StatAccumInput, StatAccumInputSettings};
pub use statsd::{StatsdInput, StatsdInputSettings};
pub use tcp::{TcpInput, TcpInputSettings};
pub use udp::{UdpInput, UdpInputSettings};
