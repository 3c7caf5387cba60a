//! Counts requests: how many, how long.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use headwater_exposition::registry::{Family, Histogram, Registry};

/// Upper bounds in seconds. Source: Loki's own.
const SECONDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

#[derive(Clone)]
pub(crate) struct Observer(Family<Histogram>);

impl Observer {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self(registry.histograms(
            "loki_request_duration_seconds",
            "Time (in seconds) spent serving HTTP requests.",
            &["method", "route", "status_code", "ws"],
            &SECONDS,
        ))
    }
}

/// Watches one request. Only requests that have a route are counted, so that strangers cannot make up names.
pub(crate) async fn observe(
    State(observer): State<Observer>,
    path: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let Some(path) = path else {
        return next.run(request).await;
    };
    // Loki's spelling: loki_api_v1_query_range.
    let route = path
        .as_str()
        .trim_start_matches('/')
        .replace(['/', '{', '}'], "_");
    let method = request.method().clone();
    let begun = Instant::now();
    let response = next.run(request).await;
    let websocket = response.status().as_u16() == 101;
    let status = response.status();
    let labels = [
        method.as_str(),
        &route,
        status.as_str(),
        if websocket { "true" } else { "false" },
    ];
    observer
        .0
        .with(&labels)
        .observe(begun.elapsed().as_secs_f64());
    response
}
