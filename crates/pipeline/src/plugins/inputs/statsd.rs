//! Statistics from statsd clients.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Input, InputContext, Plugin};
use crate::plugins::net::{check_address, is_timeout, resolve};
use crate::stat::{StatSink, parse_line};

/// How often it is seen whether to stop.
const SLICE: Duration = Duration::from_millis(200);

/// Settings of [`StatsdInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StatsdInputSettings {
    /// Where to listen.
    pub address: String,
    /// Section of the StatAccumInput that adds up.
    pub stat_accum_name: String,
    /// Bytes of a datagram that are looked at.
    pub max_msg_size: usize,
}

impl Default for StatsdInputSettings {
    fn default() -> StatsdInputSettings {
        StatsdInputSettings {
            address: "127.0.0.1:8125".to_owned(),
            stat_accum_name: "StatAccumInput".to_owned(),
            max_msg_size: 512,
        }
    }
}

/// Listens for statsd's datagrams and passes the samples to an accumulator.
#[derive(Debug)]
pub struct StatsdInput {
    settings: StatsdInputSettings,
    socket: Option<UdpSocket>,
}

impl Plugin for StatsdInput {
    const TYPE: &'static str = "StatsdInput";
    type Settings = StatsdInputSettings;

    fn build(
        settings: &StatsdInputSettings,
        _: &BuildContext<'_>,
    ) -> Result<StatsdInput, BuildError> {
        check_address(&settings.address)?;
        Ok(StatsdInput {
            settings: settings.clone(),
            socket: None,
        })
    }
}

/// Sends the samples of a datagram on. Returns how many lines were none, and
/// how many were dropped.
pub(crate) fn take_datagram(datagram: &[u8], sink: &StatSink) -> (u64, u64) {
    let (mut bad, mut dropped) = (0, 0);
    for line in datagram.split(|byte| *byte == b'\n') {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse_line(line) {
            None => bad += 1,
            Some(stat) => dropped += u64::from(!sink.send(stat)),
        }
    }
    (bad, dropped)
}

impl Input for StatsdInput {
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let address = resolve(&self.settings.address)?;
        let text = |error: io::Error| format!("{address}: {error}");
        let socket = UdpSocket::bind(address).map_err(text)?;
        socket.set_read_timeout(Some(SLICE)).map_err(text)?;
        let port = socket.local_addr().map_or(0, |address| address.port());
        cx.stats().counter("Port").set(u64::from(port));
        let name = &self.settings.stat_accum_name;
        if cx.services().stats(name).is_none() {
            return Err(format!("No Input named '{name}'"));
        }
        self.socket = Some(socket);
        Ok(())
    }

    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let name = &self.settings.stat_accum_name;
        let Some(socket) = self.socket.take() else {
            return Err("not started".to_owned());
        };
        let mut buffer = vec![0; self.settings.max_msg_size];
        while !cx.stop().is_raised() {
            let len = match socket.recv(&mut buffer) {
                Ok(len) => len,
                Err(error) if is_timeout(&error) => continue,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.to_string()),
            };
            // An accumulator that starts anew has another way to it.
            let Some(sink) = cx.services().stats(name) else {
                return Err(format!("No Input named '{name}'"));
            };
            let (bad, dropped) = take_datagram(&buffer[..len], &sink);
            cx.stats().processed.add(1);
            cx.stats().failed.add(bad);
            cx.stats().dropped.add(dropped);
        }
        Ok(())
    }
}
