//! Range queries over an in-memory store: milliseconds a query.
//!
//! Data as in Prometheus's own range query benchmark: series with 1, 100 and 10 000 label values, a
//! sample every 10 s with a growing value, a counter histogram with ten buckets per series. Queries
//! cover the last hour in steps of 10 s. The store has everything in memory, uncompressed: this
//! measures the engine and not the decoding of chunks. One thread.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions};
use headwater_query::{EvalRequest, Evaluate};
use headwater_storage::{Append, AppendOptions, MemoryStore, SampleValue, block_on};

const INTERVAL: i64 = 10_000;
/// Twelve minutes more than an hour, so that windows of five minutes are full.
const SAMPLES: i64 = 432;

fn store(series: usize) -> MemoryStore {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).unwrap();
    for at in 0..series {
        for name in ["a", "b"] {
            let labels = Labels::from_pairs([
                ("__name__", format!("{name}_total")),
                ("instance", format!("host-{at}")),
                ("job", format!("job-{}", at % 10)),
            ]);
            let into = batch.series(&labels).unwrap();
            for sample in 0..SAMPLES {
                let value = SampleValue::Float((sample * (at as i64 + 1)) as f64);
                batch.append(into, sample * INTERVAL, 0, value).unwrap();
            }
        }
        if at % 10 == 0 {
            for bucket in 0..10 {
                let labels = Labels::from_pairs([
                    ("__name__", "h_bucket".to_owned()),
                    ("instance", format!("host-{at}")),
                    (
                        "le",
                        if bucket == 9 {
                            "+Inf".to_owned()
                        } else {
                            format!("{bucket}")
                        },
                    ),
                ]);
                let into = batch.series(&labels).unwrap();
                for sample in 0..SAMPLES {
                    let value = SampleValue::Float((sample * (bucket + 1)) as f64);
                    batch.append(into, sample * INTERVAL, 0, value).unwrap();
                }
            }
        }
    }
    batch.commit().unwrap().wait().unwrap();
    store
}

const QUERIES: [(&str, &str); 13] = [
    ("select", "a_total"),
    ("rate", "rate(a_total[5m])"),
    ("sum_rate_by", "sum by (job) (rate(a_total[5m]))"),
    ("sum", "sum(a_total)"),
    ("max_over_time", "max_over_time(a_total[5m])"),
    ("quantile_over_time", "quantile_over_time(0.9, a_total[5m])"),
    ("subquery", "max_over_time(rate(a_total[5m])[10m:1m])"),
    ("arithmetic", "-a_total * 2 + 1"),
    ("join", "a_total / b_total"),
    (
        "join_group",
        "a_total / on (job) group_left () sum by (job) (b_total)",
    ),
    ("and", "a_total and b_total"),
    ("topk", "topk(5, a_total)"),
    (
        "histogram_quantile",
        "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))",
    ),
];

fn ranges(criterion: &mut Criterion) {
    for series in [1, 100, 10_000] {
        let mut options = EngineOptions::default();
        options.threads = 1;
        options.max_samples = 0;
        let engine = Engine::new(Arc::new(store(series)), options).unwrap();
        let mut group = criterion.benchmark_group(format!("range/{series}"));
        group.sample_size(10);
        group.warm_up_time(Duration::from_millis(300));
        group.measurement_time(Duration::from_secs(if series > 1000 { 3 } else { 1 }));
        for (name, query) in QUERIES {
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| {
                    let end = (SAMPLES - 1) * INTERVAL;
                    let request = EvalRequest::range(query, end - 3_600_000, end, INTERVAL);
                    black_box(block_on(engine.evaluate(request)).unwrap())
                });
            });
        }
        group.finish();
    }
}

fn instants(criterion: &mut Criterion) {
    let engine = Engine::new(Arc::new(store(10_000)), EngineOptions::default()).unwrap();
    let mut group = criterion.benchmark_group("instant/10000");
    group.sample_size(10);
    for (name, query) in QUERIES {
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| {
                let request = EvalRequest::instant(query, (SAMPLES - 1) * INTERVAL);
                black_box(block_on(engine.evaluate(request)).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, ranges, instants);
criterion_main!(benches);
