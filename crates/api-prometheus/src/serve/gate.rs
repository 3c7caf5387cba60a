//! Before the server is ready, and while it stops, most routes do not answer.

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use crate::parts::Phase;
use crate::serve::plain::text;
use crate::state::Api;

/// Tells load balancers whether it is worth coming back.
const STOPPING: HeaderName = HeaderName::from_static("x-prometheus-stopping");

/// Lets requests through once the server is ready.
pub(crate) async fn ready_only(State(api): State<Api>, request: Request, next: Next) -> Response {
    let stopping = match api.phase() {
        Phase::Ready => return next.run(request).await,
        Phase::Starting => "false",
        Phase::Stopping => "true",
    };
    let mut response = text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
    response
        .headers_mut()
        .insert(STOPPING, HeaderValue::from_static(stopping));
    response
}
