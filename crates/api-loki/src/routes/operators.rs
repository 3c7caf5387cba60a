//! What operators ask: readiness, services, settings, metrics, flushing.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_exposition::{content_type, negotiate, write_body};
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::state::Api;

pub(crate) async fn ready(State(api): State<Api>) -> Result<&'static str, ApiError> {
    match api.parts.status.ready() {
        Ok(()) => Ok("ready\n"),
        Err(why) => Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why).ending_the_line()),
    }
}

pub(crate) async fn services(State(api): State<Api>) -> String {
    let mut out = String::new();
    for service in api.parts.status.services() {
        let _ = writeln!(out, "{} => {}", service.name, service.state);
    }
    out
}

pub(crate) async fn config(State(api): State<Api>, form: Form) -> Response {
    let yaml = api.parts.status.config(form.first("mode"));
    ([(header::CONTENT_TYPE, "text/yaml; charset=utf-8")], yaml).into_response()
}

/// The limits of whoever asks.
pub(crate) async fn tenant_limits(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limits = api.limits(&api.tenant(&headers)?);
    let yaml = headwater_yaml::to_string(&*limits).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/yaml; charset=utf-8")], yaml).into_response())
}

pub(crate) async fn build() -> Response {
    let body = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    });
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// Writes what is in memory to parts, now.
pub(crate) async fn flush(State(api): State<Api>) -> Result<StatusCode, ApiError> {
    let flushed = api.read(|api| api.store().flush().map_err(ApiError::internal));
    flushed.await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn metrics(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let (protocol, escaping) = negotiate(accept.unwrap_or(""));
    // Some values are asked for when they are told, and may take a while.
    let body =
        api.read(move |api| Ok(write_body(&api.parts.registry.gather(), protocol, escaping)));
    let kind = [(header::CONTENT_TYPE, content_type(protocol, escaping))];
    Ok((kind, body.await?).into_response())
}
