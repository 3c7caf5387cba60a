//! Datagrams.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin};
use crate::plugins::net::{check_address, is_timeout, resolve_as};

/// How often it is seen whether to stop.
const SLICE: Duration = Duration::from_millis(200);
/// The largest datagram there is.
const DATAGRAM_MAX: usize = 65536;

/// Settings of [`UdpInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UdpInputSettings {
    /// Where to listen: `host:port`, the path of a socket, `@name`, or `fd:N`
    /// for a socket that whoever started this process left open.
    pub address: String,
    /// `udp`, `udp4`, `udp6` or `unixgram`.
    pub net: String,
    /// The sender's address becomes the message's hostname.
    pub set_hostname: bool,
}

impl Default for UdpInputSettings {
    fn default() -> UdpInputSettings {
        UdpInputSettings {
            address: String::new(),
            net: "udp".to_owned(),
            set_hostname: false,
        }
    }
}

/// Listens for datagrams. Each is a stream of its own.
#[derive(Debug)]
pub struct UdpInput {
    settings: UdpInputSettings,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram),
}

impl Plugin for UdpInput {
    const TYPE: &'static str = "UdpInput";
    type Settings = UdpInputSettings;

    fn build(settings: &UdpInputSettings, _: &BuildContext<'_>) -> Result<UdpInput, BuildError> {
        match settings.net.as_str() {
            "udp" | "udp4" | "udp6" | "unixgram" if is_inherited(&settings.address) => {
                inherited(&settings.address)?;
            }
            "udp" | "udp4" | "udp6" => check_address(&settings.address)?,
            "unixgram" if !settings.address.is_empty() => {}
            "unixgram" => return Err(BuildError::new("address is required")),
            other => return Err(BuildError::new(format!("unknown net {other:?}"))),
        }
        Ok(UdpInput {
            settings: settings.clone(),
            socket: None,
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            decoder: Some("ProtobufDecoder"),
            splitter: Some("HekaFramingSplitter"),
            ..Defaults::default()
        }
    }
}

fn is_inherited(address: &str) -> bool {
    address.starts_with("fd:")
}

/// The number in `fd:N`.
fn inherited(address: &str) -> Result<RawFd, BuildError> {
    let number = address.strip_prefix("fd:").map(str::parse::<RawFd>);
    match number {
        Some(Ok(number)) if number > 2 => Ok(number),
        _ => Err(BuildError::new(format!(
            "address {address:?} names no open socket: fd:3 or more"
        ))),
    }
}

/// A copy of a socket that this process was started with. Asking the kernel
/// for one of our own open files by its number needs no trust in the number.
fn take_over(number: RawFd) -> io::Result<OwnedFd> {
    let ourselves = pidfd_open(getpid(), PidfdFlags::empty())?;
    Ok(pidfd_getfd(ourselves, number, PidfdGetfdFlags::empty())?)
}

fn unix(address: &str) -> io::Result<UnixDatagram> {
    if let Some(name) = address.strip_prefix('@') {
        return UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(name)?);
    }
    match fs::remove_file(address) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixDatagram::bind(address)
}

impl Socket {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        match self {
            Socket::Udp(socket) => socket
                .recv_from(buffer)
                .map(|(len, from)| (len, Some(from))),
            Socket::Unix(socket) => socket.recv(buffer).map(|len| (len, None)),
        }
    }
}

impl UdpInput {
    fn open(&self) -> io::Result<Socket> {
        let UdpInputSettings { address, net, .. } = &self.settings;
        let given = match is_inherited(address) {
            true => Some(take_over(inherited(address).map_err(io::Error::other)?)?),
            false => None,
        };
        if net == "unixgram" {
            let socket = given.map_or_else(|| unix(address), |fd| Ok(fd.into()))?;
            socket.set_read_timeout(Some(SLICE))?;
            return Ok(Socket::Unix(socket));
        }
        let bind = || UdpSocket::bind(resolve_as(net, address).map_err(io::Error::other)?);
        let socket = given.map_or_else(bind, |fd| Ok(fd.into()))?;
        socket.set_read_timeout(Some(SLICE))?;
        Ok(Socket::Udp(socket))
    }
}

impl Input for UdpInput {
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let socket = self
            .open()
            .map_err(|error| format!("{}: {error}", self.settings.address))?;
        if let Socket::Udp(socket) = &socket {
            let port = socket.local_addr().map_or(0, |address| address.port());
            cx.stats().counter("Port").set(u64::from(port));
        }
        self.socket = Some(socket);
        Ok(())
    }

    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let Some(socket) = self.socket.take() else {
            return Err("not started".to_owned());
        };
        let mut session = cx.session("udp").map_err(|error| error.to_string())?;
        let mut buffer = vec![0; DATAGRAM_MAX];
        while !cx.stop().is_raised() {
            let (len, from) = match socket.receive(&mut buffer) {
                Ok(received) => received,
                Err(error) if is_timeout(&error) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            if self.settings.set_hostname
                && let Some(from) = from
            {
                session.template_mut().hostname = Some(Bytes::from(from.ip().to_string()));
            }
            let taken = session.push(&buffer[..len]).and_then(|()| session.finish());
            taken.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_that_is_open_already_is_taken_over() {
        let ours = UdpSocket::bind("127.0.0.1:0").unwrap();
        let input = UdpInput {
            settings: UdpInputSettings {
                address: format!("fd:{}", ours.as_raw_fd()),
                ..UdpInputSettings::default()
            },
            socket: None,
        };
        let Socket::Udp(theirs) = input.open().unwrap() else {
            panic!("not a socket of the internet");
        };
        assert_eq!(theirs.local_addr().unwrap(), ours.local_addr().unwrap());
    }

    #[test]
    fn standard_files_are_no_sockets_to_take_over() {
        assert!(inherited("fd:2").is_err());
        assert!(inherited("fd:x").is_err());
        assert_eq!(inherited("fd:3"), Ok(3));
        assert!(take_over(RawFd::MAX).is_err());
    }
}
