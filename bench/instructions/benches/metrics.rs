//! Exposition, chunks, the head and PromQL. Limits are instructions for the whole of what the
//! comment of a bench says.

#![expect(missing_docs, reason = "the macros of the harness make public items")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use gungraun::prelude::*;
use headwater_blockfmt::{Encoding, XorAppender, decode};
use headwater_env::Env;
use headwater_exposition::{Event, Format, Options, Parser};
use headwater_instructions::at_most;
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate};
use headwater_storage::{
    Append, AppendOptions, FloatSample, MemoryStore, SampleValue, Select, SelectRequest, SeriesRef,
    block_on,
};
use headwater_tsdb::Db;

fn body() -> Vec<u8> {
    let mut body = String::from("# TYPE http_requests_total counter\n");
    for i in 0..2000 {
        body.push_str(&format!(
            "http_requests_total{{method=\"GET\",path=\"/api/v1/items/{}\",status=\"{}\"}} {}\n",
            i / 10,
            200 + i % 5,
            i * 7919
        ));
    }
    body.into_bytes()
}

// 2000 series of a text exposition, parsed without building labels.
#[library_benchmark(config = at_most(2_990_000))]
#[bench::text(body())]
fn exposition(body: Vec<u8>) -> usize {
    let mut parser = Parser::new(&body, Format::Text, Options::default()).expect("text");
    let mut samples = 0;
    while let Some(event) = parser.next_event().expect("well formed") {
        samples += usize::from(matches!(event, Event::Sample(_)));
    }
    samples
}

fn samples() -> Vec<(i64, f64)> {
    (0..12_000)
        .map(|at| (at * 15_000 + at * 7 % 11, (at * at % 100_000) as f64 / 8.0))
        .collect()
}

// 100 chunks of 120 samples with jitter, written.
#[library_benchmark(config = at_most(1_780_000))]
#[bench::jitter(samples())]
fn xor_encode(samples: Vec<(i64, f64)>) -> usize {
    let encode = |samples: &[(i64, f64)]| {
        let mut chunk = XorAppender::new();
        for &(time, value) in samples {
            chunk.append(time, value);
        }
        chunk.len()
    };
    samples.chunks(120).map(encode).sum()
}

fn chunks() -> Vec<bytes::Bytes> {
    let encode = |samples: &[(i64, f64)]| {
        let mut chunk = XorAppender::new();
        for &(time, value) in samples {
            chunk.append(time, value);
        }
        chunk.to_bytes()
    };
    samples().chunks(120).map(encode).collect()
}

// The same chunks, read into columns.
#[library_benchmark(config = at_most(1_400_000))]
#[bench::jitter(chunks())]
fn xor_decode(chunks: Vec<bytes::Bytes>) -> usize {
    let mut columns = SeriesColumns::default();
    for chunk in &chunks {
        decode(Encoding::Xor, chunk, TimeRange::ALL, &mut columns).expect("a chunk");
    }
    columns.floats.times.len()
}

fn open(dir: &Path) -> Db {
    Db::builder(dir)
        .env(Env::real())
        .configure(|options| options.background = false)
        .open()
        .expect("a store")
}

struct Store {
    dir: tempfile::TempDir,
    db: Db,
    series: Vec<SeriesRef>,
}

impl Store {
    fn write(&self, round: i64) {
        let sample = |(n, series): (usize, &SeriesRef)| FloatSample {
            series: *series,
            time: round * 15_000,
            value: (n as i64 * round) as f64,
        };
        let samples: Vec<_> = self.series.iter().enumerate().map(sample).collect();
        for samples in samples.chunks(1000) {
            let mut batch = self.db.appender(AppendOptions::default()).expect("a batch");
            batch.append_floats(samples, &mut |at, error| panic!("sample {at}: {error}"));
            batch.commit().expect("a commit").wait().expect("durable");
        }
    }
}

fn filled(rounds: i64) -> Store {
    let dir = tempfile::tempdir().expect("a directory");
    let db = open(dir.path());
    let mut batch = db.appender(AppendOptions::default()).expect("a batch");
    let series = (0..2000)
        .map(|n| {
            let labels = Labels::from_pairs([
                ("__name__", format!("metric_{}_total", n % 100)),
                ("instance", format!("10.0.0.{}:9100", n / 100)),
                ("job", "node".to_owned()),
            ]);
            batch.series(&labels).expect("a series")
        })
        .collect();
    batch.commit().expect("a commit").wait().expect("durable");
    let store = Store { dir, db, series };
    (0..rounds).for_each(|round| store.write(round));
    store
}

// Ten rounds of 2000 samples into known series, with log.
#[library_benchmark(config = at_most(16_700_000))]
#[bench::known(filled(1))]
fn head_append(store: Store) -> Store {
    (1..=10).for_each(|round| store.write(round));
    store
}

// 2000 series of 150 samples out of the head, in columns.
#[library_benchmark(config = at_most(28_900_000))]
#[bench::columns(filled(150))]
fn head_select(store: Store) -> Store {
    let request = SelectRequest::new(vec![Matcher::equal("job", "node")], TimeRange::ALL);
    let mut cursor = block_on(store.db.select(request)).expect("a cursor");
    let mut columns = SeriesColumns::default();
    while cursor.advance().expect("a series").is_some() {
        cursor.read(&mut columns).expect("samples");
        black_box(&columns);
    }
    drop(cursor);
    store
}

fn closed() -> tempfile::TempDir {
    let Store { dir, db, .. } = filled(40);
    drop(db);
    dir
}

// A log of 2000 series with 40 samples each, replayed.
#[library_benchmark(config = at_most(23_700_000))]
#[bench::log(closed())]
fn head_replay(dir: tempfile::TempDir) -> (tempfile::TempDir, Db) {
    let db = open(dir.path());
    (dir, db)
}

const RATIO: &str = r#"sum by (job) (rate(http_requests_total{code=~"5..",env="prod"}[5m])) / on (job) group_left () sum by (job) (rate(http_requests_total{env="prod"}[5m])) > bool 0.01"#;

// A query of 160 characters, parsed and checked.
#[library_benchmark(config = at_most(56_600))]
fn promql_parse() {
    let parsed = headwater_promql::parse(black_box(RATIO), ParseOptions::stable());
    black_box(parsed.expect("a query"));
}

fn engine() -> Engine {
    let store = MemoryStore::new();
    let mut batch = store
        .appender(AppendOptions::default())
        .expect("an appender");
    for at in 0..200 {
        for le in ["0.1", "1", "+Inf"] {
            let labels = Labels::from_pairs([
                ("__name__", "requests_bucket".to_owned()),
                ("instance", format!("host-{at}")),
                ("job", format!("job-{}", at % 10)),
                ("le", le.to_owned()),
            ]);
            let series = batch.series(&labels).expect("a series");
            for n in 0..240 {
                let value = SampleValue::Float((n * (at + 1)) as f64);
                batch
                    .append(series, n * 15_000, 0, value)
                    .expect("in order");
            }
        }
    }
    batch.commit().expect("a commit").wait().expect("durable");
    let mut options = EngineOptions::default();
    options.threads = 1;
    Engine::new(Arc::new(store), options).expect("an engine")
}

// Ranges of 180 steps, and one instant, over 600 series in memory.
#[library_benchmark]
#[bench::sum_rate(config = at_most(14_100_000), args = ("sum by (job) (rate(requests_bucket[5m]))", 180), setup = question)]
#[bench::quantile(config = at_most(13_700_000), args = ("histogram_quantile(0.9, sum by (le, job) (rate(requests_bucket[5m])))", 180), setup = question)]
#[bench::topk(config = at_most(7_840_000), args = ("topk(10, requests_bucket)", 0), setup = question)]
fn promql(question: (Engine, EvalRequest)) -> Engine {
    let (engine, request) = question;
    black_box(block_on(engine.evaluate(request)).expect("an answer"));
    engine
}

fn question(text: &str, steps: i64) -> (Engine, EvalRequest) {
    let end = 239 * 15_000;
    let request = match steps {
        0 => EvalRequest::instant(text, end),
        _ => EvalRequest::range(text, end - steps * 15_000, end, 15_000),
    };
    (engine(), request)
}

library_benchmark_group!(
    name = formats,
    benchmarks = [exposition, xor_encode, xor_decode]
);
library_benchmark_group!(
    name = head,
    benchmarks = [head_append, head_select, head_replay]
);
library_benchmark_group!(name = queries, benchmarks = [promql_parse, promql]);
main!(library_benchmark_groups = [formats, head, queries]);
