//! The client: requests as a settings section describes them.

mod auth;
mod body;
mod config;
mod connect;
mod error;
mod oauth2;
mod pinned;
mod redirect;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Pool;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use body::{Encoding, read_into, read_limited};
pub use config::{
    Authorization, BasicAuth, HeaderValues, Headers, HttpClientConfig, OAuth2, ProxyConfig,
    is_reserved_header,
};
pub use error::ClientError;
pub(crate) use error::chain;
pub(crate) use tls::client_config as rustls_client;

use crate::files::{LOOK_AGAIN, Watched};
use connect::{Connector, Dial, Proxies};
use oauth2::TokenSource;
use redirect::Next;

/// What a client is given by the program, not by its user.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// Sent as `User-Agent` with requests that carry none.
    pub user_agent: String,
    /// How long reaching a host may take.
    pub dial_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// How many unused connections are kept per host; 0 closes each after its answer.
    pub idle_per_host: usize,
    /// Go to this Unix socket, whatever the host.
    pub unix_socket: Option<PathBuf>,
    /// How long a look at the dates of certificate files is good for.
    pub files_look_again: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            user_agent: concat!("headwater/", env!("CARGO_PKG_VERSION")).to_owned(),
            dial_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(5 * 60),
            idle_per_host: 1000,
            unix_socket: None,
            files_look_again: LOOK_AGAIN,
        }
    }
}

/// Makes requests as its settings describe. Clones share connections and tokens.
///
/// A request has no timeout of its own: the caller knows how long its answer is worth waiting for,
/// and dropping the future ends the request.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    config: HttpClientConfig,
    options: ClientOptions,
    /// Replaced as a whole when a certificate changes on disk.
    link: ArcSwap<Link>,
    watched: Watched,
    tokens: Option<TokenSource>,
}

/// Connections and what they were made with.
struct Link {
    pool: Pool<Connector, Full<Bytes>>,
    proxies: Proxies,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Builds a client; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::Settings`] when a certificate or key cannot be read or used.
    pub fn new(config: &HttpClientConfig, options: ClientOptions) -> Result<Self, ClientError> {
        let watched = Watched::new(config.kept_files(), options.files_look_again);
        let link = Link::new(config, &options)?;
        let tokens = match &config.oauth2 {
            Some(oauth2) => Some(TokenSource::new(oauth2, &options)?),
            None => None,
        };
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            options,
            link: ArcSwap::from_pointee(link),
            watched,
            tokens,
        })))
    }

    /// Sends a request and answers once the response's headers are there.
    ///
    /// Redirects are followed if the settings say so; credentials stay with the host they are for.
    ///
    /// # Errors
    /// See [`ClientError`]; an answer of 4xx or 5xx is an answer, not an error.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Incoming>, ClientError> {
        let (mut parts, mut body) = request.into_parts();
        parts.uri = without_user(parts.uri, &mut parts.headers)?;
        let origin = parts.uri.clone();
        for _ in 0..=redirect::MAX_REDIRECTS {
            let trusted = redirect::same_host(&origin, &parts.uri);
            let response = self.send_once(&parts, body.clone(), trusted).await?;
            if !self.0.config.follow_redirects {
                return Ok(response);
            }
            match redirect::next(&parts, &response)? {
                None => return Ok(response),
                Some(Next {
                    uri,
                    method,
                    keep_body,
                }) => {
                    if !redirect::same_host(&origin, &uri) {
                        redirect::drop_credentials(&mut parts.headers);
                    }
                    if !keep_body {
                        body = Bytes::new();
                        redirect::drop_content(&mut parts.headers);
                    }
                    (parts.uri, parts.method) = (uri, method);
                }
            }
        }
        Err(ClientError::TooManyRedirects(redirect::MAX_REDIRECTS))
    }

    async fn send_once(
        &self,
        parts: &http::request::Parts,
        body: Bytes,
        trusted: bool,
    ) -> Result<Response<Incoming>, ClientError> {
        let link = self.link();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        let headers = request.headers_mut();
        headers.clone_from(&parts.headers);
        if !headers.contains_key(header::USER_AGENT)
            && let Ok(agent) = HeaderValue::from_str(&self.0.options.user_agent)
        {
            headers.insert(header::USER_AGENT, agent);
        }
        if trusted {
            auth::add(headers, &self.0.config, self.0.tokens.as_ref()).await?;
        }
        if let Some(value) = link.proxies.authorization(&parts.uri) {
            headers.insert(header::PROXY_AUTHORIZATION, value);
        }
        link.pool
            .request(request)
            .await
            .map_err(|error| ClientError::Transport {
                method: parts.method.clone(),
                url: parts.uri.to_string(),
                source: innermost(error),
            })
    }

    /// The connections to use now: new ones if a certificate changed. One that cannot be read
    /// leaves the old ones in use; the next look tries again.
    fn link(&self) -> Arc<Link> {
        if self.0.watched.changed() {
            match Link::new(&self.0.config, &self.0.options) {
                Ok(link) => self.0.link.store(Arc::new(link)),
                Err(error) => tracing::error!(%error, "Keeping the old certificates"),
            }
        }
        self.0.link.load_full()
    }
}

impl Link {
    fn new(config: &HttpClientConfig, options: &ClientOptions) -> Result<Self, ClientError> {
        let build = || -> Result<Self, String> {
            let rustls = tls::client_config(&config.tls_config)?;
            let proxies = Proxies::new(&config.proxy)?;
            let socket = options.unix_socket.clone();
            let dial = Dial::new(&rustls, proxies.clone(), socket, options.dial_timeout);
            let connector =
                connect::connector(&config.tls_config, rustls, config.enable_http2, dial)?;
            let pool = Pool::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(options.idle_timeout)
                .pool_max_idle_per_host(options.idle_per_host)
                .http2_keep_alive_interval(Duration::from_secs(60))
                .build(connector);
            Ok(Self { pool, proxies })
        };
        build().map_err(ClientError::Settings)
    }
}

/// User and password in an address become a header, as every HTTP client has it.
fn without_user(uri: Uri, headers: &mut http::HeaderMap) -> Result<Uri, ClientError> {
    let Some(authority) = uri
        .authority()
        .filter(|authority| authority.as_str().contains('@'))
    else {
        return Ok(uri);
    };
    let invalid = |error: String| ClientError::Request(error);
    let url = url::Url::parse(&uri.to_string()).map_err(|error| invalid(error.to_string()))?;
    let (_, host) = authority.as_str().rsplit_once('@').unwrap_or_default();
    let host = host
        .parse()
        .map_err(|_| invalid(format!("{host:?} is not a host")))?;
    if !headers.contains_key(header::AUTHORIZATION) {
        let decode = |text: &str| {
            url::form_urlencoded::parse(text.replace('+', "%2B").as_bytes())
                .next()
                .map(|(name, _)| name.into_owned())
                .unwrap_or_default()
        };
        let credentials = auth::basic_credentials(
            &decode(url.username()),
            &decode(url.password().unwrap_or_default()),
        );
        let mut value =
            HeaderValue::from_str(&credentials).map_err(|error| invalid(error.to_string()))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    let mut parts = uri.into_parts();
    parts.authority = Some(host);
    Uri::from_parts(parts).map_err(|error| invalid(error.to_string()))
}

/// hyper wraps the reason in words like "client error (Connect)", which tell a user nothing.
fn innermost(error: hyper_util::client::legacy::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match std::error::Error::source(&error) {
        Some(source) => error::chain(source).into(),
        None => Box::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_in_the_address_becomes_a_header() {
        let mut headers = http::HeaderMap::new();
        let uri = without_user(Uri::from_static("http://a:p%40+b@h:1/x?y"), &mut headers).unwrap();
        assert_eq!(uri, "http://h:1/x?y");
        // a:p@+b
        assert_eq!(headers[header::AUTHORIZATION], "Basic YTpwQCti");
    }
}
