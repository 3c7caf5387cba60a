//! Recorded exchanges with the original, replayed: statuses, headers and error texts are the same,
//! and answers have the same fields of the same types. Values are of another world and differ.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use headwater_api_prometheus::{Parts, Phase, router};
use headwater_regexp::Regex;
use tower::ServiceExt;
use tower_http::compression::CompressionLayer;

use crate::corpora::{Exchange, exchanges};
use crate::fakes::{FakeLifecycle, FakeScraping, FakeServer, full};
use crate::remote::Remote;
use crate::shape::difference;

/// Headers that must be the same; others are the server kit's or of no meaning.
const HEADERS: [&str; 9] = [
    "content-type",
    "content-encoding",
    "allow",
    "location",
    "x-content-type-options",
    "x-prometheus-stopping",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
];

/// Exchanges whose outcome is a matter of speed; another test asks the same without a race.
const RACES: [&str; 1] = ["031-query-timeout-exceeded"];

/// Exchanges that differ, by the beginning of their names, and why. One that stops differing
/// fails the test until it is taken off the list.
const EXEMPT: &[(&str, &str)] = &[
    (
        "046-query-trailing-slash",
        "the original redirects to a page that does not exist",
    ),
    (
        "118-label-values-empty-name",
        "empty path segments are no route",
    ),
    (
        "196-api-root",
        "there is nothing at the root of the API to redirect to",
    ),
    (
        "300-limits-max-samples",
        "the store of this test has no such series",
    ),
    (
        "301-limits-max-samples",
        "the store of this test has no such series",
    ),
    (
        "309-limits-read-limit",
        "the store of this test has no such series",
    ),
    ("108-labels-end-before-start", EMPTY_RANGE),
    ("131-series-end-before", EMPTY_RANGE),
    ("160-alertmanagers", NO_RULES),
    ("161-rules", NO_RULES),
    ("162-rules", NO_RULES),
    ("163-rules", NO_RULES),
    ("165-rules", NO_RULES),
    ("166-rules", NO_RULES),
    ("167-rules", NO_RULES),
    ("169-rules", NO_RULES),
    ("171-rules", NO_RULES),
    ("173-rules", NO_RULES),
    ("174-rules", NO_RULES),
    ("178-alerts", NO_RULES),
    (
        "185-status-tsdb-blocks",
        "the store of this test has a block",
    ),
    (
        "186-status-self-metrics",
        "counters here do not tell when they began",
    ),
    ("192-features", "the groups are the binary's to fill"),
    ("292-bare-features", "the groups are the binary's to fill"),
    ("201-search", NO_SEARCH),
    ("202-search", NO_SEARCH),
    ("203-search", NO_SEARCH),
    ("204-search", NO_SEARCH),
    ("205-search", NO_SEARCH),
    ("206-search", NO_SEARCH),
    ("207-search", NO_SEARCH),
    ("208-search", NO_SEARCH),
    ("209-search", NO_SEARCH),
    ("210-search", NO_SEARCH),
    ("211-search", NO_SEARCH),
    ("212-search", NO_SEARCH),
    ("213-search", NO_SEARCH),
    ("214-search", NO_SEARCH),
    ("246-otlp", NO_REMOTE),
    ("247-otlp", NO_REMOTE),
    ("248-otlp", NO_REMOTE),
    ("249-otlp", NO_REMOTE),
    ("250-otlp", NO_REMOTE),
    ("251-otlp-readback", NO_REMOTE),
    (
        "261-after-delete",
        "what is read back was written by remote write",
    ),
    (
        "262-series-after-delete",
        "what is read back was written by remote write",
    ),
    (
        "265-notifications-after-bad-reload",
        "the process of this test has nothing to tell",
    ),
    (
        "296-bare-utf8-label-values",
        "the store of this test has no such label",
    ),
    (
        "297-bare-utf8-series",
        "the store of this test has no such label",
    ),
];

const EMPTY_RANGE: &str =
    "an empty range of time has no series here; the head of the original ignores it";
const NO_RULES: &str = "there are no rules and alerts yet";
const NO_SEARCH: &str = "search is not offered yet";
const NO_REMOTE: &str = "OTLP is not offered yet";

/// The server that an exchange was recorded from.
fn server_of(id: &str, remote: &Remote) -> Router {
    let parts = match id.split('-').nth(1).unwrap_or_default() {
        "starting" => full(Phase::Starting),
        "bare" => bare(),
        "limits" => limited(),
        "agent" => agent(),
        // These follow one another on one store.
        "write" | "read" => remote.parts.clone(),
        _ if id.contains("reload-bad-config") => broken_config(),
        _ => full(Phase::Ready),
    };
    router(parts).layer(CompressionLayer::new())
}

/// Nothing enabled, nothing scraped.
fn bare() -> Parts {
    let full = full(Phase::Ready);
    let mut parts = Parts::new(Arc::new(FakeServer(Phase::Ready)));
    parts.engine = full.engine;
    parts.labels = full.labels;
    parts.samples = full.samples;
    parts.tsdb = full.tsdb;
    parts
}

fn limited() -> Parts {
    let mut parts = full(Phase::Ready);
    parts.settings.route_prefix = "/prom".to_owned();
    let origin = Regex::anchored(r"https?://ok\.example\.com").expect("an expression");
    parts.settings.cors_origin = Some(origin);
    parts.settings.remote_read_samples = 10;
    parts
}

fn agent() -> Parts {
    Parts::new(Arc::new(FakeServer(Phase::Ready)))
}

fn broken_config() -> Parts {
    let mut parts = full(Phase::Ready);
    parts.lifecycle = Some(Arc::new(FakeLifecycle {
        reload_error: Some("couldn't load configuration (--config.file=\"prometheus.yml\"): parsing YAML file prometheus.yml: yaml: unmarshal errors:\n  line 79: field nonsense not found in type config.plain".to_owned()),
        ..FakeLifecycle::default()
    }));
    parts.scraping = Arc::new(FakeScraping);
    parts
}

#[tokio::test]
async fn answers_as_the_original() {
    let Some(exchanges) = exchanges() else { return };
    let (mut same, mut exempted, mut wrong) = (0, 0, Vec::new());
    let remote = Remote::new();
    let races = |exchange: &Exchange| RACES.contains(&exchange.id.as_str());
    for exchange in exchanges.iter().filter(|exchange| !races(exchange)) {
        let reason = EXEMPT.iter().find(|(id, _)| exchange.id.starts_with(id));
        match (differs(exchange, &remote).await, reason) {
            (None, None) => same += 1,
            (Some(_), Some(_)) => exempted += 1,
            (Some(how), None) => wrong.push(format!("{}: {how}", exchange.id)),
            (None, Some((_, why))) => wrong.push(format!(
                "{}: is exempt ({why}) but no longer differs",
                exchange.id
            )),
        }
    }
    let total = exchanges.len();
    println!(
        "api: {same} as the original, {exempted} exempt, {} races left out, {} wrong, of {total}",
        RACES.len(),
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

async fn differs(exchange: &Exchange, remote: &Remote) -> Option<String> {
    let mut request = Request::builder()
        .method(exchange.method.as_str())
        .uri(encoded(&exchange.path));
    for (name, value) in &exchange.headers {
        request = request.header(name, value);
    }
    let body = exchange.body.clone().map_or_else(Body::empty, Body::from);
    let request = request.body(body).expect("a request");
    let response = server_of(&exchange.id, remote)
        .oneshot(request)
        .await
        .expect("an answer");
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let body = to_bytes(response.into_body(), 1 << 24)
        .await
        .expect("a body");
    if status != exchange.status {
        let text = String::from_utf8_lossy(&body).into_owned();
        return Some(format!("status {status}, not {}: {text}", exchange.status));
    }
    header_difference(exchange, &headers).or_else(|| body_difference(exchange, &headers, &body))
}

/// Recorded paths may hold characters that an address may not.
fn encoded(path: &str) -> String {
    path.replace('{', "%7B").replace('}', "%7D")
}

fn header_difference(exchange: &Exchange, headers: &HeaderMap) -> Option<String> {
    let theirs = exchange.answer_headers.as_object()?;
    let compared = HEADERS.iter().filter(|name| match **name {
        // An answer to HEAD may well say what GET would get.
        "content-type" => exchange.method != "HEAD",
        // Every 405 should have it; the original forgets it on some routes.
        "allow" => theirs.contains_key("Allow"),
        _ => true,
    });
    compared.into_iter().find_map(|name| {
        let theirs = theirs
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        let theirs = theirs.and_then(|(_, value)| value.as_str());
        let ours = headers.get(*name).and_then(|value| value.to_str().ok());
        (ours != theirs).then(|| format!("{name} is {ours:?}, not {theirs:?}"))
    })
}

/// Where the answer to a path holds a map.
fn map_in(path: &str) -> Option<&'static str> {
    let endpoint = path.split('?').next()?;
    let found = ["/series", "/flags", "/v1/metadata"];
    found
        .iter()
        .any(|end| endpoint.ends_with(end))
        .then_some(".data")
}

fn body_difference(exchange: &Exchange, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if headers.contains_key("content-encoding") {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    if let Some(theirs) = &exchange.json {
        let ours: serde_json::Value = match serde_json::from_slice(body) {
            Ok(ours) => ours,
            Err(error) => return Some(format!("{error}: {text}")),
        };
        for exact in ["status", "errorType", "error", "warnings"] {
            if theirs.get(exact) != ours.get(exact) {
                return Some(format!("{exact}: {} not {}", ours[exact], theirs[exact]));
            }
        }
        return difference(theirs, &ours, map_in(&exchange.path));
    }
    let theirs = exchange.text.as_deref()?;
    let samples = exchange.path.contains("/federate") && exchange.status == 200;
    let page = headers
        .get("content-type")
        .is_some_and(|kind| kind == "text/html; charset=utf-8");
    match (samples, page) {
        (true, _) => (theirs.is_empty() != text.is_empty())
            .then(|| format!("body is {text:?}, not {theirs:?}")),
        (false, _) if exchange.path.contains("/version") => None,
        _ => (theirs != text).then(|| format!("body is {text:?}, not {theirs:?}")),
    }
}
