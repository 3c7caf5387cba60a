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
    resolve_as("", address)
}

/// The first address that `address` stands for in a network: one whose name
/// ends in 4 or 6 takes only addresses of that version.
pub(crate) fn resolve_as(net: &str, address: &str) -> Result<SocketAddr, String> {
    let full = match (address.starts_with(':'), net.ends_with('6')) {
        (true, true) => format!("[::]{address}"),
        (true, false) => format!("0.0.0.0{address}"),
        (false, _) => address.to_owned(),
    };
    let mut found = full
        .to_socket_addrs()
        .map_err(|error| format!("cannot resolve {address}: {error}"))?;
    let fits = |found: &SocketAddr| match net.as_bytes().last() {
        Some(b'4') => found.is_ipv4(),
        Some(b'6') => found.is_ipv6(),
        _ => true,
    };
    found.find(fits).ok_or_else(|| match net {
        "" => format!("{address} has no address"),
        _ => format!("{address} has no address of {net}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_take_addresses_of_their_version() {
        let found = |net, address| resolve_as(net, address).map(|found| found.to_string());
        assert_eq!(found("tcp", "127.0.0.1:1"), Ok("127.0.0.1:1".to_owned()));
        assert_eq!(found("tcp4", "127.0.0.1:1"), Ok("127.0.0.1:1".to_owned()));
        assert_eq!(found("tcp6", ":1"), Ok("[::]:1".to_owned()));
        assert_eq!(found("udp4", ":1"), Ok("0.0.0.0:1".to_owned()));
        let refused = found("tcp6", "127.0.0.1:1").unwrap_err();
        assert_eq!(refused, "127.0.0.1:1 has no address of tcp6");
    }

    #[test]
    fn an_address_has_a_port() {
        assert!(check_address("host:80").is_ok());
        assert!(check_address("host").is_err());
        assert!(check_address("host:http").is_err());
    }
}
