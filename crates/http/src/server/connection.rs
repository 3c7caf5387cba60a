//! One connection, and each request on it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanic;
use tower_http::compression::Compression;

use super::ServerSettings;
use super::auth::Gate;
use super::body::{Body, bounded, boxed};
use super::cors::Cors;
use super::idle::{Activity, Counted, Noted};
use super::listen::{Io, Peer};
use super::web::{Loaded, Web};

/// How long a client may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 250;

/// The program's service, in clothes that do not depend on it.
pub(super) type BoxService = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Adds what every answer gets: compression, and an answer even if the service panics.
pub(super) fn dressed<S, B>(service: S) -> BoxService
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
    let service = Compression::new(CatchPanic::new(service)).quality(CompressionLevel::Fastest);
    BoxCloneSyncService::new(service.map_response(|response: Response<_>| response.map(boxed)))
}

/// What all connections of a server share.
pub(super) struct Shared {
    service: BoxService,
    web: Web,
    gate: Gate,
    cors: Option<Cors>,
    read_timeout: Duration,
    max_body_bytes: u64,
    http: auto::Builder<TokioExecutor>,
}

impl Shared {
    pub(super) fn new(settings: &ServerSettings, web: Web, service: BoxService) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(settings.read_timeout)
            // hyper refuses to go below its own smallest buffer.
            .max_buf_size(settings.max_header_bytes.max(8192));
        http.http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(settings.max_header_bytes).unwrap_or(u32::MAX))
            .max_concurrent_streams(MAX_STREAMS);
        Self {
            service,
            web,
            gate: Gate::default(),
            cors: settings.cors.clone(),
            read_timeout: settings.read_timeout,
            max_body_bytes: settings.max_body_bytes,
            http,
        }
    }
}

/// Serves a connection until the client leaves or the server stops.
pub(super) async fn serve(
    shared: Arc<Shared>,
    io: Box<dyn Io>,
    mut peer: Peer,
    mut stopped: watch::Receiver<bool>,
) {
    let io = match shared.web.current().tls.clone() {
        None => io,
        Some(config) => {
            peer.tls = true;
            match shake_hands(config, io).await {
                Ok(io) => io,
                Err(error) => {
                    return tracing::debug!(peer = ?peer.address, %error, "TLS handshake failed");
                }
            }
        }
    };
    let activity = Activity::new();
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let (shared, peer, answering) = (shared.clone(), peer.clone(), activity.answering());
        async move {
            let response = shared.answer(request, peer).await;
            Ok::<_, Infallible>(response.map(|body| Counted::new(body, answering)))
        }
    });
    let io = TokioIo::new(Noted {
        io,
        activity: activity.clone(),
    });
    let connection = shared.http.serve_connection_with_upgrades(io, service);
    let mut connection = std::pin::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = activity.idle_for(shared.read_timeout) => return,
        () = asked_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = told_to_close(&mut stopped) => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(peer = ?peer.address, %error, "A connection broke off");
    }
}

async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone altogether, which asks for the same.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// The server waited long enough and dropped its end.
async fn told_to_close(stopped: &mut watch::Receiver<bool>) {
    while stopped.changed().await.is_ok() {}
}

async fn shake_hands(
    config: Arc<rustls::ServerConfig>,
    io: Box<dyn Io>,
) -> std::io::Result<Box<dyn Io>> {
    let handshake = TlsAcceptor::from(config).accept(io);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake)
        .await
        .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
    Ok(Box::new(stream))
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let web = self.web.current();
        let origin = self
            .cors
            .as_ref()
            .map(|cors| cors.welcome(request.headers()));
        let mut response = self.inner(request, peer, &web).await;
        if let Some(origin) = origin {
            Cors::add(origin, response.headers_mut());
        }
        for (name, value) in &web.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    }

    async fn inner(&self, request: Request<Incoming>, peer: Peer, web: &Loaded) -> Response<Body> {
        if self.cors.is_some() && request.method() == Method::OPTIONS {
            return plain(StatusCode::NO_CONTENT, "");
        }
        if !self
            .gate
            .lets_in(request.headers(), &web.config.basic_auth_users)
            .await
        {
            let mut response = plain(StatusCode::UNAUTHORIZED, "Unauthorized\n");
            let ask = HeaderValue::from_static("Basic");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
            return response;
        }
        if length(&request).is_some_and(|length| length > self.max_body_bytes) {
            let text = format!(
                "request body too large: the limit is {} bytes\n",
                self.max_body_bytes
            );
            return plain(StatusCode::PAYLOAD_TOO_LARGE, text);
        }
        let mut request = request.map(|body| bounded(body, self.max_body_bytes, self.read_timeout));
        request.extensions_mut().insert(peer);
        match self.service.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn length<B>(request: &Request<B>) -> Option<u64> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn plain(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(boxed(Full::new(text.into())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
