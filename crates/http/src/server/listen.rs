//! Where a server listens.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use super::ServeError;

/// A bound socket.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener, std::path::PathBuf),
}

/// Who is at the other end of a connection; an extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address; none for a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

impl Listener {
    /// Binds `host:port`, `:port` (all of this machine's addresses) or `unix:/path`.
    pub(super) async fn bind(address: &str) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen {
            address: address.to_owned(),
            source,
        };
        #[cfg(unix)]
        if let Some(path) = address.strip_prefix("unix:") {
            let listener = tokio::net::UnixListener::bind(path).map_err(failed)?;
            return Ok(Self::Unix(listener, path.into()));
        }
        let listener = match address.strip_prefix(':') {
            Some(port) => any_address(port).await,
            None => TcpListener::bind(address).await,
        };
        listener.map(Self::Tcp).map_err(failed)
    }

    /// The address as bound, with the port the system chose for port 0.
    pub(super) fn address(&self) -> io::Result<Option<SocketAddr>> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Some),
            #[cfg(unix)]
            Self::Unix(..) => Ok(None),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Io>, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are written whole; waiting to fill packets only delays them.
                let _ = stream.set_nodelay(true);
                Ok((
                    Box::new(stream),
                    Peer {
                        address: Some(address),
                        tls: false,
                    },
                ))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => {
                let (stream, _) = listener.accept().await?;
                Ok((
                    Box::new(stream),
                    Peer {
                        address: None,
                        tls: false,
                    },
                ))
            }
        }
    }
}

/// IPv6 and IPv4 at once where the system can, else IPv4.
async fn any_address(port: &str) -> io::Result<TcpListener> {
    match TcpListener::bind(format!("[::]:{port}")).await {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        Err(_) => TcpListener::bind(format!("0.0.0.0:{port}")).await,
        bound => bound,
    }
}

#[cfg(unix)]
impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}
