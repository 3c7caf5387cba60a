//! One HTTP request a message.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use headwater_http::{Client, ClientOptions, HttpClientConfig};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::event::Event;
use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, Next, Output, OutputContext, Plugin, Undelivered,
};
use crate::plugins::net::{TlsSettings, client_settings};
use crate::plugins::text::base64;

/// A request without an answer in this time is made again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is seen whether the pipeline gives up.
const GLANCE: Duration = Duration::from_millis(100);

/// Settings of [`HttpOutput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpOutputSettings {
    /// URL of the requests.
    pub address: String,
    /// `POST`, `PUT` or `GET`; the last sends no body.
    pub method: String,
    /// For basic authentication.
    pub username: String,
    /// For basic authentication.
    pub password: String,
    /// Further headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Milliseconds a request may take; 0 leaves it to the default of 30 s.
    pub http_timeout: u64,
    /// How to speak HTTPS, which an address with `https` asks for.
    pub tls: TlsSettings,
}

impl Default for HttpOutputSettings {
    fn default() -> HttpOutputSettings {
        HttpOutputSettings {
            address: String::new(),
            method: "POST".to_owned(),
            username: String::new(),
            password: String::new(),
            headers: BTreeMap::new(),
            http_timeout: 0,
            tls: TlsSettings::default(),
        }
    }
}

/// Sends each encoded message as the body of a request. An answer of 2xx
/// means that it arrived; 5xx, 408, 429 and no answer that it is tried again;
/// any other that it never will.
#[derive(Debug)]
pub struct HttpOutput {
    request: Request<()>,
    client: HttpClientConfig,
    timeout: Duration,
    sends_body: bool,
    running: Option<(Runtime, Client)>,
    buffer: Vec<u8>,
}

impl Plugin for HttpOutput {
    const TYPE: &'static str = "HttpOutput";
    type Settings = HttpOutputSettings;

    fn build(
        settings: &HttpOutputSettings,
        _: &BuildContext<'_>,
    ) -> Result<HttpOutput, BuildError> {
        let client = HttpClientConfig {
            tls_config: client_settings(&settings.tls)?,
            ..HttpClientConfig::default()
        };
        // Faults are better told now than at the start.
        client
            .tls_config
            .to_rustls()
            .map_err(|reason| BuildError::new(format!("tls: {reason}")))?;
        let uri: Uri = settings.address.parse().map_err(|error| {
            BuildError::new(format!("can't parse URL '{}': {error}", settings.address))
        })?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(BuildError::new(format!(
                "'{}' is no HTTP URL",
                settings.address
            )));
        }
        let method = match settings.method.as_str() {
            "POST" => Method::POST,
            "PUT" => Method::PUT,
            "GET" => Method::GET,
            other => {
                return Err(BuildError::new(format!(
                    "method {other:?} is none of POST, PUT, GET"
                )));
            }
        };
        let sends_body = method != Method::GET;
        let mut request = Request::new(());
        *request.uri_mut() = uri;
        *request.method_mut() = method;
        for (name, values) in &settings.headers {
            let name: HeaderName = name.parse().map_err(BuildError::new)?;
            for value in values {
                let value = HeaderValue::from_str(value).map_err(BuildError::new)?;
                request.headers_mut().append(name.clone(), value);
            }
        }
        if !settings.username.is_empty() || !settings.password.is_empty() {
            let pair = format!("{}:{}", settings.username, settings.password);
            let value = format!("Basic {}", base64(pair.as_bytes()));
            let value = HeaderValue::from_str(&value).map_err(BuildError::new)?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(HttpOutput {
            request,
            client,
            timeout: match settings.http_timeout {
                0 => PATIENCE,
                millis => Duration::from_millis(millis),
            },
            sends_body,
            running: None,
            buffer: Vec::new(),
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            needs_encoder: true,
            ..Defaults::default()
        }
    }
}

/// What became of one message.
enum Sent {
    Arrived,
    Never(String),
    Again(String),
}

impl HttpOutput {
    fn send(&mut self, event: &Event, cx: &mut OutputContext) -> Sent {
        self.buffer.clear();
        cx.encode(event, &mut self.buffer);
        if self.buffer.is_empty() {
            return Sent::Arrived;
        }
        let Some((runtime, client)) = &self.running else {
            return Sent::Again("not started".to_owned());
        };
        let body = if self.sends_body {
            Bytes::copy_from_slice(&self.buffer)
        } else {
            Bytes::new()
        };
        let request = self.request.clone().map(|()| body);
        let abort = cx.abort().clone();
        let answered = runtime.block_on(async {
            let given_up = async {
                while !abort.is_raised() {
                    tokio::time::sleep(GLANCE).await;
                }
            };
            tokio::select! {
                answer = tokio::time::timeout(self.timeout, client.send(request)) => Some(answer),
                () = given_up => None,
            }
        });
        match answered {
            None => Sent::Again("stopped".to_owned()),
            Some(Err(_)) => Sent::Again("no answer in time".to_owned()),
            Some(Ok(Err(error))) => Sent::Again(error.to_string()),
            Some(Ok(Ok(answer))) => judge(answer.status()),
        }
    }
}

fn judge(status: StatusCode) -> Sent {
    let again = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
    if status.is_success() {
        Sent::Arrived
    } else if status.is_server_error() || again.contains(&status) {
        Sent::Again(format!("the answer was {status}"))
    } else {
        Sent::Never(format!("the answer was {status}"))
    }
}

impl Output for HttpOutput {
    fn start(&mut self, _: &mut OutputContext) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let client =
            runtime.block_on(async { Client::new(&self.client, ClientOptions::default()) });
        self.running = Some((runtime, client.map_err(|error| error.to_string())?));
        Ok(())
    }

    fn deliver(
        &mut self,
        mut delivery: Delivery,
        cx: &mut OutputContext,
    ) -> Result<(), Undelivered> {
        while let Some(event) = delivery.first() {
            match self.send(event, cx) {
                Sent::Arrived => {}
                Sent::Never(reason) => {
                    cx.stats().dropped.add(1);
                    tracing::warn!(output = cx.name(), "message dropped: {reason}");
                }
                Sent::Again(reason) => {
                    return Err(Undelivered {
                        delivery,
                        next: Next::Retry,
                        reason,
                    });
                }
            }
            delivery.pass(1);
        }
        delivery.done();
        Ok(())
    }
}
