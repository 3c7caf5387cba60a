//! Datagrams.

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin};
use crate::plugins::outputs::{check_address, resolve};

/// How often it is seen whether to stop.
const SLICE: Duration = Duration::from_millis(200);
/// The largest datagram there is.
const DATAGRAM_MAX: usize = 65536;

/// Settings of [`UdpInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UdpInputSettings {
    /// Where to listen: `host:port`, the path of a socket, or `@name`.
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

impl Input for UdpInput {
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let text = |error: io::Error| format!("{}: {error}", self.settings.address);
        let socket = if self.settings.net == "unixgram" {
            let socket = unix(&self.settings.address).map_err(text)?;
            socket.set_read_timeout(Some(SLICE)).map_err(text)?;
            Socket::Unix(socket)
        } else {
            let socket = UdpSocket::bind(resolve(&self.settings.address)?).map_err(text)?;
            socket.set_read_timeout(Some(SLICE)).map_err(text)?;
            let port = socket.local_addr().map_or(0, |address| address.port());
            cx.stats().counter("Port").set(u64::from(port));
            Socket::Udp(socket)
        };
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
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => continue,
                    io::ErrorKind::Interrupted => continue,
                    _ => return Err(error.to_string()),
                },
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
