//! The queries of Prometheus's own engine benchmarks: `range/QUERY/SERIES/STEPS` is its
//! BenchmarkRangeQuery, `join/N` its BenchmarkJoinQuery.
//!
//! Range: metrics `a`, `b` and the histogram `h` with 11 buckets, each with 1 and with 100 series, and
//! a `sparse` one; 18 640 points a series, one every 10 s. Join: two metrics of 1000 instances, 5000
//! steps. The store makes samples up as they are read, so this measures the engine and not the decoding
//! of chunks. One thread. The whole table takes about two minutes; `-- range/rate` runs a part of it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main,
};
use headwater_model::{Labels, SeriesColumns, TimeRange};
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate};
use headwater_storage::{BoxFuture, Result, Select, SelectRequest, SeriesCursor, block_on};

const INTERVAL: i64 = 10_000;
const POINTS: i64 = 18_640;

/// Series whose samples are made up: every so many intervals one.
struct Made(Arc<Vec<(Labels, i64)>>);

struct MadeCursor {
    series: Arc<Vec<(Labels, i64)>>,
    found: std::vec::IntoIter<usize>,
    current: usize,
    range: TimeRange,
}

impl Select for Made {
    fn select(&self, request: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        let matches = |labels: &Labels| {
            let value = |name: &str| labels.get(name).unwrap_or("");
            request.matchers.iter().all(|m| m.matches(value(&m.name)))
        };
        let found: Vec<usize> = (0..self.0.len())
            .filter(|at| matches(&self.0[*at].0))
            .collect();
        let cursor: Box<dyn SeriesCursor> = Box::new(MadeCursor {
            series: self.0.clone(),
            found: found.into_iter(),
            current: 0,
            range: request.range,
        });
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

impl SeriesCursor for MadeCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        Ok(self.found.next().map(|at| {
            self.current = at;
            self.series[at].0.clone()
        }))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        let every = self.series[self.current].1;
        let first = (self.range.start.max(0) + INTERVAL - 1) / INTERVAL;
        let last = (self.range.end / INTERVAL).min(POINTS - 1);
        let points = (first..=last).filter(|point| point % every == 0);
        let share = self.current as f64 / self.series.len() as f64;
        for point in points {
            into.floats.times.push(point * INTERVAL);
            into.floats.values.push(point as f64 + share);
        }
        Ok(())
    }

    fn split(self: Box<Self>, _: usize) -> Vec<Box<dyn SeriesCursor>> {
        vec![self]
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.found.len())
    }
}

fn engine(series: Vec<(Labels, i64)>) -> Engine {
    let mut options = EngineOptions::default();
    options.threads = 1;
    options.max_samples = 0;
    options.parse = ParseOptions::all();
    Engine::new(Arc::new(Made(Arc::new(series))), options).unwrap()
}

fn metrics() -> Vec<(Labels, i64)> {
    let mut out = Vec::new();
    for (size, count) in [("one", 1), ("hundred", 100)] {
        for at in 0..count {
            let l = at.to_string();
            for name in ["a", "b"] {
                let name = format!("{name}_{size}");
                out.push((
                    Labels::from_pairs([("__name__", name.as_str()), ("l", &l)]),
                    1,
                ));
            }
            for bucket in 0..11 {
                let le = if bucket == 10 {
                    "+Inf".to_owned()
                } else {
                    bucket.to_string()
                };
                let name = format!("h_{size}");
                let pairs = [("__name__", name.as_str()), ("l", &l), ("le", &le)];
                out.push((Labels::from_pairs(pairs), 1));
            }
        }
    }
    out.push((Labels::from_pairs([("__name__", "sparse")]), 1000));
    out
}

/// Queries; `X` stands for the number of series. Those with steps are run with that many only.
const QUERIES: [(&str, Option<i64>); 45] = [
    ("a_X", None),
    ("rate(a_X[1m])", None),
    ("rate(a_X[1m])", Some(10_000)),
    ("rate(sparse[1m])", Some(10_000)),
    ("rate(a_X[1m] smoothed)", None),
    ("changes(a_X[1d])", None),
    ("rate(a_X[1d])", None),
    ("absent_over_time(a_X[1d])", None),
    ("double_exponential_smoothing(a_X[1d], 0.3, 0.3)", Some(100)),
    ("-a_X", None),
    ("a_X - b_X", None),
    ("a_X - b_X", Some(10_000)),
    ("a_X and b_X{l=~'.*[0-4]$'}", None),
    ("a_X or b_X{l=~'.*[0-4]$'}", None),
    ("a_X unless b_X{l=~'.*[0-4]$'}", None),
    ("a_X and b_X{l='notfound'}", None),
    ("abs(a_X)", None),
    ("label_replace(a_X, 'l2', '$1', 'l', '(.*)')", None),
    ("label_join(a_X, 'l2', '-', 'l', 'l')", None),
    ("sum(a_X)", None),
    ("avg(a_X)", None),
    ("sum without (l) (h_X)", None),
    ("sum without (le) (h_X)", None),
    ("sum by (l) (h_X)", None),
    ("sum by (le) (h_X)", None),
    ("avg by (le) (h_X)", None),
    ("min by (l) (h_X)", None),
    ("max by (l) (h_X)", None),
    ("count_values('value', h_X)", Some(100)),
    ("topk(1, a_X)", None),
    ("topk(5, a_X)", None),
    ("limitk(1, a_X)", None),
    ("limitk(5, a_X)", None),
    ("limit_ratio(0.1, a_X)", None),
    ("limit_ratio(0.5, a_X)", None),
    ("limit_ratio(-0.1, a_X)", None),
    ("limit_ratio(-0.5, a_X)", None),
    ("rate(a_X[1m]) + rate(b_X[1m])", None),
    ("sum without (l) (rate(a_X[1m]))", None),
    (
        "sum without (l) (rate(a_X[1m])) / sum without (l) (rate(b_X[1m]))",
        None,
    ),
    ("histogram_quantile(0.9, rate(h_X[5m]))", None),
    ("histogram_quantile(0.9, sum by (le) (rate(h_X[5m])))", None),
    ("a_X + on (l) group_right a_one", None),
    ("count({__name__!=''})", Some(1)),
    ("timestamp(a_X)", None),
];

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10);
    // Ten samples of as many runs each: queries that take long run ten times and not fifty-five.
    group.sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(50));
    group.measurement_time(Duration::from_millis(200));
    group.nresamples(1000);
    group
}

fn run(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    engine: &Engine,
    query: &str,
    steps: i64,
) {
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let end = (POINTS - 1) * INTERVAL;
            let start = end - (steps - 1) * INTERVAL;
            let request = EvalRequest::range(query, start, end, INTERVAL);
            black_box(block_on(engine.evaluate(request)).unwrap())
        });
    });
}

fn ranges(criterion: &mut Criterion) {
    let engine = engine(metrics());
    for size in ["one", "hundred"] {
        let mut group = group(criterion, "range");
        for (query, only) in QUERIES {
            let text = query.replace('X', size);
            let steps: &[i64] = match &only {
                Some(steps) => std::slice::from_ref(steps),
                None => &[1, 1000],
            };
            for &steps in steps {
                let id = BenchmarkId::new(&text, steps);
                run(&mut group, id, &engine, &text, steps);
            }
        }
        group.finish();
    }
}

const JOINS: [&str; 5] = [
    "success_total + errors_total",
    "success_total + on (job, instance) group_left () errors_total",
    "success_total and errors_total{instance=~'0.*'}",
    "success_total or errors_total{instance=~'0.*'}",
    "success_total unless errors_total{instance=~'0.*'}",
];

fn joins(criterion: &mut Criterion) {
    let mut series = Vec::new();
    for name in ["success_total", "errors_total"] {
        for at in 0..1000 {
            let instance = format!("{at:03}");
            let pairs = [("__name__", name), ("job", "rpc"), ("instance", &instance)];
            series.push((Labels::from_pairs(pairs), 1));
        }
    }
    let engine = engine(series);
    let mut group = group(criterion, "join");
    for query in JOINS {
        run(
            &mut group,
            BenchmarkId::from_parameter(query),
            &engine,
            query,
            5000,
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().without_plots();
    targets = ranges, joins
}
criterion_main!(benches);
