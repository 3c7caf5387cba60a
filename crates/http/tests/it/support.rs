//! A server that answers in a known way, and certificates to go with it.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use headwater_http::{
    Body, Client, ClientError, ClientOptions, HttpClientConfig, Server, ServerSettings,
    read_limited,
};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A running server; stopping it waits for the end.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        self.ended.await.unwrap();
    }

    /// Asks the server to stop, and goes on at once.
    pub(crate) fn ask_to_stop(self) -> JoinHandle<()> {
        let _ = self.stop.send(());
        self.ended
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// Starts a server on a free port with a service made of a function.
pub(crate) async fn start<F, A>(settings: ServerSettings, answer: F) -> Running
where
    F: Fn(Request<Body>) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response<String>> + Send + 'static,
{
    let server = Server::bind(settings).await.unwrap();
    let address = server.addresses()[0];
    let service = tower::service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let (stop, stopped) = oneshot::channel();
    let ended = tokio::spawn(server.serve(service, async { stopped.await.unwrap_or_default() }));
    Running {
        address,
        stop,
        ended,
    }
}

pub(crate) fn settings() -> ServerSettings {
    ServerSettings::on(["127.0.0.1:0"])
}

/// Answers with the method, the path, chosen headers and the body's length.
pub(crate) async fn echo(request: Request<Body>) -> Response<String> {
    let mut text = format!("{} {}\n", request.method(), request.uri().path());
    for name in [
        "authorization",
        "user-agent",
        "x-extra",
        "host",
        "proxy-authorization",
    ] {
        for value in request.headers().get_all(name) {
            text += &format!("{name}: {}\n", value.to_str().unwrap());
        }
    }
    match request.into_body().collect().await {
        Ok(body) => Response::new(text + &format!("{} bytes\n", body.to_bytes().len())),
        Err(error) if error.is_too_large() => Response::builder()
            .status(413)
            .body(error.to_string())
            .unwrap(),
        Err(error) => Response::builder()
            .status(400)
            .body(error.to_string())
            .unwrap(),
    }
}

pub(crate) fn client(yaml: &str) -> Client {
    let config: HttpClientConfig = headwater_yaml::from_str(yaml).unwrap();
    Client::new(&config, ClientOptions::default()).unwrap()
}

/// Status and text of a GET.
pub(crate) async fn get(client: &Client, url: &str) -> Result<(u16, String), ClientError> {
    send(client, Request::get(url).body(Bytes::new()).unwrap()).await
}

pub(crate) async fn send(
    client: &Client,
    request: Request<Bytes>,
) -> Result<(u16, String), ClientError> {
    let response = client.send(request).await?;
    let status = response.status().as_u16();
    let body = read_limited(response.into_body(), 1 << 20).await?;
    Ok((status, String::from_utf8(body.to_vec()).unwrap()))
}

/// An authority, a server's certificate for `localhost` and 127.0.0.1, and a client's, as files.
pub(crate) struct Certificates {
    pub(crate) dir: tempfile::TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let certificates = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        certificates.renew();
        certificates
    }

    /// Makes all anew: a new authority too.
    pub(crate) fn renew(&self) {
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        self.write("ca.pem", &ca.self_signed(&ca_key).unwrap().pem());
        let issuer = rcgen::Issuer::new(ca, ca_key);
        for (name, hosts) in [
            ("server", ["localhost", "127.0.0.1"]),
            ("client", ["ann.test", "10.9.8.7"]),
        ] {
            let key = rcgen::KeyPair::generate().unwrap();
            let params = rcgen::CertificateParams::new(hosts.map(str::to_owned).to_vec()).unwrap();
            let cert = params.signed_by(&key, &issuer).unwrap();
            self.write(&format!("{name}.key"), &key.serialize_pem());
            self.write(&format!("{name}.pem"), &cert.pem());
        }
    }

    /// Gives the server a certificate that is its own authority, until the end of a year.
    pub(crate) fn self_signed(&self, until: i32) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(until, 12, 31);
        self.write("server.key", &key.serialize_pem());
        self.write("server.pem", &params.self_signed(&key).unwrap().pem());
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    /// Server settings with this web configuration, looked at for every request.
    pub(crate) fn settings(&self, web_config: &str) -> ServerSettings {
        self.write("web.yml", web_config);
        let mut settings = settings();
        settings.web_config_file = Some(self.path("web.yml").into());
        settings.web_config_look_again = std::time::Duration::ZERO;
        settings
    }
}
