//! Metrics for Graphite's carbon.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use serde::Deserialize;

use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, Output, OutputContext, Plugin, Undelivered,
};

use crate::plugins::net::{KeepAlive, check_address, resolve};

const TIMEOUT: Duration = Duration::from_secs(1);
/// What the system would take by itself.
const KEEP_ALIVE_SECONDS: u64 = 7200;

/// Settings of [`CarbonOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CarbonOutputSettings {
    /// Where carbon listens.
    pub address: String,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Whether the system asks a silent carbon if it is still there.
    pub tcp_keep_alive: bool,
}

impl Default for CarbonOutputSettings {
    fn default() -> CarbonOutputSettings {
        CarbonOutputSettings {
            address: "localhost:2003".to_owned(),
            protocol: "tcp".to_owned(),
            tcp_keep_alive: false,
        }
    }
}

/// Sends the lines `name value seconds` of payloads on. Lines of another
/// form are counted and left out.
#[derive(Debug)]
pub struct CarbonOutput {
    settings: CarbonOutputSettings,
    stream: Option<TcpStream>,
}

impl Plugin for CarbonOutput {
    const TYPE: &'static str = "CarbonOutput";
    type Settings = CarbonOutputSettings;

    fn build(
        settings: &CarbonOutputSettings,
        _: &BuildContext<'_>,
    ) -> Result<CarbonOutput, BuildError> {
        check_address(&settings.address)?;
        if !matches!(settings.protocol.as_str(), "tcp" | "udp") {
            let text = format!("protocol {:?} is neither tcp nor udp", settings.protocol);
            return Err(BuildError::new(text));
        }
        Ok(CarbonOutput {
            settings: settings.clone(),
            stream: None,
        })
    }

    fn defaults() -> Defaults {
        Defaults::default()
    }
}

/// What is wrong with a line, if anything.
fn fault(line: &str) -> Option<String> {
    let parts: Vec<&str> = line.split_whitespace().collect();
    let [_, value, time] = parts[..] else {
        return Some(format!("malformed statmetric line: {line:?}"));
    };
    if value.parse::<f64>().is_err() {
        return Some(format!("not a number: {value:?}"));
    }
    time.parse::<u64>()
        .is_err()
        .then(|| format!("not a time: {time:?}"))
}

impl CarbonOutput {
    /// The good lines of a payload.
    fn lines(payload: &[u8], cx: &OutputContext) -> Vec<u8> {
        let text = String::from_utf8_lossy(payload);
        let mut good = Vec::with_capacity(payload.len());
        for line in text.trim_matches(['\n', '\r']).split('\n') {
            match fault(line) {
                None => {
                    good.extend_from_slice(line.as_bytes());
                    good.push(b'\n');
                }
                Some(reason) => {
                    cx.stats().failed.add(1);
                    tracing::warn!(output = cx.name(), "{reason}");
                }
            }
        }
        good
    }

    fn send(&mut self, lines: &[u8]) -> Result<(), String> {
        let to = resolve(&self.settings.address)?;
        let text = |error: std::io::Error| format!("{to}: {error}");
        if self.settings.protocol == "udp" {
            let from = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(from).map_err(text)?;
            return socket.send_to(lines, to).map(drop).map_err(text);
        }
        if self.stream.is_none() {
            let stream = TcpStream::connect_timeout(&to, TIMEOUT).map_err(text)?;
            stream.set_write_timeout(Some(TIMEOUT)).map_err(text)?;
            KeepAlive::new(self.settings.tcp_keep_alive, KEEP_ALIVE_SECONDS)
                .apply(&stream)
                .map_err(text)?;
            self.stream = Some(stream);
        }
        let sent = match &mut self.stream {
            Some(stream) => stream.write_all(lines).map_err(text),
            None => Ok(()),
        };
        if sent.is_err() {
            self.stream = None;
        }
        sent
    }
}

impl Output for CarbonOutput {
    fn deliver(
        &mut self,
        mut delivery: Delivery,
        cx: &mut OutputContext,
    ) -> Result<(), Undelivered> {
        while let Some(event) = delivery.first() {
            let lines = CarbonOutput::lines(event.payload(), cx);
            if !lines.is_empty()
                && let Err(reason) = self.send(&lines)
            {
                return Err(Undelivered::retry(delivery, reason));
            }
            delivery.pass(1);
        }
        delivery.done();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::fault;

    #[test]
    fn lines_have_a_name_a_number_and_a_time() {
        assert_eq!(fault(" z 1.25 1416840893 "), None);
        assert!(fault("bad line").is_some());
        assert!(fault("x y 5").is_some());
        assert!(fault("w 1 notatime").is_some());
    }
}
