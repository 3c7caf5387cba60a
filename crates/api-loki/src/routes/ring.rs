//! `/ring`: who keeps which entries.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use crate::form::Form;
use crate::json;
use crate::state::Api;
use crate::time::{SECOND, rfc3339};

/// As a page, or as JSON for those who ask for it.
pub(crate) async fn show(State(api): State<Api>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let (desc, now) = (api.parts.status.ring(), api.now());
    let timeout = api.parts.settings.heartbeat_timeout_seconds;
    let seconds = now / SECOND;
    let time = |seconds: i64| rfc3339(seconds.saturating_mul(SECOND));
    if accept.is_some_and(|accept| accept.contains("json")) {
        let shards: Vec<_> = desc
            .instances
            .iter()
            .map(|(id, one)| {
                json!({
                    "id": id,
                    "state": one.shown_state(seconds, timeout),
                    "address": one.address,
                    "timestamp": time(one.heartbeat),
                    "registered_timestamp": time(one.registered),
                    "read_only": one.read_only,
                    "zone": one.zone,
                    "tokens": one.tokens,
                })
            })
            .collect();
        return json::json(json!({ "shards": shards, "now": rfc3339(now) }).to_string());
    }
    let mut rows = String::new();
    for (id, one) in &desc.instances {
        let id = escaped(id);
        let _ = write!(
            rows,
            "<tr><td>{id}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td><form method=post><button name=forget value=\"{id}\">Forget</button></form></td></tr>",
            one.shown_state(seconds, timeout),
            escaped(&one.address),
            escaped(&one.zone),
            time(one.heartbeat),
            one.tokens.len(),
        );
    }
    Html(format!(
        "<!doctype html><title>Ring</title><h1>Ring of ingesters</h1><p>{}</p><table><tr><th>Instance<th>State<th>Address<th>Zone<th>Last heartbeat<th>Tokens<th></tr>{rows}</table>",
        rfc3339(now)
    ))
    .into_response()
}

/// Forgets a member that does not come back.
pub(crate) async fn forget(State(api): State<Api>, form: Form) -> Response {
    if let Some(member) = form.given("forget") {
        api.parts.status.forget(member);
    }
    (StatusCode::FOUND, [(header::LOCATION, "/ring")]).into_response()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
