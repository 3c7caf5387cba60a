//! What plugins share that speak to the network.

mod address;
mod stream;
mod tls;

pub(crate) use address::{check_address, resolve, resolve_as};
pub(crate) use stream::{KeepAlive, Stream, connect, is_timeout};
pub use tls::TlsSettings;
pub(crate) use tls::{Acceptor, Connector};
#[cfg(feature = "http")]
pub(crate) use tls::{client_settings, server_settings};
