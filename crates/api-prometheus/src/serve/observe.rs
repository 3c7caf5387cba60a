//! Counts requests: how many, how long, how large.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use headwater_exposition::registry::{Counter, Family, Histogram, Registry, exponential_buckets};
use http_body::{Body as _, Frame, SizeHint};

/// Upper bounds of the latency histogram, in seconds. Source: Prometheus's own.
const SECONDS: [f64; 9] = [0.1, 0.2, 0.4, 1.0, 3.0, 8.0, 20.0, 60.0, 120.0];

/// Metrics of the routes. Cloning shares them.
#[derive(Clone)]
pub(crate) struct Observer {
    prefix: String,
    requests: Family<Counter>,
    seconds: Family<Histogram>,
    bytes: Family<Histogram>,
}

impl Observer {
    /// Registers the metrics; names of routes are told without `prefix`.
    pub(crate) fn new(registry: &Registry, prefix: &str) -> Self {
        let by_handler = &["handler"];
        Self {
            prefix: prefix.to_owned(),
            requests: registry.counters(
                "prometheus_http_requests_total",
                "Counter of HTTP requests.",
                &["handler", "code"],
            ),
            seconds: registry.histograms(
                "prometheus_http_request_duration_seconds",
                "Histogram of latencies for HTTP requests.",
                by_handler,
                &SECONDS,
            ),
            bytes: registry.histograms(
                "prometheus_http_response_size_bytes",
                "Histogram of response size for HTTP requests.",
                by_handler,
                &exponential_buckets(100.0, 10.0, 8),
            ),
        }
    }

    /// `/api/v1/label/{name}/values` is told as `/api/v1/label/:name/values`.
    fn handler(&self, path: &str) -> String {
        let path = path.strip_prefix(&self.prefix).unwrap_or(path);
        path.replace('{', ":").replace('}', "")
    }
}

/// Watches one request. Only requests that have a route are counted, so that strangers cannot
/// make up names.
pub(crate) async fn observe(
    State(observer): State<Observer>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let Some(path) = path else {
        return next.run(request).await;
    };
    let handler = observer.handler(path.as_str());
    let begun = Instant::now();
    let response = next.run(request).await;
    let code = response.status();
    observer.requests.with(&[&handler, code.as_str()]).inc();
    let watch = Watch {
        begun,
        sent: 0,
        seconds: observer.seconds.with(&[&handler]),
        bytes: observer.bytes.with(&[&handler]),
    };
    response.map(|body| watched(body, watch))
}

/// Reports when the response was sent, or the client has gone.
struct Watch {
    begun: Instant,
    sent: u64,
    seconds: Histogram,
    bytes: Histogram,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.seconds.observe(self.begun.elapsed().as_secs_f64());
        self.bytes.observe(self.sent as f64);
    }
}

/// A body of known size is a whole that waits in memory: it counts as sent. Others are watched.
fn watched(body: Body, mut watch: Watch) -> Body {
    match body.size_hint().exact() {
        Some(size) => {
            watch.sent = size;
            body
        }
        None => Body::new(Watched { body, watch }),
    }
}

struct Watched {
    body: Body,
    watch: Watch,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.watch.sent += bytes as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_handlers() {
        let observer = Observer::new(&Registry::new(), "/prom");
        assert_eq!(
            observer.handler("/prom/api/v1/label/{name}/values"),
            "/api/v1/label/:name/values"
        );
        assert_eq!(observer.handler("/"), "/");
    }
}
