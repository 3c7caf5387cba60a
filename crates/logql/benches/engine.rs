//! Queries over lines in memory: what a pipeline and its aggregation cost a
//! line, without storage. 40 streams of 2,500 lines each of JSON (about 200
//! bytes, 9 fields), logfmt and access logs; each bench divides by the lines
//! it looks at. One thread.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headwater_logql::{Engine, EngineLimits, LogQuery};
use headwater_model::Labels;
use headwater_storage::MemoryLogs;

const LINES: i64 = 100_000;
const SECOND: i64 = 1_000_000_000;

fn store(format: &str) -> MemoryLogs {
    let store = MemoryLogs::new();
    let levels = ["debug", "info", "info", "warn", "error"];
    for n in 0..LINES {
        let app = format!("app-{}", n % 40);
        let stream = Labels::from_pairs([("app", app.as_str()), ("format", format)]);
        let (level, status) = (
            levels[n as usize % 5],
            [200, 204, 301, 404, 500][n as usize % 5],
        );
        let took = n % 2000;
        let line = match format {
            "json" => format!(
                "{{\"ts\":\"2026-11-18T10:00:00.{:03}Z\",\"level\":\"{level}\",\"msg\":\"request served\",\"status\":{status},\
                 \"duration\":{took},\"user\":{{\"id\":\"u{}\",\"plan\":\"pro\"}},\"path\":\"/api/v1/items/{}\",\"trace_id\":\"{:032x}\"}}",
                n % 1000,
                n % 5000,
                n % 300,
                n * 7919
            ),
            "logfmt" => format!(
                "ts=2026-11-18T10:00:00Z level={level} msg=\"request served\" status={status} duration={took}ms \
                 component=c{} user=u{} trace_id={:032x}",
                n % 7,
                n % 5000,
                n * 7919
            ),
            _ => format!(
                "10.0.{}.{} - - [18/Nov/2026:10:00:00 +0000] \"GET /items/{} HTTP/1.1\" {status} {took} \"-\" \"curl/8.0\"",
                n % 256,
                n % 200,
                n % 300
            ),
        };
        store.push(&stream, n * SECOND / 50, line, &Labels::empty());
    }
    store
}

fn queries(c: &mut Criterion) {
    let limits = EngineLimits::default().with_max_series(0).with_max_steps(0);
    for (name, format, text) in [
        (
            "count by app",
            "access",
            "sum by (app) (count_over_time({format=\"access\"}[1m]))",
        ),
        (
            "contains, absent",
            "access",
            "count_over_time({format=\"access\"} |= \"nosuchword\" [1m])",
        ),
        (
            "regex",
            "access",
            "count_over_time({format=\"access\"} |~ \"items/2[0-9]+ HTTP\" [1m])",
        ),
        (
            "json rate by level",
            "json",
            "sum by (level) (rate({format=\"json\"} | json [1m]))",
        ),
        (
            "json filter",
            "json",
            "{format=\"json\"} | json | status >= 500 | duration > 1990",
        ),
        (
            "logfmt avg",
            "logfmt",
            "avg_over_time({format=\"logfmt\"} | logfmt | unwrap duration(duration) [1m]) by (component)",
        ),
        (
            "pattern",
            "access",
            "sum by (status) (count_over_time({format=\"access\"} | pattern `<_> - - <_> \"<_> <_> <_>\" <status> <_>` [1m]))",
        ),
        (
            "line_format",
            "logfmt",
            "{format=\"logfmt\"} | logfmt | line_format \"{{.level}} {{.msg}}\" |= \"nothing\"",
        ),
        ("newest 100", "access", "{format=\"access\"}"),
    ] {
        let engine = Engine::new(Arc::new(store(format)), limits);
        let mut group = c.benchmark_group("engine");
        group
            .throughput(Throughput::Elements(LINES as u64))
            .sample_size(10);
        let query = LogQuery::range(text, 0, LINES * SECOND / 50 + 1, 60 * SECOND);
        group.bench_function(name, |b| {
            b.iter(|| black_box(engine.query_blocking(query.clone()).expect("an answer")));
        });
        group.finish();
    }
}

fn parse(c: &mut Criterion) {
    let text = "sum by (level) (rate({app=\"shop\",env=~\"prod|dev\"} |= \"error\" != \"timeout\" | json | status >= 500 and duration > 1s | line_format \"{{.msg}}\" [5m])) / 2";
    c.bench_function("parse 160 characters", |b| {
        b.iter(|| black_box(headwater_logql::parse(black_box(text)).expect("a query")));
    });
}

criterion_group!(benches, queries, parse);
criterion_main!(benches);
