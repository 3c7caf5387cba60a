//! Addresses in settings.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::plugin::BuildError;

/// Refuses an address that cannot be one: `host:port` with a number for the
/// port. Names are looked up when they are used, since they may not be known
/// yet.
pub(crate) fn check_address(address: &str) -> Result<(), BuildError> {
    let port = address
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        Some(Err(_)) => Err(BuildError::new(format!(
            "invalid port in address {address:?}"
        ))),
        None => Err(BuildError::new(format!(
            "missing port in address {address:?}"
        ))),
    }
}

/// The first address that `address` stands for; an empty host is all of this
/// machine's.
pub(crate) fn resolve(address: &str) -> Result<SocketAddr, String> {
    let full = if address.starts_with(':') {
        format!("0.0.0.0{address}")
    } else {
        address.to_owned()
    };
    let mut found = full
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {address}: {error}"))?;
    found
        .next()
        .ok_or_else(|| format!("{address} has no address"))
}
