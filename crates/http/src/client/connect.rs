//! How a connection comes about: straight, over a Unix socket, or by way of a proxy.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tower::Service;

use super::config::ProxyConfig;
use crate::TlsConfig;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting = Pin<Box<dyn Future<Output = Result<Stream, BoxError>> + Send>>;

/// The connector of one client: TLS around whatever [`Dial`] reaches.
pub(super) type Connector = HttpsConnector<Dial>;

/// Puts the connector together.
pub(super) fn connector(
    tls: &TlsConfig,
    rustls: ClientConfig,
    http2: bool,
    dial: Dial,
) -> Result<Connector, String> {
    let builder = HttpsConnectorBuilder::new()
        .with_tls_config(rustls)
        .https_or_http();
    let builder = if tls.server_name.is_empty() {
        builder
    } else {
        let name = rustls_pki_types::ServerName::try_from(tls.server_name.clone())
            .map_err(|_| format!("server_name {:?} is not a host name", tls.server_name))?;
        builder.with_server_name_resolver(FixedServerNameResolver::new(name))
    };
    Ok(match http2 {
        true => builder.enable_all_versions().wrap_connector(dial),
        false => builder.enable_http1().wrap_connector(dial),
    })
}

/// Reaches the host of an address, or what stands in for it.
#[derive(Clone)]
pub(super) struct Dial {
    tcp: HttpConnector,
    /// To a proxy that is itself reached over TLS.
    tls: Arc<ClientConfig>,
    proxies: Proxies,
    unix_socket: Option<PathBuf>,
}

impl Dial {
    pub(super) fn new(
        tls: &ClientConfig,
        proxies: Proxies,
        unix_socket: Option<PathBuf>,
        timeout: Duration,
    ) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(timeout));
        tcp.set_keepalive(Some(Duration::from_secs(15)));
        Self {
            tcp,
            tls: Arc::new(tls.clone()),
            proxies,
            unix_socket,
        }
    }

    async fn dial(mut self, target: Uri) -> Result<Stream, BoxError> {
        if let Some(path) = &self.unix_socket {
            return unix(path).await;
        }
        let Some(proxy) = self.proxies.intercept(&target) else {
            return Ok(Stream::new(Service::call(&mut self.tcp, target).await?));
        };
        match proxy.uri().scheme_str() {
            Some("socks5" | "socks5h") => self.socks(&proxy, target).await,
            _ if target.scheme() == Some(&Scheme::HTTPS) => self.tunnel(&proxy, target).await,
            _ => {
                let stream = self.reach_proxy(proxy.uri().clone()).await?;
                Ok(Stream {
                    proxied: true,
                    ..stream
                })
            }
        }
    }

    async fn socks(&mut self, proxy: &Intercept, target: Uri) -> Result<Stream, BoxError> {
        let local_dns = proxy.uri().scheme_str() == Some("socks5");
        let mut socks = SocksV5::new(proxy.uri().clone(), self.tcp.clone()).local_dns(local_dns);
        if let Some((user, password)) = proxy.raw_auth() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        Ok(Stream::new(Service::call(&mut socks, target).await?))
    }

    async fn tunnel(&mut self, proxy: &Intercept, target: Uri) -> Result<Stream, BoxError> {
        let mut headers = self.proxies.connect_headers.as_ref().clone();
        if let Some(auth) = proxy.basic_auth() {
            headers
                .entry(http::header::PROXY_AUTHORIZATION)
                .or_insert_with(|| auth.clone());
        }
        let over = ToProxy(self.clone());
        let mut tunnel = Tunnel::new(proxy.uri().clone(), over).with_headers(headers);
        Ok(Service::call(&mut tunnel, target).await?)
    }

    async fn reach_proxy(&mut self, proxy: Uri) -> Result<Stream, BoxError> {
        if proxy.scheme() != Some(&Scheme::HTTPS) {
            return Ok(Stream::new(Service::call(&mut self.tcp, proxy).await?));
        }
        let mut https = HttpsConnectorBuilder::new()
            .with_tls_config(self.tls.as_ref().clone())
            .https_only()
            .enable_http1()
            .wrap_connector(self.tcp.clone());
        Ok(Stream::new(Service::call(&mut https, proxy).await?))
    }
}

#[cfg(unix)]
async fn unix(path: &std::path::Path) -> Result<Stream, BoxError> {
    let stream = tokio::net::UnixStream::connect(path)
        .await
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
    Ok(Stream {
        io: Box::new(TokioIo::new(stream)),
        proxied: false,
    })
}

#[cfg(not(unix))]
async fn unix(_: &std::path::Path) -> Result<Stream, BoxError> {
    Err("Unix sockets exist on Unix only".into())
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Connecting {
        Box::pin(self.clone().dial(target))
    }
}

/// The way to the proxy itself, for the tunnel to be built on.
#[derive(Clone)]
struct ToProxy(Dial);

impl Service<Uri> for ToProxy {
    type Response = Stream;
    type Error = BoxError;
    type Future = Connecting;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, proxy: Uri) -> Connecting {
        let mut dial = self.0.clone();
        Box::pin(async move { dial.reach_proxy(proxy).await })
    }
}

/// Which proxy stands before which host.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    matcher: Option<Arc<Matcher>>,
    /// Go never asks a proxy for this machine's own services, unless `proxy_url` stands alone.
    spare_loopback: bool,
    connect_headers: Arc<HeaderMap>,
}

impl Proxies {
    pub(super) fn new(config: &ProxyConfig) -> Result<Self, String> {
        let matcher = if config.proxy_from_environment {
            Some(Matcher::from_env())
        } else if config.proxy_url.is_empty() {
            None
        } else {
            let builder = Matcher::builder().all(config.proxy_url.as_str().to_owned());
            Some(builder.no(config.no_proxy.clone()).build())
        };
        Ok(Self {
            matcher: matcher.map(Arc::new),
            spare_loopback: config.proxy_from_environment || !config.no_proxy.is_empty(),
            connect_headers: Arc::new(connect_headers(config)?),
        })
    }

    fn intercept(&self, target: &Uri) -> Option<Intercept> {
        let matcher = self.matcher.as_ref()?;
        if self.spare_loopback && target.host().is_some_and(is_loopback) {
            return None;
        }
        matcher.intercept(target)
    }

    /// What a plain request has to show the proxy it passes through.
    pub(super) fn authorization(&self, target: &Uri) -> Option<HeaderValue> {
        let plain = target.scheme() == Some(&Scheme::HTTP);
        let proxy = plain.then(|| self.intercept(target)).flatten()?;
        proxy.basic_auth().cloned()
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn connect_headers(config: &ProxyConfig) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, values) in &config.proxy_connect_header {
        let name: HeaderName = name
            .parse()
            .map_err(|_| format!("{name:?} is not a valid header name"))?;
        for value in values {
            let mut value = HeaderValue::from_str(value.reveal())
                .map_err(|_| format!("proxy_connect_header {name} has an invalid value"))?;
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
    Ok(headers)
}

trait Io: Read + Write + Send + Unpin {}
impl<T: Read + Write + Send + Unpin> Io for T {}

/// A connection of any kind.
pub(super) struct Stream {
    io: Box<dyn Io>,
    /// The peer is a proxy that wants the whole address in the request line.
    proxied: bool,
}

impl Stream {
    fn new(io: impl Read + Write + Send + Unpin + 'static) -> Self {
        Self {
            io: Box::new(io),
            proxied: false,
        }
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().proxy(self.proxied)
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    fn asked(config: &ProxyConfig, target: &'static str) -> Option<String> {
        let proxies = Proxies::new(config).unwrap();
        proxies
            .intercept(&Uri::from_static(target))
            .map(|proxy| proxy.uri().to_string())
    }

    #[test]
    fn no_proxy_spares_hosts_and_loopback() {
        let all = ProxyConfig {
            proxy_url: Address::new("http://p:1"),
            ..ProxyConfig::default()
        };
        assert_eq!(
            asked(&all, "http://127.0.0.1/").as_deref(),
            Some("http://p:1/")
        );
        let some = ProxyConfig {
            no_proxy: "a.test,10.0.0.0/8".into(),
            ..all
        };
        assert_eq!(asked(&some, "http://127.0.0.1/"), None);
        assert_eq!(asked(&some, "https://x.a.test/"), None);
        assert_eq!(asked(&some, "http://10.1.2.3/"), None);
        assert_eq!(
            asked(&some, "https://b.test/").as_deref(),
            Some("http://p:1/")
        );
    }
}
