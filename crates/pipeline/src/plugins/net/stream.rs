//! Connections, plain or encrypted.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};

#[cfg(feature = "tls")]
use super::tls::TlsStream;

/// A connection. Clones share it, so that one thread can read while another
/// writes.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    #[cfg(feature = "tls")]
    Tls(TlsStream),
}

impl Stream {
    /// The socket, for timeouts and for ending waits.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.socket(),
        }
    }

    pub(crate) fn try_clone(&self) -> io::Result<Stream> {
        Ok(match self {
            Stream::Plain(socket) => Stream::Plain(socket.try_clone()?),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => Stream::Tls(stream.try_clone()?),
        })
    }

    /// Ends the connection in good order. What was written before still
    /// arrives.
    pub(crate) fn close(&mut self) {
        #[cfg(feature = "tls")]
        if let Stream::Tls(stream) = self {
            stream.say_goodbye();
        }
        // The peer may be gone already.
        let _ = self.socket().shutdown(Shutdown::Write);
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(socket) => socket.flush(),
            #[cfg(feature = "tls")]
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// Whether a call ended because its time was over.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

/// Connects to `to`, from `from` if there is one.
pub(crate) fn connect(
    to: SocketAddr,
    from: Option<SocketAddr>,
    timeout: Duration,
) -> io::Result<TcpStream> {
    let Some(from) = from else {
        return TcpStream::connect_timeout(&to, timeout);
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.bind(&from.into())?;
    socket.connect_timeout(&to.into(), timeout)?;
    Ok(socket.into())
}

/// Whether and how often the system asks a silent peer if it is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeepAlive(Option<Duration>);

impl KeepAlive {
    /// From the settings `keep_alive` and `keep_alive_period`, in seconds.
    pub(crate) fn new(on: bool, seconds: u64) -> KeepAlive {
        KeepAlive(on.then(|| Duration::from_secs(seconds.max(1))))
    }

    pub(crate) fn apply(self, socket: &TcpStream) -> io::Result<()> {
        let Some(period) = self.0 else {
            return Ok(());
        };
        let wanted = TcpKeepalive::new().with_time(period).with_interval(period);
        SockRef::from(socket).set_tcp_keepalive(&wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn a_connection_can_come_from_a_given_address() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        // Linux answers for all of 127/8.
        let from = SocketAddr::from(([127, 0, 0, 2], 0));
        let stream = connect(to, Some(from), TIMEOUT).unwrap();
        assert_eq!(stream.local_addr().unwrap().ip(), from.ip());
        let (_, peer) = listener.accept().unwrap();
        assert_eq!(peer.ip(), from.ip());
    }

    #[test]
    fn keeping_alive_is_asked_of_the_socket() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = connect(listener.local_addr().unwrap(), None, TIMEOUT).unwrap();
        let socket = SockRef::from(&stream);
        KeepAlive::new(false, 60).apply(&stream).unwrap();
        assert!(!socket.keepalive().unwrap());
        KeepAlive::new(true, 60).apply(&stream).unwrap();
        assert!(socket.keepalive().unwrap());
        assert_eq!(
            socket.tcp_keepalive_time().unwrap(),
            Duration::from_secs(60)
        );
    }
}
