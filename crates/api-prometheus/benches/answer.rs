//! Writing the answer of a range query: 200 series of 1000 points each, from the engine's columns to
//! the bytes of the body, through the whole router. The engine hands out a copy of a ready matrix,
//! so what is measured is JSON, and the copy (some 3 MB) beside it.
//!
//! `whole` are counters (whole numbers), `fractions` are rates (17 digits), which are the common
//! best and worst case of a dashboard.

use std::hint::black_box;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_api_prometheus::{BuildInfo, Parts, Phase, RuntimeInfo, Server, router};
use headwater_model::{Labels, SeriesColumns};
use headwater_query::{Answer, EvalRequest, Evaluate, QueryError, RangeSeries, Value};
use headwater_storage::BoxFuture;
use http_body_util::BodyExt;
use tower::ServiceExt;

const SERIES: usize = 200;
const POINTS: usize = 1000;

struct Process;

impl Server for Process {
    fn phase(&self) -> Phase {
        Phase::Ready
    }

    fn build(&self) -> BuildInfo {
        BuildInfo::default()
    }

    fn runtime(&self) -> RuntimeInfo {
        RuntimeInfo::default()
    }
}

struct Ready(Vec<RangeSeries>);

impl Evaluate for Ready {
    fn evaluate(&self, _: EvalRequest) -> BoxFuture<'_, Result<Answer, QueryError>> {
        let answer = Answer {
            value: Value::Matrix(self.0.clone()),
            ..Answer::default()
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

fn matrix(value: impl Fn(usize, usize) -> f64) -> Vec<RangeSeries> {
    let series = |at: usize| {
        let mut columns = SeriesColumns::default();
        for step in 0..POINTS {
            columns
                .floats
                .push(1_795_144_602_000 + step as i64 * 15_000, value(at, step));
        }
        let instance = format!("host-{at}.example.com:9100");
        RangeSeries {
            labels: Labels::from_pairs([
                ("__name__", "m"),
                ("instance", &instance),
                ("job", "node"),
            ]),
            columns,
        }
    };
    (0..SERIES).map(series).collect()
}

/// Takes the body piece by piece, as a connection does.
async fn drain(mut body: Body) -> usize {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.expect("a piece");
        bytes += frame.data_ref().map_or(0, |data| black_box(data).len());
    }
    bytes
}

fn answers(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let mut group = criterion.benchmark_group("range_answer");
    group.throughput(Throughput::Elements((SERIES * POINTS) as u64));
    let whole = matrix(|at, step| (at * 1_000_003 + step * 17) as f64);
    let fractions = matrix(|at, step| (at + step + 1) as f64 / 7.3);
    for (name, matrix) in [("whole", whole), ("fractions", fractions)] {
        let mut parts = Parts::new(Arc::new(Process));
        parts.engine = Some(Arc::new(Ready(matrix)));
        let router = router(parts);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let path = "/api/v1/query_range?query=m&start=0&end=15000&step=15";
                let request = Request::get(path).body(Body::empty()).expect("a request");
                let bytes = runtime.block_on(async {
                    let response = router.clone().oneshot(request).await.expect("an answer");
                    drain(response.into_body()).await
                });
                black_box(bytes)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, answers);
criterion_main!(benches);
