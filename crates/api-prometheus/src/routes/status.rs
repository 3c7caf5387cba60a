//! `/api/v1/status/…` and `/version`.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::params::go_int;
use crate::parts::RuntimeInfo;
use crate::routes::query::agent_only;
use crate::state::Api;
use crate::time::format_rfc3339;

/// Entries of each list of the store's statistics, unless asked for otherwise.
const DEFAULT_TSDB_LIMIT: usize = 10;
/// The most entries of each list.
const MAX_TSDB_LIMIT: i64 = 10_000;

/// The configuration in use.
pub(crate) async fn config(State(api): State<Api>) -> Response {
    success(&json!({"yaml": api.parts.server.config()}))
}

/// Flags of the command line.
pub(crate) async fn flags(State(api): State<Api>) -> Response {
    success(&api.parts.server.flags())
}

/// How the server runs.
pub(crate) async fn runtime(State(api): State<Api>) -> Response {
    success(&RuntimeInfo {
        server_time: format_rfc3339(api.parts.clock.unix_nanos()),
        ..api.parts.server.runtime()
    })
}

/// What the server was built from.
pub(crate) async fn build(State(api): State<Api>) -> Response {
    success(&api.parts.server.build())
}

/// The same, without the envelope; the type of the content is that of the original.
pub(crate) async fn version(State(api): State<Api>) -> Response {
    let text = serde_json::to_string(&api.parts.server.build()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

/// Cardinality of the head.
pub(crate) async fn tsdb(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let limit = tsdb_limit(&form)?;
    let view = api.parts.tsdb.clone().ok_or_else(agent_only)?;
    let stats = api.read(async move |_| Ok(view.stats(limit)?)).await?;
    Ok(success(&stats))
}

fn tsdb_limit(form: &Form) -> Result<usize, ApiError> {
    match form.first("limit") {
        "" => Ok(DEFAULT_TSDB_LIMIT),
        text => match go_int(text) {
            Ok(limit) if limit > MAX_TSDB_LIMIT => Err(ApiError::bad_data(format_args!(
                "limit must not exceed {MAX_TSDB_LIMIT}"
            ))),
            Ok(limit) if limit > 0 => Ok(usize::try_from(limit).unwrap_or(DEFAULT_TSDB_LIMIT)),
            _ => Err(ApiError::bad_data("limit must be a positive number")),
        },
    }
}

/// Blocks on disk.
pub(crate) async fn blocks(State(api): State<Api>) -> Result<Response, ApiError> {
    let view = api.parts.tsdb.clone().ok_or_else(agent_only)?;
    let blocks = api.read(async move |_| Ok(view.blocks()?)).await?;
    Ok(success(&json!({"blocks": blocks})))
}

/// Blocks of which something is damaged; not in Prometheus, which does not start with them.
pub(crate) async fn damaged_blocks(State(api): State<Api>) -> Result<Response, ApiError> {
    let view = api.parts.tsdb.clone().ok_or_else(agent_only)?;
    let blocks = api.read(async move |_| Ok(view.damaged_blocks()?)).await?;
    Ok(success(&json!({"damagedBlocks": blocks})))
}

/// How far the log was replayed; answers while the server starts.
pub(crate) async fn replay(State(api): State<Api>) -> Response {
    let replay = api.parts.tsdb.as_ref().map(|view| view.replay());
    success(&replay.unwrap_or_default())
}

/// What operators should know now; answers while the server starts.
pub(crate) async fn notifications(State(api): State<Api>) -> Response {
    success(&api.parts.server.notifications())
}
