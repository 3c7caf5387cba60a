//! What operators ask: readiness, services, settings, metrics, flushing.

use std::fmt::Write;
use std::sync::atomic::Ordering;

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

/// YAML, under the content type that Loki gives it.
fn yaml(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

pub(crate) async fn config(State(api): State<Api>, form: Form) -> Response {
    yaml(api.parts.status.config(form.first("mode")))
}

/// The tenant that a request names; that it need not name one does not help here.
fn named(headers: &HeaderMap) -> Result<String, ApiError> {
    Ok(headwater_http::tenant(headers)?)
}

/// The limits of a tenant.
pub(crate) async fn tenant_limits(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limits = api.limits(&named(&headers)?);
    let text = headwater_yaml::to_string(&*limits).map_err(ApiError::internal)?;
    Ok(yaml(text))
}

/// The limits that Grafana's Logs Drilldown asks for before it shows anything.
pub(crate) async fn drilldown_limits(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let limits = api.limits(&named(&headers)?);
    let limits = json!({
        "discover_log_levels": limits.discover_log_levels,
        "discover_service_name": limits.discover_service_name,
        "log_level_fields": limits.log_level_fields,
        "max_entries_limit_per_query": limits.max_entries_limit_per_query,
        "max_line_size_truncate": limits.max_line_size_truncate,
        "max_query_bytes_read": "0B",
        "max_query_length": limits.max_query_length,
        "max_query_lookback": limits.max_query_lookback,
        "max_query_range": limits.max_query_range,
        "max_query_series": limits.max_query_series,
        "metric_aggregation_enabled": false,
        "otlp_config": limits.otlp_config,
        "pattern_persistence_enabled": false,
        "query_timeout": limits.query_timeout,
        "retention_period": "0s",
        "volume_enabled": limits.volume_enabled,
        "volume_max_series": limits.volume_max_series,
    });
    let body = json!({
        "limits": limits,
        "pattern_ingester_enabled": false,
        "version": env!("CARGO_PKG_VERSION"),
    });
    Ok(as_json(&body))
}

fn as_json(body: &serde_json::Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, body.to_string()).into_response()
}

/// What is logged.
pub(crate) async fn log_level(State(api): State<Api>) -> Response {
    let level = api.parts.status.log_level();
    let body = json!({ "message": format!("Current log level is {level}") });
    (
        [(header::CONTENT_TYPE, "application/json; charset=utf-8")],
        body.to_string(),
    )
        .into_response()
}

/// Logs more or less from now on.
pub(crate) async fn set_log_level(State(api): State<Api>, form: Form) -> Response {
    let level = form.first("log_level");
    let (status, body) = match api.parts.status.set_log_level(level) {
        Ok(()) => (
            StatusCode::OK,
            json!({ "status": "success", "message": format!("Log level set to {level}") }),
        ),
        Err(why) => (
            StatusCode::BAD_REQUEST,
            json!({ "status": "failed", "message": why }),
        ),
    };
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, body.to_string()).into_response()
}

/// The ring is not gossiped about.
pub(crate) async fn memberlist() -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain")];
    (kind, "This instance doesn't use memberlist.").into_response()
}

/// Whether a shutdown is prepared. Everything is written to parts whenever the server ends, so that the
/// mark changes nothing; operators' scripts set it and look at it.
pub(crate) async fn shutdown_prepared(State(api): State<Api>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain")];
    let text = match api.shutdown_prepared.load(Ordering::Relaxed) {
        true => "set",
        false => "unset",
    };
    (kind, text).into_response()
}

pub(crate) async fn prepare_shutdown(State(api): State<Api>) -> StatusCode {
    api.shutdown_prepared.store(true, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

pub(crate) async fn forget_shutdown(State(api): State<Api>) -> StatusCode {
    api.shutdown_prepared.store(false, Ordering::Relaxed);
    StatusCode::NO_CONTENT
}

pub(crate) async fn build() -> Response {
    as_json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
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
