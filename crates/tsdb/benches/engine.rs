//! The hot paths of the store, in nanoseconds per sample.
//!
//! Data: series of eight labels (targets of 100 series), one sample each per
//! round, 15 s apart; four in ten are integer counters, the rest gauges with
//! two decimals, as scraped from real targets. `append` is what a batch does
//! before it commits, `commit` is the whole way in: batches of 1000 samples,
//! references known, log with snappy on a real disk. `replay` opens a store of
//! 40 rounds that was not closed; `select` decodes everything into columns.
//!
//! Sizes: `HEADWATER_BENCH_SERIES` (default `10000`), a list such as
//! `10000,100000,1000000`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use headwater_env::Env;
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_storage::{Append, FloatSample, Select, SelectRequest, SeriesRef, block_on};
use headwater_tsdb::{Builder, Db};

const BATCH: usize = 1000;
const STEP: i64 = 15_000;

fn sizes() -> Vec<usize> {
    let list = std::env::var("HEADWATER_BENCH_SERIES").unwrap_or_else(|_| "10000".into());
    list.split(',')
        .filter_map(|n| n.trim().parse().ok())
        .collect()
}

fn builder(dir: &std::path::Path) -> Builder {
    Db::builder(dir)
        .env(Env::real())
        .configure(|options| options.background = false)
}

fn labels(n: usize) -> Labels {
    let (metric, target) = (n % 100, n / 100);
    Labels::from_pairs([
        ("__name__", format!("metric_{metric}_total")),
        ("job", format!("job-{}", target % 20)),
        (
            "instance",
            format!("10.0.{}.{}:9100", target / 250, target % 250),
        ),
        ("namespace", format!("namespace-{}", target % 7)),
        ("pod", format!("pod-{target}-abcdef")),
        ("cluster", "eu-west-1".to_owned()),
        ("handler", format!("/api/v1/{}", metric % 10)),
        (
            "code",
            if metric % 2 == 0 { "200" } else { "500" }.to_owned(),
        ),
    ])
}

fn create(db: &Db, count: usize) -> Vec<SeriesRef> {
    let mut batch = db.appender(Default::default()).expect("a batch");
    let series = (0..count)
        .map(|n| batch.series(&labels(n)).expect("a series"))
        .collect();
    batch.commit().expect("a commit").wait().expect("durable");
    series
}

fn value(n: usize, round: i64) -> f64 {
    match n % 10 {
        0..=3 => (round * (1 + n as i64 % 90)) as f64,
        _ => ((n as i64 * 37 + round * 7919) % 10_000) as f64 / 100.0,
    }
}

fn round_of(series: &[SeriesRef], round: i64) -> Vec<FloatSample> {
    let sample = |(n, series): (usize, &SeriesRef)| FloatSample {
        series: *series,
        time: round * STEP,
        value: value(n, round),
    };
    series.iter().enumerate().map(sample).collect()
}

fn write_round(db: &Db, samples: &[FloatSample]) {
    for samples in samples.chunks(BATCH) {
        let mut batch = db.appender(Default::default()).expect("a batch");
        batch.append_floats(samples, &mut |at, error| panic!("sample {at}: {error}"));
        batch.commit().expect("a commit").wait().expect("durable");
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("append");
    for count in sizes() {
        let dir = tempfile::tempdir().expect("a directory");
        let db = builder(dir.path()).open().expect("a store");
        let series = create(&db, count);
        let samples = round_of(&series, 1);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(
            BenchmarkId::from_parameter(count),
            &samples,
            |b, samples| {
                b.iter(|| {
                    for samples in samples.chunks(BATCH) {
                        let mut batch = db.appender(Default::default()).expect("a batch");
                        batch.append_floats(samples, &mut |at, e| panic!("sample {at}: {e}"));
                        batch.rollback();
                    }
                });
            },
        );
    }
}

fn commit(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit");
    for count in sizes() {
        let dir = tempfile::tempdir().expect("a directory");
        let db = builder(dir.path()).open().expect("a store");
        let series = create(&db, count);
        let mut round = 0;
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    round += 1;
                    let samples = round_of(&series, round);
                    let started = Instant::now();
                    write_round(&db, &samples);
                    spent += started.elapsed();
                }
                spent
            });
        });
    }
}

fn filled(dir: &std::path::Path, count: usize, rounds: i64) {
    let db = builder(dir).open().expect("a store");
    let series = create(&db, count);
    for round in 0..rounds {
        write_round(&db, &round_of(&series, round));
    }
}

fn replay(c: &mut Criterion) {
    const ROUNDS: i64 = 40;
    let mut group = c.benchmark_group("replay");
    group.sample_size(10);
    for count in sizes() {
        let dir = tempfile::tempdir().expect("a directory");
        filled(dir.path(), count, ROUNDS);
        group.throughput(Throughput::Elements(count as u64 * ROUNDS as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| black_box(builder(dir.path()).open().expect("a store")));
        });
    }
}

fn select(c: &mut Criterion) {
    const ROUNDS: i64 = 400;
    let mut group = c.benchmark_group("select");
    group.sample_size(10);
    for count in sizes() {
        let dir = tempfile::tempdir().expect("a directory");
        filled(dir.path(), count, ROUNDS);
        let db = builder(dir.path()).open().expect("a store");
        let all = vec![Matcher::equal("cluster", "eu-west-1")];
        group.throughput(Throughput::Elements(count as u64 * ROUNDS as u64));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            let mut columns = SeriesColumns::default();
            b.iter(|| {
                let request = SelectRequest::new(all.clone(), TimeRange::ALL);
                let mut cursor = block_on(db.select(request)).expect("a cursor");
                while cursor.advance().expect("a series").is_some() {
                    cursor.read(&mut columns).expect("samples");
                    black_box(&columns);
                }
            });
        });
    }
}

criterion_group!(benches, append, commit, replay, select);
criterion_main!(benches);
