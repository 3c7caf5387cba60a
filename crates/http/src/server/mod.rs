//! The server kit: everything between a listening socket and a `tower` service.

mod auth;
mod body;
mod connection;
mod cors;
mod idle;
mod listen;
mod tenant;
mod tls;
mod web;
mod web_config;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::{Semaphore, mpsc, watch};
use tower::Service;

pub use body::{Body, BodyError};
pub use cors::Cors;
pub use listen::Peer;
pub use tenant::{MAX_TENANT_BYTES, TENANT_HEADER, TenantError, tenant, tenants};
pub use web_config::{HttpServerConfig, TlsServerConfig, WebConfig};

use connection::Shared;
use listen::Listener;
use web::{Source, Web};

/// How long a server waits after the system had no room for a connection (too many open files).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a server is told by its program.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerSettings {
    /// Where to listen: `host:port`, `:port` or `unix:/path`.
    pub addresses: Vec<String>,
    /// The file with certificates, users and headers; read again when it changes.
    pub web_config_file: Option<PathBuf>,
    /// The same settings from the program itself; in force where no file is named.
    pub web_config: WebConfig,
    /// Connections served at once; more wait to be accepted.
    pub max_connections: usize,
    /// How long reading one request may take, and how long a connection may be idle.
    pub read_timeout: Duration,
    /// How long a request's headers may be, in bytes.
    pub max_header_bytes: usize,
    /// How long a request's body may be as sent, in bytes.
    pub max_body_bytes: u64,
    /// How long running requests may take to end once the server is to stop.
    pub drain_timeout: Duration,
    /// Which other origins' pages may read answers; none if not set.
    pub cors: Option<Cors>,
    /// How long a look at the web configuration file's date is good for.
    pub web_config_look_again: Duration,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            addresses: Vec::new(),
            web_config_file: None,
            web_config: WebConfig::default(),
            max_connections: 512,
            read_timeout: Duration::from_secs(5 * 60),
            max_header_bytes: 1 << 20,
            max_body_bytes: 128 << 20,
            drain_timeout: Duration::from_secs(30),
            cors: None,
            web_config_look_again: crate::files::LOOK_AGAIN,
        }
    }
}

impl ServerSettings {
    /// The defaults, listening on these addresses.
    pub fn on<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> Self {
        Self {
            addresses: addresses.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address cannot be had. Choose another one, or end the program that has it.
    #[error("cannot listen on {address}: {}", explain(source))]
    Listen {
        /// The address as given.
        address: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The web configuration file cannot be used. Mend it.
    #[error(transparent)]
    WebConfig(#[from] headwater_yaml::Error),
}

fn explain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "address already in use by another program; stop that program or choose another address"
                .into()
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 need a privilege, choose a higher one")
        }
        _ => error.to_string(),
    }
}

/// A server whose sockets are bound, so that nothing but a defect can fail from here on.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    settings: ServerSettings,
    web: Web,
}

impl Server {
    /// Reads the web configuration and binds every address.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn bind(settings: ServerSettings) -> Result<Self, ServeError> {
        let source = match &settings.web_config_file {
            Some(path) => Source::File(path.clone()),
            None => Source::Given(Box::new(settings.web_config.clone())),
        };
        let web = Web::open(source, settings.web_config_look_again)?;
        let mut listeners = Vec::with_capacity(settings.addresses.len());
        for address in &settings.addresses {
            listeners.push(Listener::bind(address).await?);
        }
        Ok(Self {
            listeners,
            settings,
            web,
        })
    }

    /// The TCP addresses as bound, with the ports that the system chose for port 0.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|listener| listener.address().ok().flatten())
            .collect()
    }

    /// Whether clients have to speak TLS now.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.web.current().tls.is_some()
    }

    /// Serves until `stop` resolves, then lets running requests end, at most for `drain_timeout`.
    ///
    /// Each request carries its [`Peer`] as an extension.
    pub async fn serve<S, B>(self, service: S, stop: impl Future<Output = ()>)
    where
        S: Service<Request<Body>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let drain_timeout = self.settings.drain_timeout;
        let permits = Arc::new(Semaphore::new(self.settings.max_connections.max(1)));
        let (stopping, stopped) = watch::channel(false);
        // Every connection holds a sender; when the last is gone, so is the last connection.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let shared = Arc::new(Shared::new(
            &self.settings,
            self.web,
            connection::dressed(service),
        ));
        let mut loops = tokio::task::JoinSet::new();
        for listener in self.listeners {
            let accept = Accept {
                listener,
                shared: shared.clone(),
                permits: permits.clone(),
                stopped: stopped.clone(),
                alive: alive.clone(),
            };
            loops.spawn(accept.run());
        }
        drop(alive);
        stop.await;
        stopping.send_replace(true);
        if tokio::time::timeout(drain_timeout, all_gone.recv())
            .await
            .is_err()
        {
            tracing::warn!(timeout = ?drain_timeout, "Closing connections whose requests did not end");
        }
        // Dropping the sender tells connections that are still there to close.
        drop(stopping);
        loops.join_all().await;
    }
}

/// Takes connections from one socket.
struct Accept {
    listener: Listener,
    shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Accept {
    async fn run(mut self) {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = self.accept() => {}
        }
    }

    /// A connection beyond the limit is taken but not served until another ends. Waiting before
    /// taking it would let one socket without visitors keep the last place from another.
    async fn accept(&mut self) {
        loop {
            let (io, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "Cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = self.permits.clone().acquire_owned().await else {
                return;
            };
            let (shared, stopped) = (self.shared.clone(), self.stopped.clone());
            let alive = self.alive.clone();
            tokio::spawn(async move {
                connection::serve(shared, io, peer, stopped).await;
                drop((permit, alive));
            });
        }
    }
}
