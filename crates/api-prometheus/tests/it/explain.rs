//! How a query would be evaluated, and who asked it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use headwater_api_prometheus::{Client, Phase, router};
use headwater_env::{Env, FilesExt};
use headwater_promql::{Engine, EngineOptions, QueryLog};
use headwater_storage::MemoryStore;
use serde_json::Value;
use tower::ServiceExt;

use crate::fakes::full;

async fn get(path: &str) -> (StatusCode, Value) {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    let response = router(full(Phase::Ready))
        .oneshot(request)
        .await
        .expect("an answer");
    let status = response.status();
    let body = to_bytes(response.into_body(), 1 << 20)
        .await
        .expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[tokio::test]
async fn plans_are_explained() {
    let (status, body) = get("/api/v1/explain?query=sum(up)%2F2&time=1000").await;
    assert_eq!(
        (status, &body["status"]),
        (StatusCode::OK, &"success".into())
    );
    let plan = body["data"]["plan"].as_str().expect("a plan");
    assert!(
        plan.starts_with("vector with scalar / [1 step]  # about "),
        "{plan}"
    );
    let path = "/api/v1/explain?query=sum(up)&start=0&end=60&step=15&analyze=true";
    let (_, body) = get(path).await;
    let plan = body["data"]["plan"].as_str().expect("a plan");
    assert!(plan.contains("[5 steps of 15000 ms]  # "), "{plan}");
    assert!(plan.contains(" ms from arrival to answer"), "{plan}");
    for (query, error) in [
        ("query=up{", "unexpected end of input inside braces"),
        ("query=up&analyze=perhaps", "invalid parameter \"analyze\""),
        ("query=up&start=1&end=0&step=1", "end timestamp must not be"),
    ] {
        let (status, body) = get(&format!("/api/v1/explain?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
        assert!(
            body["error"].as_str().expect("text").contains(error),
            "{body}"
        );
    }
}

#[tokio::test]
async fn the_query_log_says_who_asked() {
    let env = Env::in_memory(1);
    let log = QueryLog::new(env.clone());
    log.set_file(Some(Path::new("/q.log"))).expect("a file");
    let mut options = EngineOptions::default();
    options.threads = 1;
    let engine = Engine::new(Arc::new(MemoryStore::new()), options).expect("threads");
    let mut parts = full(Phase::Ready);
    parts.engine = Some(Arc::new(engine.with_query_log(log)));
    let router = router(parts);
    // One thread takes jobs in order: when the second query has ended, the first is logged.
    for query in ["up", "down"] {
        let mut request = Request::get(format!("/api/v1/query?query={query}"))
            .body(Body::empty())
            .expect("a request");
        let client = Client(IpAddr::V4(Ipv4Addr::LOCALHOST));
        request.extensions_mut().insert(client);
        let response = router.clone().oneshot(request).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::OK);
    }
    let text = env.files.read(Path::new("/q.log")).expect("a log");
    let text = String::from_utf8(text).expect("text");
    let first = text.lines().next().expect("a line");
    let line: Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(line["params"]["query"], "up");
    assert_eq!(
        line["httpRequest"],
        serde_json::json!({"clientIP": "127.0.0.1", "method": "GET", "path": "/api/v1/query"})
    );
}
