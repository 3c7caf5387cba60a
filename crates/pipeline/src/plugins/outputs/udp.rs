//! One datagram a message.

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use serde::Deserialize;

use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, Output, OutputContext, Plugin, Undelivered,
};

use crate::plugins::net::{check_address, resolve_as};

/// Settings of [`UdpOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UdpOutputSettings {
    /// `udp`, `udp4`, `udp6` or `unixgram`.
    pub net: String,
    /// Where to send: `host:port`, or the path of a socket.
    pub address: String,
    /// Where to send from.
    pub local_address: String,
    /// Bytes of the largest datagram.
    pub max_message_size: usize,
}

impl Default for UdpOutputSettings {
    fn default() -> UdpOutputSettings {
        UdpOutputSettings {
            net: "udp".to_owned(),
            address: String::new(),
            local_address: String::new(),
            max_message_size: 65507,
        }
    }
}

/// Sends each message as a datagram. Nobody says whether it arrived, so it
/// counts as arrived when it was sent.
#[derive(Debug)]
pub struct UdpOutput {
    settings: UdpOutputSettings,
    socket: Option<Socket>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Unix(UnixDatagram, PathBuf),
}

impl Plugin for UdpOutput {
    const TYPE: &'static str = "UdpOutput";
    type Settings = UdpOutputSettings;

    fn build(settings: &UdpOutputSettings, _: &BuildContext<'_>) -> Result<UdpOutput, BuildError> {
        if settings.max_message_size < 512 {
            return Err(BuildError::new("max_message_size must be at least 512"));
        }
        match settings.net.as_str() {
            "udp" | "udp4" | "udp6" => check_address(&settings.address)?,
            "unixgram" if !settings.address.is_empty() => {}
            "unixgram" => return Err(BuildError::new("address is required")),
            other => return Err(BuildError::new(format!("unknown net {other:?}"))),
        }
        Ok(UdpOutput {
            settings: settings.clone(),
            socket: None,
            buffer: Vec::new(),
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            needs_encoder: true,
            ..Defaults::default()
        }
    }
}

impl UdpOutput {
    fn connect(&self) -> Result<Socket, String> {
        let settings = &self.settings;
        if settings.net == "unixgram" {
            let socket = if settings.local_address.is_empty() {
                UnixDatagram::unbound()
            } else {
                UnixDatagram::bind(&settings.local_address)
            };
            let socket = socket.map_err(|error| error.to_string())?;
            return Ok(Socket::Unix(socket, PathBuf::from(&settings.address)));
        }
        let to = resolve_as(&settings.net, &settings.address)?;
        let from = match settings.local_address.as_str() {
            "" if to.is_ipv6() => "[::]:0",
            "" => "0.0.0.0:0",
            local => local,
        };
        let from = resolve_as(&settings.net, from)?;
        let socket = UdpSocket::bind(from).map_err(|error| format!("{from}: {error}"))?;
        socket
            .connect(to)
            .map_err(|error| format!("{to}: {error}"))?;
        Ok(Socket::Udp(socket))
    }

    fn send(&mut self) -> Result<(), String> {
        if self.socket.is_none() {
            self.socket = Some(self.connect()?);
        }
        let sent = match &self.socket {
            Some(Socket::Udp(socket)) => socket.send(&self.buffer),
            Some(Socket::Unix(socket, to)) => socket.send_to(&self.buffer, to),
            None => return Err("not connected".to_owned()),
        };
        sent.map(drop).map_err(|error| error.to_string())
    }
}

impl Output for UdpOutput {
    fn deliver(
        &mut self,
        mut delivery: Delivery,
        cx: &mut OutputContext,
    ) -> Result<(), Undelivered> {
        while let Some(event) = delivery.first() {
            self.buffer.clear();
            cx.encode(event, &mut self.buffer);
            if self.buffer.len() > self.settings.max_message_size {
                cx.stats().dropped.add(1);
                tracing::warn!(
                    output = cx.name(),
                    "message of {} bytes is too large for a datagram",
                    self.buffer.len()
                );
            } else if !self.buffer.is_empty()
                && let Err(reason) = self.send()
            {
                // Nobody listens: that is no reason to keep the message.
                cx.stats().failed.add(1);
                tracing::debug!(output = cx.name(), "not sent: {reason}");
                self.socket = None;
            }
            delivery.pass(1);
        }
        delivery.done();
        Ok(())
    }
}
