//! Spans reach a server that speaks OTLP. The process can log to one place only, so this is a test
//! binary of its own.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use headwater_http::{Body, Server, ServerSettings};
use headwater_service::{LogFormat, LogLevel, LogSettings, Logging, TraceSettings};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

/// What gRPC answers when all is well: an empty message, and a status behind it.
struct Empty(Vec<Frame<Bytes>>);

impl Empty {
    fn new() -> Self {
        let trailers =
            HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        Self(vec![
            Frame::trailers(trailers),
            Frame::data(Bytes::from_static(&[0; 5])),
        ])
    }
}

impl http_body::Body for Empty {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

/// Starts a server that hands on what it is sent.
async fn serve() -> (String, mpsc::Receiver<(String, String, Bytes)>) {
    let (sender, received) = mpsc::channel(16);
    let server = Server::bind(ServerSettings::on(["127.0.0.1:0"]))
        .await
        .unwrap();
    let address = server.addresses()[0].to_string();
    let service = tower::service_fn(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            let path = request.uri().path().to_owned();
            let header = request.headers()["x-who"].to_str().unwrap().to_owned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            sender.send((path, header, body)).await.unwrap();
            let response = Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(Empty::new()).unwrap())
        }
    });
    tokio::spawn(server.serve(service, std::future::pending()));
    (address, received)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_are_sent_once_tracing_is_on() {
    let (address, mut received) = serve().await;
    let settings = LogSettings::new(LogLevel::Info, LogFormat::Logfmt, "otlp");
    let logging = Logging::start(&settings).unwrap();
    tracing::info_span!("before").in_scope(|| {});

    let mut traces = TraceSettings::new(address, "test-service");
    traces.insecure = true;
    traces.headers.insert("x-who".into(), "me".into());
    logging.set_tracing(Some(&traces)).unwrap();
    tracing::info_span!("the-span", answer = 42).in_scope(|| {});

    // Switching off sends what waits.
    let off = logging.clone();
    tokio::task::spawn_blocking(move || off.set_tracing(None).unwrap())
        .await
        .unwrap();
    let (path, header, body) = received.recv().await.unwrap();
    assert_eq!(
        path,
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    );
    assert_eq!(header, "me");
    assert!(holds(&body, "the-span") && holds(&body, "answer") && holds(&body, "test-service"));
    assert!(!holds(&body, "before"));

    tracing::info_span!("after").in_scope(|| {});
    assert!(received.try_recv().is_err());

    traces.headers.insert("bad header".into(), String::new());
    let error = logging.set_tracing(Some(&traces)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tracing: header \"bad header\" cannot be sent"
    );
}
