//! Streams over TCP.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::flow::{Acks, Signal};
use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin, Session};
use crate::plugins::net::{
    Acceptor, KeepAlive, Stream, TlsSettings, check_address, is_timeout, resolve_as,
};

/// After this long without data a record that is whole as it stands is not
/// held back any longer.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a sender may take to read an answer of eight bytes.
const ANSWER: Duration = Duration::from_secs(2);
/// How long a closing connection waits for its last messages to arrive.
const LAST_ACKS: Duration = Duration::from_secs(30);
/// Connections at once. Further ones are closed at once.
const CONNECTIONS_MAX: usize = 4096;

/// Settings of [`TcpInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TcpInputSettings {
    /// Where to listen.
    pub address: String,
    /// `tcp`, `tcp4` or `tcp6`.
    pub net: String,
    /// Speak TLS.
    pub use_tls: bool,
    /// How to speak it.
    pub tls: TlsSettings,
    /// Whether the system asks silent senders if they are still there.
    pub keep_alive: bool,
    /// How often, in seconds.
    pub keep_alive_period: u64,
    /// Tell the sender how much arrived; see TcpOutput.
    pub acknowledge: bool,
}

impl Default for TcpInputSettings {
    fn default() -> TcpInputSettings {
        TcpInputSettings {
            address: String::new(),
            net: "tcp".to_owned(),
            use_tls: false,
            tls: TlsSettings::default(),
            keep_alive: false,
            keep_alive_period: 7200,
            acknowledge: false,
        }
    }
}

/// Listens for connections; each is a stream with its own thread, splitter
/// and decoder.
#[derive(Debug)]
pub struct TcpInput {
    settings: TcpInputSettings,
    acceptor: Option<Acceptor>,
    listener: Option<TcpListener>,
}

impl Plugin for TcpInput {
    const TYPE: &'static str = "TcpInput";
    type Settings = TcpInputSettings;

    fn build(settings: &TcpInputSettings, _: &BuildContext<'_>) -> Result<TcpInput, BuildError> {
        check_address(&settings.address)?;
        if !matches!(settings.net.as_str(), "tcp" | "tcp4" | "tcp6") {
            return Err(BuildError::new(format!("unknown net {:?}", settings.net)));
        }
        let acceptor = match settings.use_tls {
            true => Some(Acceptor::new(&settings.tls)?),
            false => None,
        };
        Ok(TcpInput {
            acceptor,
            settings: settings.clone(),
            listener: None,
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

impl TcpInput {
    /// Where it listens, once started: of use when the port was 0.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.listener.as_ref()?.local_addr().ok()
    }
}

impl Input for TcpInput {
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let address = resolve_as(&self.settings.net, &self.settings.address)?;
        let listener = TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?;
        let port = listener.local_addr().map_or(0, |address| address.port());
        cx.stats().counter("Port").set(u64::from(port));
        self.listener = Some(listener);
        Ok(())
    }

    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let Some(listener) = self.listener.take() else {
            return Err("not started".to_owned());
        };
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        // A connection to itself ends the wait for connections.
        let _wake = cx
            .stop()
            .hook(move || drop(TcpStream::connect_timeout(&address, PAUSE)));
        let open = Open::default();
        thread::scope(|scope| {
            let mut failures = 0;
            while !cx.stop().is_raised() {
                let (stream, peer) = match listener.accept() {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        failures += 1;
                        tracing::warn!(input = %cx.name(), "cannot accept a connection: {error}");
                        if failures > 100 {
                            return Err(error.to_string());
                        }
                        cx.stop().wait(Duration::from_millis(50));
                        continue;
                    }
                };
                failures = 0;
                if cx.stop().is_raised() || open.count() >= CONNECTIONS_MAX {
                    continue;
                }
                let (this, open) = (&*self, open.clone());
                let spawned = thread::Builder::new()
                    .name("tcp-connection".to_owned())
                    .spawn_scoped(scope, move || this.connection(stream, peer, &open, cx));
                if let Err(error) = spawned {
                    tracing::warn!(input = %cx.name(), "no thread for a connection: {error}");
                }
            }
            Ok(())
        })
    }
}

/// Counts open connections.
#[derive(Clone, Default)]
struct Open(Arc<Mutex<usize>>);

impl Open {
    fn count(&self) -> usize {
        *self.0.lock()
    }
}

impl TcpInput {
    fn connection(&self, socket: TcpStream, peer: SocketAddr, open: &Open, cx: &InputContext) {
        *open.0.lock() += 1;
        if let Err(reason) = self.serve(socket, peer, cx) {
            cx.stats().counter("BrokenConnections").add(1);
            tracing::info!(input = %cx.name(), %peer, "connection ended: {reason}");
        }
        *open.0.lock() -= 1;
    }

    fn serve(&self, socket: TcpStream, peer: SocketAddr, cx: &InputContext) -> Result<(), String> {
        let text = |error: io::Error| error.to_string();
        socket.set_read_timeout(Some(PAUSE)).map_err(text)?;
        socket.set_write_timeout(Some(ANSWER)).map_err(text)?;
        KeepAlive::new(self.settings.keep_alive, self.settings.keep_alive_period)
            .apply(&socket)
            .map_err(text)?;
        let reader = socket.try_clone().map_err(text)?;
        let _end = cx
            .stop()
            .hook(move || drop(reader.shutdown(Shutdown::Read)));
        let mut stream = match &self.acceptor {
            Some(acceptor) => acceptor.accept(socket).map_err(text)?,
            None => Stream::Plain(socket),
        };
        let mut session = cx
            .session(&peer.ip().to_string())
            .map_err(|error| error.to_string())?;
        session.template_mut().hostname = Some(Bytes::from(peer.to_string()));
        if self.settings.acknowledge {
            serve_acknowledged(stream, session)
        } else {
            read_all(&mut stream, &mut session)
        }
    }
}

fn serve_acknowledged(mut stream: Stream, mut session: Session) -> Result<(), String> {
    let acks: Acks<u64> = Acks::new();
    let expected = acks.clone();
    session.confirm_with(move |consumed, _| Some(expected.expect(consumed)));
    let writer = stream.try_clone().map_err(|error| error.to_string())?;
    let done = Signal::new();
    thread::scope(|scope| {
        let teller = scope.spawn(|| tell(writer, &acks, &done));
        let read = read_all(&mut stream, &mut session);
        acks.wait_idle(LAST_ACKS);
        done.raise();
        let told = teller
            .join()
            .unwrap_or_else(|_| Err("the answering thread failed".to_owned()));
        read.and(told)
    })
}

fn read_all(stream: &mut Stream, session: &mut Session) -> Result<(), String> {
    loop {
        match session.read_from(stream) {
            Ok(0) => return session.finish().map_err(|error| error.to_string()),
            Ok(_) => {}
            Err(error) if is_timeout(&error) => {
                session.pause().map_err(|error| error.to_string())?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Tells the sender how much of its stream arrived.
fn tell(mut writer: Stream, acks: &Acks<u64>, done: &Signal) -> Result<(), String> {
    loop {
        let last = done.is_raised();
        if let Some(place) = acks.take_arrived() {
            writer
                .write_all(&place.to_be_bytes())
                .and_then(|()| writer.flush())
                .map_err(|error| error.to_string())?;
        } else if last {
            return Ok(());
        } else if acks.is_abandoned() {
            // Nothing more will be confirmed: the sender had better try
            // elsewhere.
            drop(writer.socket().shutdown(Shutdown::Both));
            return Err("messages were abandoned".to_owned());
        } else {
            acks.wait_progress(Duration::from_millis(20));
        }
    }
}
