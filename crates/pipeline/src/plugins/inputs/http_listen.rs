//! Requests as messages.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_http::{Body, Peer, Server, ServerSettings, WebConfig, read_limited};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use serde::Deserialize;
use tokio::runtime::Runtime;

use crate::flow::Acks;
use crate::message::{Field, Message};
use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin};
use crate::plugins::net::{TlsSettings, check_address, server_settings};
use crate::plugins::text::base64;

/// How long a request waits for its messages to arrive before it is told to
/// come again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is seen whether to stop.
const GLANCE: Duration = Duration::from_millis(50);
/// How long running requests may take at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// Settings of [`HttpListenInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HttpListenInputSettings {
    /// Where to listen.
    pub address: String,
    /// Headers of all answers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Headers of requests that become fields.
    pub request_headers: Vec<String>,
    /// Nothing, `Basic` or `API`.
    pub auth_type: String,
    /// For basic authentication.
    pub username: String,
    /// For basic authentication.
    pub password: String,
    /// Expected in the header `X-API-KEY`.
    pub api_key: String,
    /// Speak HTTPS.
    pub use_tls: bool,
    /// How to speak it.
    pub tls: TlsSettings,
}

impl Default for HttpListenInputSettings {
    fn default() -> HttpListenInputSettings {
        HttpListenInputSettings {
            address: "127.0.0.1:8325".to_owned(),
            headers: BTreeMap::new(),
            request_headers: Vec::new(),
            auth_type: String::new(),
            username: String::new(),
            password: String::new(),
            api_key: String::new(),
            use_tls: false,
            tls: TlsSettings::default(),
        }
    }
}

/// Takes requests. The answer is 200 when the messages arrived, and 503 when
/// they did not, so that the sender may try again.
#[derive(Debug)]
pub struct HttpListenInput {
    gate: Arc<Gate>,
    address: String,
    web: WebConfig,
    bound: Option<(Runtime, Server)>,
}

/// What every request is handled with.
#[derive(Debug)]
struct Gate {
    demand: Option<(HeaderName, HeaderValue)>,
    answer_headers: Vec<(HeaderName, HeaderValue)>,
    request_headers: Vec<String>,
}

impl Plugin for HttpListenInput {
    const TYPE: &'static str = "HttpListenInput";
    type Settings = HttpListenInputSettings;

    fn build(
        settings: &HttpListenInputSettings,
        _: &BuildContext<'_>,
    ) -> Result<HttpListenInput, BuildError> {
        check_address(&settings.address)?;
        let mut answer_headers = Vec::new();
        for (name, values) in &settings.headers {
            let name: HeaderName = name.parse().map_err(BuildError::new)?;
            for value in values {
                let value = HeaderValue::from_str(value).map_err(BuildError::new)?;
                answer_headers.push((name.clone(), value));
            }
        }
        let gate = Gate {
            demand: demand(settings)?,
            answer_headers,
            request_headers: settings.request_headers.clone(),
        };
        Ok(HttpListenInput {
            gate: Arc::new(gate),
            address: settings.address.clone(),
            web: web(settings)?,
            bound: None,
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            splitter: Some("NullSplitter"),
            ..Defaults::default()
        }
    }
}

/// What the server is told of TLS.
fn web(settings: &HttpListenInputSettings) -> Result<WebConfig, BuildError> {
    let mut web = WebConfig::default();
    if settings.use_tls {
        if settings.tls.session_tickets_disabled {
            let reason = "tls.session_tickets_disabled is for TcpInput: here tickets hold no keys";
            return Err(BuildError::new(reason));
        }
        let tls = server_settings(&settings.tls)?;
        // Faults are better told now than at the start.
        tls.to_rustls()
            .map_err(|reason| BuildError::new(format!("tls: {reason}")))?;
        web.tls_server_config = Some(tls);
    }
    Ok(web)
}

/// The header that lets a request in.
fn demand(
    settings: &HttpListenInputSettings,
) -> Result<Option<(HeaderName, HeaderValue)>, BuildError> {
    let (name, value) = match settings.auth_type.as_str() {
        "" => return Ok(None),
        "Basic" => {
            let pair = format!("{}:{}", settings.username, settings.password);
            (
                header::AUTHORIZATION,
                format!("Basic {}", base64(pair.as_bytes())),
            )
        }
        "API" => (
            HeaderName::from_static("x-api-key"),
            settings.api_key.clone(),
        ),
        other => {
            return Err(BuildError::new(format!(
                "auth_type {other:?} is neither Basic nor API"
            )));
        }
    };
    let value = HeaderValue::from_str(&value).map_err(BuildError::new)?;
    Ok(Some((name, value)))
}

impl Gate {
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some((name, wanted)) = &self.demand else {
            return true;
        };
        let given = headers
            .get(name)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        // As long as both are read to the end, time tells nothing.
        let wanted = wanted.as_bytes();
        let differences = given
            .iter()
            .zip(wanted)
            .fold(0, |all, (a, b)| all | (a ^ b));
        given.len() == wanted.len() && differences == 0
    }

    fn answer(&self, status: StatusCode) -> Response<String> {
        let mut response = Response::new(String::new());
        *response.status_mut() = status;
        for (name, value) in &self.answer_headers {
            response.headers_mut().append(name.clone(), value.clone());
        }
        if status == StatusCode::UNAUTHORIZED {
            let value = HeaderValue::from_static("Basic realm=\"hekad\"");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }

    /// What the messages of a request start as.
    fn template(&self, request: &Request<()>, mut message: Message) -> Message {
        let headers = request.headers();
        let text = |name: &str| {
            let value = headers
                .get(name)
                .map(HeaderValue::as_bytes)
                .unwrap_or_default();
            Bytes::copy_from_slice(value)
        };
        let peer = request
            .extensions()
            .get::<Peer>()
            .and_then(|peer| peer.address);
        let string = |name: &str, value: Bytes| Field::string(name.to_owned(), value, "");
        message.kind = Some("heka.httpdata.request".into());
        message.severity = Some(6);
        message.env_version = Some("1".into());
        let protocol = format!("{:?}", request.version());
        let path = request.uri().path().to_owned();
        message.fields = vec![
            string("Protocol", protocol.into()),
            string("UserAgent", text("user-agent")),
            string("ContentType", text("content-type")),
            string("Path", path.into()),
            string("Host", text("host")),
            string(
                "RemoteAddr",
                peer.map(|p: SocketAddr| p.to_string())
                    .unwrap_or_default()
                    .into(),
            ),
        ];
        for name in &self.request_headers {
            if headers.contains_key(name) {
                message.fields.push(string(name, text(name)));
            }
        }
        for pair in request.uri().query().unwrap_or_default().split('&') {
            if let Some((name, value)) = pair.split_once('=') {
                message
                    .fields
                    .push(string(&unescape(name), unescape(value).into()));
            }
        }
        message
    }
}

/// `%41` and `+` of a query.
fn unescape(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        let hex = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        match (first, behind) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Turns a body into messages and waits until they arrived.
fn take(template: Message, body: &[u8], cx: &InputContext) -> StatusCode {
    let Ok(mut session) = cx.session("http") else {
        return StatusCode::INTERNAL_SERVER_ERROR;
    };
    let acks: Acks<u64> = Acks::new();
    let taken = if body.is_empty() {
        let message = Message {
            payload: Some(Bytes::new()),
            ..template
        };
        cx.emitter()
            .emit(vec![message.into()], Some(acks.expect(0)))
    } else {
        *session.template_mut() = template;
        let expected = acks.clone();
        session.confirm_with(move |place, _| Some(expected.expect(place)));
        session.push(body).and_then(|()| session.finish())
    };
    if taken.is_ok() && acks.wait_idle(PATIENCE) {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}

/// How long a body says it is.
fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

async fn handle(gate: Arc<Gate>, cx: InputContext, request: Request<Body>) -> Response<String> {
    if !gate.admits(request.headers()) {
        cx.stats().counter("RejectedRequests").add(1);
        return gate.answer(StatusCode::UNAUTHORIZED);
    }
    let (parts, body) = request.into_parts();
    let limit = cx.globals().max_message_size as u64;
    let body = match announced(&parts.headers) {
        Some(length) if length > limit => None,
        _ => read_limited(body, limit).await.ok(),
    };
    let Some(body) = body else {
        cx.stats().failed.add(1);
        return gate.answer(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let request = Request::from_parts(parts, ());
    let template = gate.template(&request, cx.template());
    let taken = tokio::task::spawn_blocking(move || take(template, &body, &cx)).await;
    gate.answer(taken.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
}

impl Input for HttpListenInput {
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut settings = ServerSettings::on([self.address.as_str()]);
        settings.drain_timeout = DRAIN;
        settings.web_config = self.web.clone();
        // The handler's limit is lower, and it counts what it refuses.
        settings.max_body_bytes = u64::MAX;
        let server = runtime
            .block_on(Server::bind(settings))
            .map_err(|error| error.to_string())?;
        if let Some(address) = server.addresses().first() {
            cx.stats().counter("Port").set(u64::from(address.port()));
        }
        self.bound = Some((runtime, server));
        Ok(())
    }

    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let Some((runtime, server)) = self.bound.take() else {
            return Err("not started".to_owned());
        };
        let (gate, context) = (self.gate.clone(), cx.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let handled = handle(gate.clone(), context.clone(), request);
            async move { Ok::<_, Infallible>(handled.await) }
        });
        let stop = cx.stop().clone();
        runtime.block_on(server.serve(service, async move {
            while !stop.is_raised() {
                tokio::time::sleep(GLANCE).await;
            }
        }));
        runtime.shutdown_timeout(DRAIN);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn escapes_of_a_query_are_read() {
        assert_eq!(unescape("a%20b+c%2"), "a b c%2");
    }
}
