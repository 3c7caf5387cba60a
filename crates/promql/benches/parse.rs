//! Text to checked tree: microseconds a query, for queries of several lengths.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headwater_promql::{ParseOptions, parse};

const QUERIES: [(&str, &str); 4] = [
    ("name", "http_requests_total"),
    (
        "rate",
        r#"sum by (job) (rate(http_requests_total{code=~"5.."}[5m]))"#,
    ),
    (
        "ratio_160",
        r#"sum by (job) (rate(http_requests_total{code=~"5..",env="prod"}[5m])) / on (job) group_left () sum by (job) (rate(http_requests_total{env="prod"}[5m])) > bool 0.01"#,
    ),
    (
        "quantile",
        r#"histogram_quantile(0.99, sum without (instance, pod) (rate(request_duration_seconds_bucket{job="api",cluster!~"test-.*"}[5m] offset 1w))) and on (job) up == 1"#,
    ),
];

fn parsing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for (name, query) in QUERIES {
        group.throughput(Throughput::Bytes(query.len() as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            query,
            |bencher, query| {
                bencher.iter(|| parse(black_box(query), ParseOptions::stable()).unwrap());
            },
        );
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
