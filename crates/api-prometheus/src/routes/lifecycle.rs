//! `/-/healthy`, `/-/ready`, `/-/reload` and `/-/quit`, with the words of the original.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::parts::Lifecycle;
use crate::serve::plain::{error_text, text};
use crate::state::Api;

/// The process lives.
pub(crate) async fn healthy() -> Response {
    text(StatusCode::OK, "Prometheus Server is Healthy.\n")
}

/// The server answers questions; the gate before this route says so when it does not.
pub(crate) async fn ready() -> Response {
    text(StatusCode::OK, "Prometheus Server is Ready.\n")
}

/// Reads the configuration again.
pub(crate) async fn reload(State(api): State<Api>, method: Method) -> Response {
    if method == Method::GET {
        return only_post();
    }
    let Some(lifecycle) = enabled(&api) else {
        return not_enabled();
    };
    match lifecycle.reload().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => error_text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to reload config: {error}\n"),
        ),
    }
}

/// Asks the process to stop.
pub(crate) async fn quit(State(api): State<Api>, method: Method) -> Response {
    if method == Method::GET {
        return only_post();
    }
    match enabled(&api) {
        None => not_enabled(),
        Some(lifecycle) if lifecycle.quit() => {
            text(StatusCode::OK, "Requesting termination... Goodbye!")
        }
        Some(_) => text(StatusCode::OK, "Termination already in progress."),
    }
}

fn enabled(api: &Api) -> Option<Arc<dyn Lifecycle>> {
    api.parts.lifecycle.clone()
}

fn not_enabled() -> Response {
    text(StatusCode::FORBIDDEN, "Lifecycle API is not enabled.")
}

fn only_post() -> Response {
    text(
        StatusCode::METHOD_NOT_ALLOWED,
        "Only POST or PUT requests allowed",
    )
}
