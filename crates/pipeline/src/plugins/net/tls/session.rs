//! TLS over blocking sockets, readable and writable from two threads.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::{TlsSettings, client_settings, server_settings};
use crate::plugin::BuildError;
use crate::plugins::net::{Stream, is_timeout};

/// Encrypted bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// Decrypted or not yet encrypted bytes that a session may hold.
const HELD_BYTES: usize = 64 * 1024;

/// Makes sessions with whoever connects.
#[derive(Debug, Clone)]
pub(crate) struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    /// Reads the certificates named in the settings.
    pub(crate) fn new(tls: &TlsSettings) -> Result<Acceptor, BuildError> {
        let mut config = server_settings(tls)?.to_rustls().map_err(about_tls)?;
        if tls.session_tickets_disabled {
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Acceptor(Arc::new(config)))
    }

    /// The handshake happens with the first read.
    pub(crate) fn accept(&self, socket: TcpStream) -> io::Result<Stream> {
        let session = ServerConnection::new(self.0.clone()).map_err(io::Error::other)?;
        Ok(Stream::Tls(TlsStream::new(socket, session.into())))
    }
}

/// Makes sessions with a receiver.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Connector {
    /// Reads the certificates named in the settings. The receiver has to
    /// prove the name in them, or the host of `address`.
    pub(crate) fn new(tls: &TlsSettings, address: &str) -> Result<Connector, BuildError> {
        let config = client_settings(tls)?.to_rustls().map_err(about_tls)?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let name = match tls.server_name.as_str() {
            "" => host,
            name => name,
        };
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| BuildError::new(format!("tls: {name:?} is not a host's name")))?;
        Ok(Connector {
            config: Arc::new(config),
            name,
        })
    }

    /// Shakes hands over a fresh connection, within this time.
    pub(crate) fn connect(&self, socket: TcpStream, timeout: Duration) -> io::Result<Stream> {
        let session = ClientConnection::new(self.config.clone(), self.name.clone());
        let session = session.map_err(io::Error::other)?;
        let mut stream = TlsStream::new(socket, session.into());
        stream.shake_hands(Instant::now() + timeout)?;
        Ok(Stream::Tls(stream))
    }
}

fn about_tls(reason: String) -> BuildError {
    BuildError::new(format!("tls: {reason}"))
}

/// A session over a socket. Waiting for the socket happens outside the lock
/// on the session, so a reader does not hold up a writer.
#[derive(Debug)]
pub(crate) struct TlsStream {
    socket: TcpStream,
    session: Arc<Mutex<Connection>>,
    /// Encrypted bytes read and not yet given to the session.
    incoming: Vec<u8>,
    taken: usize,
}

impl TlsStream {
    fn new(socket: TcpStream, mut session: Connection) -> TlsStream {
        session.set_buffer_limit(Some(HELD_BYTES));
        TlsStream {
            socket,
            session: Arc::new(Mutex::new(session)),
            incoming: Vec::new(),
            taken: 0,
        }
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// A second handle, for the thread that writes.
    pub(crate) fn try_clone(&self) -> io::Result<TlsStream> {
        Ok(TlsStream {
            socket: self.socket.try_clone()?,
            session: self.session.clone(),
            incoming: Vec::new(),
            taken: 0,
        })
    }

    fn shake_hands(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            self.flush()?;
            if !self.session.lock().is_handshaking() {
                return Ok(());
            }
            match self.receive() {
                Ok(true) => {}
                Ok(false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if is_timeout(&error) && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the session what the socket has next. False at its end.
    fn receive(&mut self) -> io::Result<bool> {
        if self.taken == self.incoming.len() {
            self.incoming.resize(READ_BYTES, 0);
            let read = self.socket.read(&mut self.incoming);
            self.incoming.truncate(*read.as_ref().unwrap_or(&0));
            self.taken = 0;
            read?;
        }
        let mut session = self.session.lock();
        let mut rest = &self.incoming[self.taken..];
        session.read_tls(&mut rest)?;
        self.taken = self.incoming.len() - rest.len();
        let processed = session.process_new_packets();
        // The peer is owed an answer, an alert in the worst case.
        let sent = send(&mut session, &mut self.socket);
        processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        sent?;
        Ok(!self.incoming.is_empty())
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn say_goodbye(&mut self) {
        let mut session = self.session.lock();
        session.send_close_notify();
        // The peer may be gone already.
        let _ = send(&mut session, &mut self.socket);
    }
}

/// Writes what the session has to say.
fn send(session: &mut Connection, socket: &mut TcpStream) -> io::Result<()> {
    while session.wants_write() {
        session.write_tls(socket)?;
    }
    Ok(())
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.lock().reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            self.receive()?;
        }
    }
}

impl Write for TlsStream {
    /// Takes bytes once what was taken before is on its way, so that an
    /// error means that none of `bytes` were taken.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut session = self.session.lock();
        send(&mut session, &mut self.socket)?;
        let count = session.writer().write(bytes)?;
        match send(&mut session, &mut self.socket) {
            Err(error) if !is_timeout(&error) => Err(error),
            _ => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        send(&mut self.session.lock(), &mut self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;
    use std::thread;

    /// A certificate that its holder signed.
    fn certificate(dir: &Path) -> String {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let dir = dir.display();
        format!("cert_file = '{dir}/cert.pem'\nkey_file = '{dir}/key.pem'\n")
    }

    struct Pair {
        listener: TcpListener,
        acceptor: Acceptor,
        connector: Connector,
    }

    impl Pair {
        fn new(server: &str, client: &str) -> Pair {
            let dir = tempfile::tempdir().unwrap();
            let own = certificate(dir.path());
            let server = toml::from_str(&format!("{own}{server}")).unwrap();
            let root = format!("root_cafile = '{}/cert.pem'\n", dir.path().display());
            let client = toml::from_str(&format!("{root}{client}")).unwrap();
            Pair {
                listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
                acceptor: Acceptor::new(&server).unwrap(),
                connector: Connector::new(&client, "localhost:1").unwrap(),
            }
        }

        fn connect(&self) -> io::Result<Stream> {
            let socket = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
            self.connector.connect(socket, Duration::from_secs(20))
        }

        fn accept(&self) -> Stream {
            self.acceptor
                .accept(self.listener.accept().unwrap().0)
                .unwrap()
        }
    }

    #[test]
    fn bytes_pass_both_ways_at_once_and_end_in_good_order() {
        let pair = Pair::new("", "");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                let mut stream = pair.accept();
                let mut writer = stream.try_clone().unwrap();
                let answer =
                    scope.spawn(move || writer.write_all(b"answer").and_then(|()| writer.flush()));
                let mut got = Vec::new();
                stream.read_to_end(&mut got).unwrap();
                answer.join().unwrap().unwrap();
                got
            });
            let mut stream = pair.connect().unwrap();
            stream.write_all(&bytes).unwrap();
            stream.flush().unwrap();
            stream.close();
            let mut answer = [0; 6];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"answer");
            assert!(server.join().unwrap() == bytes);
        });
    }

    fn handshake(pair: &Pair) -> (io::Result<Stream>, io::Result<usize>) {
        thread::scope(|scope| {
            let server = scope.spawn(|| pair.accept().read(&mut [0; 10]));
            let client = pair.connect().and_then(|mut stream| {
                stream.write_all(b"hello")?;
                stream.flush()?;
                Ok(stream)
            });
            (client, server.join().unwrap())
        })
    }

    #[test]
    fn a_name_that_is_not_proven_is_no_connection() {
        let (client, server) = handshake(&Pair::new("", "server_name = 'elsewhere'"));
        assert!(client.is_err() && server.is_err());
        let anybody = Pair::new("", "server_name = 'elsewhere'\ninsecure_skip_verify = true");
        let (client, server) = handshake(&anybody);
        assert!(client.is_ok() && server.unwrap() == 5);
    }

    #[test]
    fn versions_must_meet() {
        let (client, _) = handshake(&Pair::new("min_version = 'TLS13'", "max_version = 'TLS12'"));
        assert!(client.is_err());
        let (client, _) = handshake(&Pair::new("max_version = 'TLS12'", ""));
        let Ok(Stream::Tls(stream)) = client else {
            panic!("no connection: {client:?}");
        };
        let spoken = stream.session.lock().protocol_version();
        assert_eq!(spoken, Some(rustls::ProtocolVersion::TLSv1_2));
    }

    #[test]
    fn suites_are_those_named() {
        let suite = "ECDHE_ECDSA_WITH_AES_256_GCM_SHA384";
        let server =
            format!("max_version = 'TLS12'\nciphers = ['{suite}']\nprefer_server_ciphers = false");
        let pair = Pair::new(&server, "");
        assert!(!pair.acceptor.0.ignore_client_order);
        assert!(Pair::new("", "").acceptor.0.ignore_client_order);
        let (client, _) = handshake(&pair);
        let Ok(Stream::Tls(stream)) = client else {
            panic!("no connection: {client:?}");
        };
        let chosen = stream.session.lock().negotiated_cipher_suite().unwrap();
        assert_eq!(chosen.suite().as_str(), Some(&*format!("TLS_{suite}")));
        let dir = tempfile::tempdir().unwrap();
        let own = certificate(dir.path());
        let weak = toml::from_str(&format!("{own}ciphers = ['RSA_WITH_RC4_128_SHA']")).unwrap();
        let refused = Acceptor::new(&weak).unwrap_err().to_string();
        assert!(refused.contains("TLS_RSA_WITH_RC4_128_SHA"), "{refused}");
    }

    #[test]
    fn senders_are_asked_for_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let own = certificate(dir.path());
        let demand = format!(
            "client_auth = 'RequireAndVerifyClientCert'\nclient_cafile = '{}/cert.pem'\n",
            dir.path().display()
        );
        let (_, server) = handshake(&Pair::new(&demand, ""));
        assert!(server.is_err());
        let (_, server) = handshake(&Pair::new("client_auth = 'RequireAnyClientCert'", ""));
        assert!(server.is_err());
        let (_, server) = handshake(&Pair::new("client_auth = 'RequireAnyClientCert'", &own));
        assert_eq!(server.unwrap(), 5);
    }

    #[test]
    fn sessions_are_resumed_unless_that_is_disabled() {
        for (settings, wanted) in [
            ("", rustls::HandshakeKind::Resumed),
            (
                "session_tickets_disabled = true",
                rustls::HandshakeKind::Full,
            ),
        ] {
            let pair = Pair::new(settings, "");
            let mut kind = None;
            for _ in 0..2 {
                thread::scope(|scope| {
                    let server = scope.spawn(|| {
                        let mut stream = pair.accept();
                        stream.read_exact(&mut [0; 5]).unwrap();
                        stream.write_all(b"answer").unwrap();
                        stream.flush().unwrap();
                    });
                    let mut stream = pair.connect().unwrap();
                    stream.write_all(b"hello").unwrap();
                    stream.flush().unwrap();
                    // Tickets come before the answer.
                    stream.read_exact(&mut [0; 6]).unwrap();
                    let Stream::Tls(stream) = &stream else {
                        panic!("not encrypted");
                    };
                    kind = stream.session.lock().handshake_kind();
                    server.join().unwrap();
                });
            }
            assert_eq!(kind, Some(wanted), "{settings:?}");
        }
    }
}
