//! Messages over TCP.
//!
//! With `acknowledge = true`, which heka does not know, the receiver (a
//! TcpInput with the same setting) answers with the number of bytes of the
//! stream that arrived safely, eight bytes big endian, each number larger
//! than the one before. Messages stay with the sender until then and are
//! sent again after a new connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, Output, OutputContext, Plugin, Undelivered,
};

use crate::plugins::net::{
    Connector, KeepAlive, Stream, TlsSettings, check_address, connect, is_timeout, resolve,
};

/// One wait for the network, after which it is seen whether to go on.
const SLICE: Duration = Duration::from_millis(200);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// Without progress for this long, a connection counts as dead.
const STALLED: Duration = Duration::from_secs(30);
/// Bytes sent and not acknowledged at most, give or take a delivery.
const WINDOW: u64 = 4 << 20;

/// Settings of [`TcpOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TcpOutputSettings {
    /// Where to send.
    pub address: String,
    /// Where to send from: an address, its port 0 for any. Not with TLS, as
    /// in heka.
    pub local_address: String,
    /// Speak TLS.
    pub use_tls: bool,
    /// How to speak it.
    pub tls: TlsSettings,
    /// Whether the system asks a silent receiver if it is still there.
    pub keep_alive: bool,
    /// How often, in seconds.
    pub keep_alive_period: u64,
    /// Messages after which a new connection is made; 0 is never.
    pub reconnect_after: u64,
    /// Wait for the receiver's word.
    pub acknowledge: bool,
}

impl Default for TcpOutputSettings {
    fn default() -> TcpOutputSettings {
        TcpOutputSettings {
            address: "localhost:9125".to_owned(),
            local_address: String::new(),
            use_tls: false,
            tls: TlsSettings::default(),
            keep_alive: false,
            keep_alive_period: 7200,
            reconnect_after: 0,
            acknowledge: false,
        }
    }
}

/// Sends encoded messages over a connection.
#[derive(Debug)]
pub struct TcpOutput {
    settings: TcpOutputSettings,
    connector: Option<Connector>,
    stream: Option<Stream>,
    buffer: Vec<u8>,
    /// Messages sent over this connection.
    sent_messages: u64,
    /// Bytes sent and acknowledged over this connection.
    sent: u64,
    acknowledged: u64,
    /// Deliveries sent, with the place in the stream where they end.
    unconfirmed: VecDeque<(u64, Delivery)>,
    answer: ([u8; 8], usize),
}

impl Plugin for TcpOutput {
    const TYPE: &'static str = "TcpOutput";
    type Settings = TcpOutputSettings;

    fn build(settings: &TcpOutputSettings, _: &BuildContext<'_>) -> Result<TcpOutput, BuildError> {
        check_address(&settings.address)?;
        if !settings.local_address.is_empty() {
            check_address(&settings.local_address)?;
            if settings.use_tls {
                return Err(BuildError::new("local_address does not go with use_tls"));
            }
        }
        let connector = match settings.use_tls {
            true => Some(Connector::new(&settings.tls, &settings.address)?),
            false => None,
        };
        Ok(TcpOutput {
            settings: settings.clone(),
            connector,
            stream: None,
            buffer: Vec::new(),
            sent_messages: 0,
            sent: 0,
            acknowledged: 0,
            unconfirmed: VecDeque::new(),
            answer: ([0; 8], 0),
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            encoder: Some("ProtobufEncoder"),
            use_buffering: true,
            ..Defaults::default()
        }
    }
}

impl TcpOutput {
    /// Makes a connection if there is none, and sends again what was not
    /// acknowledged over the last one.
    fn connect(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let again = self.settings.reconnect_after;
        if again > 0 && self.sent_messages >= again && self.unconfirmed.is_empty() {
            self.close();
        }
        if self.stream.is_some() {
            return Ok(());
        }
        self.stream = Some(self.dial()?);
        self.sent = 0;
        self.sent_messages = 0;
        self.acknowledged = 0;
        self.answer = ([0; 8], 0);
        for place in 0..self.unconfirmed.len() {
            self.encode_place(place, cx);
            self.write(cx)?;
            self.unconfirmed[place].0 = self.sent;
        }
        Ok(())
    }

    fn dial(&self) -> Result<Stream, String> {
        let to: SocketAddr = resolve(&self.settings.address)?;
        let from = match self.settings.local_address.as_str() {
            "" => None,
            local => Some(resolve(local)?),
        };
        let text = |error: io::Error| format!("{to}: {error}");
        let socket = connect(to, from, CONNECT).map_err(text)?;
        socket.set_nodelay(true).map_err(text)?;
        socket.set_write_timeout(Some(SLICE)).map_err(text)?;
        socket.set_read_timeout(Some(SLICE)).map_err(text)?;
        KeepAlive::new(self.settings.keep_alive, self.settings.keep_alive_period)
            .apply(&socket)
            .map_err(text)?;
        match &self.connector {
            Some(connector) => connector.connect(socket, CONNECT).map_err(text),
            None => Ok(Stream::Plain(socket)),
        }
    }

    fn close(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.close();
        }
    }

    fn encode_place(&mut self, place: usize, cx: &mut OutputContext) {
        let (_, delivery) = &self.unconfirmed[place];
        self.buffer.clear();
        for event in delivery.events() {
            cx.encode(event, &mut self.buffer);
        }
        self.sent_messages += delivery.len() as u64;
    }

    /// Writes the buffer. A failure ends the connection.
    fn write(&mut self, cx: &OutputContext) -> Result<(), String> {
        let written = self.try_write(cx);
        if written.is_err() {
            self.stream = None;
        }
        written
    }

    fn try_write(&mut self, cx: &OutputContext) -> Result<(), String> {
        let Some(stream) = &mut self.stream else {
            return Err("not connected".to_owned());
        };
        let mut rest = &self.buffer[..];
        let mut progress = Instant::now();
        loop {
            let written = match rest {
                [] => stream.flush().map(|()| 0),
                _ => stream.write(rest),
            };
            match written {
                Ok(0) if rest.is_empty() => break,
                Ok(0) => return Err("the connection was closed".to_owned()),
                Ok(count) => {
                    rest = &rest[count..];
                    progress = Instant::now();
                }
                Err(error) if is_timeout(&error) => {
                    if cx.aborted() || cx.stopping() {
                        return Err("stopped while the receiver does not read".to_owned());
                    }
                    if progress.elapsed() > STALLED {
                        return Err("the receiver does not read".to_owned());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        self.sent += self.buffer.len() as u64;
        Ok(())
    }

    /// Reads answers until at most `left` bytes are unacknowledged.
    fn await_answers(&mut self, left: u64, cx: &OutputContext) -> Result<(), String> {
        let mut progress = Instant::now();
        while self.sent - self.acknowledged > left {
            match self.read_answer() {
                Ok(true) => progress = Instant::now(),
                Ok(false) => {
                    if cx.aborted() || cx.stopping() && progress.elapsed() > CONNECT {
                        return Err("stopped while the receiver does not answer".to_owned());
                    }
                    if progress.elapsed() > STALLED {
                        self.stream = None;
                        return Err("the receiver does not answer".to_owned());
                    }
                }
                Err(reason) => {
                    self.stream = None;
                    return Err(reason);
                }
            }
        }
        Ok(())
    }

    /// Reads what is there of an answer. False if nothing came in time.
    fn read_answer(&mut self) -> Result<bool, String> {
        let Some(stream) = &mut self.stream else {
            return Err("not connected".to_owned());
        };
        let (bytes, filled) = &mut self.answer;
        match stream.read(&mut bytes[*filled..]) {
            Ok(0) => return Err("the connection was closed".to_owned()),
            Ok(count) => *filled += count,
            Err(error) if is_timeout(&error) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
        if *filled == 8 {
            *filled = 0;
            let place = u64::from_be_bytes(*bytes);
            if place > self.sent || place < self.acknowledged {
                return Err(format!(
                    "the receiver acknowledged byte {place} of {}",
                    self.sent
                ));
            }
            self.acknowledged = place;
            self.confirm();
        }
        Ok(true)
    }

    fn confirm(&mut self) {
        while let Some((end, _)) = self.unconfirmed.front() {
            if *end > self.acknowledged {
                return;
            }
            if let Some((_, delivery)) = self.unconfirmed.pop_front() {
                delivery.done();
            }
        }
    }

    fn deliver_acknowledged(
        &mut self,
        delivery: Delivery,
        cx: &mut OutputContext,
    ) -> Result<(), Undelivered> {
        if let Err(reason) = self.connect(cx) {
            return Err(Undelivered::retry(delivery, reason));
        }
        self.unconfirmed.push_back((u64::MAX, delivery));
        let place = self.unconfirmed.len() - 1;
        self.encode_place(place, cx);
        let sent = self.write(cx).and_then(|()| {
            self.unconfirmed[place].0 = self.sent;
            self.await_answers(WINDOW, cx)
        });
        // The delivery is kept for the next connection either way.
        if let Err(reason) = sent {
            tracing::warn!(output = cx.name(), "sent again later: {reason}");
        }
        Ok(())
    }
}

impl Output for TcpOutput {
    fn deliver(&mut self, delivery: Delivery, cx: &mut OutputContext) -> Result<(), Undelivered> {
        if self.settings.acknowledge {
            return self.deliver_acknowledged(delivery, cx);
        }
        if let Err(reason) = self.connect(cx) {
            return Err(Undelivered::retry(delivery, reason));
        }
        self.buffer.clear();
        for event in delivery.events() {
            cx.encode(event, &mut self.buffer);
        }
        self.sent_messages += delivery.len() as u64;
        match self.write(cx) {
            Ok(()) => {
                delivery.done();
                Ok(())
            }
            Err(reason) => Err(Undelivered::retry(delivery, reason)),
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        (!self.unconfirmed.is_empty()).then(Instant::now)
    }

    /// Between deliveries, waits a moment for answers.
    fn wake(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        if self.stream.is_none() {
            if let Err(reason) = self.connect(cx) {
                tracing::debug!(output = cx.name(), "not connected: {reason}");
                cx.wait(SLICE);
            }
            return Ok(());
        }
        if let Err(reason) = self.read_answer() {
            tracing::warn!(output = cx.name(), "sent again: {reason}");
            self.stream = None;
        }
        Ok(())
    }

    fn finish(&mut self, cx: &mut OutputContext) {
        if let Err(reason) = self.await_answers(0, cx) {
            tracing::warn!(output = cx.name(), "not acknowledged at the end: {reason}");
        }
        self.close();
    }
}
