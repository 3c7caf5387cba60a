//! Too much, too long, too early, gone away.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use headwater_api_prometheus::{MAX_FORM_BYTES, Parts, Phase, router};
use headwater_model::{Labels, SeriesColumns};
use headwater_query::{Answer, CancelToken, EvalRequest, Evaluate, QueryError, RangeSeries, Value};
use headwater_storage::BoxFuture;
use tower::ServiceExt;

use crate::fakes::{NOW, full};

async fn get(router: &Router, path: &str) -> Response<Body> {
    let request = Request::get(path).body(Body::empty()).expect("a request");
    router.clone().oneshot(request).await.expect("an answer")
}

async fn post(router: &Router, path: &str, form: String) -> Response<Body> {
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form))
        .expect("a request");
    router.clone().oneshot(request).await.expect("an answer")
}

async fn text(response: Response<Body>) -> String {
    let bytes = to_bytes(response.into_body(), 1 << 30)
        .await
        .expect("a body");
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn with_engine(engine: impl Evaluate + 'static) -> Router {
    let mut parts = full(Phase::Ready);
    parts.engine = Some(Arc::new(engine));
    router(parts)
}

#[tokio::test]
async fn a_megabyte_of_parentheses_is_refused() {
    let router = router(full(Phase::Ready));
    let form = format!("query={}", "(".repeat(1 << 20));
    for path in [
        "/api/v1/query",
        "/api/v1/format_query",
        "/api/v1/query_exemplars",
    ] {
        let response = post(&router, path, form.clone()).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let text = text(response).await;
        assert!(
            text.contains("parse error") && text.len() < 1000,
            "{path}: {text}"
        );
    }
    let form = format!("match[]={}", "(".repeat(1 << 20));
    let response = post(&router, "/api/v1/series", form).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
}

/// How deep an engine plans is its own affair and tested there.
#[tokio::test]
async fn long_chains_of_operators_are_read_or_refused() {
    let router = router(full(Phase::Ready));
    for length in [10, 990, 100_000] {
        let form = format!("query=up{}", "%2fup".repeat(length));
        for path in ["format_query", "parse_query", "query_exemplars"] {
            let response = post(&router, &format!("/api/v1/{path}"), form.clone()).await;
            let status = response.status();
            let refused = status == StatusCode::BAD_REQUEST;
            assert_eq!(refused, length > 1000, "{path} of {length}: {status}");
        }
    }
}

#[tokio::test]
async fn forms_and_selectors_have_bounds() {
    let router = router(full(Phase::Ready));
    let response = post(&router, "/api/v1/query", "a".repeat(MAX_FORM_BYTES + 1)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(text(response).await.contains("at most 10485760 bytes"));

    let response = post(&router, "/api/v1/series", "match[]=up&".repeat(2000)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        text(response)
            .await
            .contains("more than 1024 match[] parameters")
    );

    let response = post(&router, "/api/v1/labels", "x=1&".repeat(20_000)).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_billion_steps_are_refused() {
    let router = router(full(Phase::Ready));
    let path = format!("/api/v1/query_range?query=up&start=0&end={NOW}&step=1");
    let response = get(&router, &path).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(
        text(response)
            .await
            .contains("exceeded maximum resolution of 11,000 points")
    );
}

#[tokio::test]
async fn extreme_times_are_answered() {
    let router = router(full(Phase::Ready));
    for time in [
        "1e300",
        "-1e300",
        "NaN",
        "Inf",
        "-Inf",
        "9223372036854775.807",
    ] {
        let response = get(&router, &format!("/api/v1/query?query=time()&time={time}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{time}");
        let path = format!("/api/v1/labels?start={time}&end={time}");
        assert_eq!(get(&router, &path).await.status(), StatusCode::OK, "{time}");
    }
}

/// Never answers; says when it was asked to stop.
#[derive(Clone, Default)]
struct Stuck {
    begun: Arc<tokio::sync::Notify>,
    token: Arc<std::sync::Mutex<Option<CancelToken>>>,
}

impl Evaluate for Stuck {
    fn evaluate(&self, request: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        *self.token.lock().expect("a token") = Some(request.cancel);
        self.begun.notify_one();
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_query() {
    let engine = Stuck::default();
    let router = with_engine(engine.clone());
    let asking = tokio::spawn(async move { get(&router, "/api/v1/query?query=up").await });
    engine.begun.notified().await;
    let token = engine
        .token
        .lock()
        .expect("a token")
        .clone()
        .expect("a token");
    assert!(token.check("waiting").is_ok());
    asking.abort();
    assert!(asking.await.expect_err("it was aborted").is_cancelled());
    let error = token.check("waiting").expect_err("canceled");
    assert_eq!(error.to_string(), "query was canceled in waiting");
}

#[tokio::test]
async fn a_timeout_of_the_request_reaches_the_engine() {
    let engine = Stuck::default();
    let router = with_engine(engine.clone());
    let path = "/api/v1/query?query=up&timeout=0";
    let asking = tokio::spawn(async move { get(&router, path).await });
    engine.begun.notified().await;
    let token = engine
        .token
        .lock()
        .expect("a token")
        .clone()
        .expect("a token");
    let error = token.check("waiting").expect_err("too late");
    assert_eq!(error.to_string(), "query timed out in waiting");
    asking.abort();
}

/// Answers with a matrix of many points.
struct Large;

const SERIES: usize = 50;
const POINTS: usize = 11_000;

impl Evaluate for Large {
    fn evaluate(&self, _: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        let series = (0..SERIES).map(|at| {
            let mut columns = SeriesColumns::default();
            for time in 0..POINTS {
                columns.floats.push(time as i64 * 1000, 0.5 + at as f64);
            }
            RangeSeries {
                labels: Labels::from_pairs([("n", at.to_string())]),
                columns,
            }
        });
        let value = Value::Matrix(series.collect());
        let answer = Answer {
            value,
            ..Answer::default()
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[tokio::test]
async fn large_answers_come_in_pieces() {
    let router = with_engine(Large);
    let response = get(
        &router,
        "/api/v1/query_range?query=up&start=0&end=10999&step=1",
    )
    .await;
    assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
    let body: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
    let result = body["data"]["result"].as_array().expect("a list");
    assert_eq!(result.len(), SERIES);
    for (at, series) in result.iter().enumerate() {
        let values = series["values"].as_array().expect("a list");
        assert_eq!(values.len(), POINTS);
        assert_eq!(
            values[POINTS - 1],
            serde_json::json!([10_999, format!("{}", 0.5 + at as f64)])
        );
    }
}

#[tokio::test]
async fn a_stopping_server_says_so() {
    let router = router(full(Phase::Stopping));
    let response = get(&router, "/-/ready").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["x-prometheus-stopping"], "true");
    assert_eq!(get(&router, "/-/healthy").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn quitting_twice_asks_once() {
    let router = router(full(Phase::Ready));
    let first = text(post(&router, "/-/quit", String::new()).await).await;
    assert_eq!(first, "Requesting termination... Goodbye!");
    let second = text(post(&router, "/-/quit", String::new()).await).await;
    assert_eq!(second, "Termination already in progress.");
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let parts = full(Phase::Ready);
    let router = router(parts.clone());
    get(&router, "/api/v1/label/job/values").await;
    get(&router, "/api/v1/query?query=(").await;
    get(&router, "/no/such/path").await;
    let router = self::router(parts);
    get(&router, "/api/v1/query?query=(").await;
    let metrics = text(get(&router, "/metrics").await).await;
    for line in [
        "prometheus_http_requests_total{handler=\"/api/v1/label/:name/values\",code=\"200\"} 1\n",
        "prometheus_http_requests_total{handler=\"/api/v1/query\",code=\"400\"} 2\n",
        "prometheus_http_request_duration_seconds_count{handler=\"/api/v1/query\"} 2\n",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    assert!(!metrics.contains("/no/such"), "{metrics}");
}

#[tokio::test]
async fn pages_are_cached_by_content() {
    let mut parts: Parts = full(Phase::Ready);
    parts.settings.page_title = "<Ours>".to_owned();
    let router = router(parts);
    let page = get(&router, "/query").await;
    let tag = page.headers()[header::ETAG].clone();
    assert!(text(page).await.contains("<title>&lt;Ours&gt;</title>"));
    let again = Request::get("/query").header(header::IF_NONE_MATCH, tag);
    let again = again.body(Body::empty()).expect("a request");
    let again = router.clone().oneshot(again).await.expect("an answer");
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(text(again).await, "");
}

#[tokio::test]
async fn pages_name_only_files_that_exist() {
    let router = router(full(Phase::Ready));
    let page = text(get(&router, "/query").await).await;
    let mut seen = 0;
    for part in page.split('"').filter(|part| part.starts_with("assets/")) {
        let response = get(&router, &format!("/{part}")).await;
        assert_eq!(response.status(), StatusCode::OK, "{part}");
        let body = text(response).await;
        for import in body.split("from \"./").skip(1) {
            let name = import.split('"').next().expect("a name");
            let found = get(&router, &format!("/assets/{name}")).await;
            assert_eq!(found.status(), StatusCode::OK, "{name}");
        }
        seen += 1;
    }
    assert_eq!(seen, 2);
}

/// Fails by its own fault.
struct Broken;

impl Evaluate for Broken {
    fn evaluate(&self, _: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        Box::pin(std::future::ready(Err(QueryError::new(
            headwater_query::QueryErrorKind::Internal,
            "a bug",
        ))))
    }
}

#[tokio::test]
async fn internal_errors_are_500() {
    let response = get(&with_engine(Broken), "/api/v1/query?query=up").await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = text(response).await;
    assert_eq!(
        body,
        r#"{"status":"error","errorType":"internal","error":"a bug"}"#
    );
}
