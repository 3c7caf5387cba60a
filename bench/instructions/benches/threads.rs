//! What a second thread is worth to a query: the same aggregations over a real data directory by an
//! engine with one thread and by one with two (or `HEADWATER_THREADS`).
//!
//! Data: 10 000 counters of four jobs, 1440 samples at 15 s, as a head with its mapped chunks. Steps of a
//! minute over six hours, and the last moment.
//!
//! `cargo bench -p headwater-instructions --features threads --bench threads` prints wall (median) and CPU
//! (mean) of each in milliseconds, asked in turns. No other work may run on the machine meanwhile. No
//! instructions are counted here; this bench stands where engine and store meet.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_model::Labels;
use headwater_promql::{Engine, EngineOptions};
use headwater_query::{EvalRequest, Evaluate};
use headwater_storage::{Append, block_on};
use headwater_tsdb::Db;

const SERIES: usize = 10_000;
const SAMPLES: i64 = 1440;
const INTERVAL: i64 = 15_000;
/// Samples of one batch.
const RUN: i64 = 40;
const ROUNDS: usize = 9;

const QUERIES: [&str; 6] = [
    "sum by (job) (rate(requests_total[5m]))",
    "sum(requests_total)",
    "max by (job) (increase(requests_total[10m]))",
    "avg(max_over_time(requests_total[5m]))",
    "quantile(0.9, rate(requests_total[5m]))",
    "topk(5, rate(requests_total[5m]))",
];

fn store(db: &Db) {
    let mut references = Vec::new();
    for begin in (0..SAMPLES).step_by(RUN as usize) {
        let mut batch = db.appender(Default::default()).expect("an appender");
        for at in 0..SERIES {
            if begin == 0 {
                let labels = Labels::from_pairs([
                    ("__name__", "requests_total".to_owned()),
                    ("instance", format!("host-{}", at / 100)),
                    ("handler", format!("/api/v1/h{}", at % 100)),
                    ("job", format!("job-{}", at % 4)),
                ]);
                references.push(batch.series(&labels).expect("a series"));
            }
            for sample in begin..SAMPLES.min(begin + RUN) {
                // Each series at its own second and its own pace.
                let time = sample * INTERVAL + (at as i64 / 100 * 137) % INTERVAL;
                let value = (sample * (at as i64 % 7 + 1)) as f64;
                batch
                    .append_float(references[at], time, value)
                    .expect("a sample");
            }
        }
        let committed = batch.commit().expect("a commit");
        committed.wait().expect("a log that takes it");
    }
}

fn engine(db: &Arc<Db>, threads: usize) -> Engine {
    let mut options = EngineOptions::default();
    options.threads = threads;
    options.max_samples = 0;
    Engine::new(db.clone(), options).expect("an engine")
}

/// User and system time of this process so far.
fn cpu() -> Duration {
    /// The kernel's unit in this file, on every machine.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2);
    TICK * ticks.filter_map(|ticks| ticks.parse::<u32>().ok()).sum()
}

#[derive(Default)]
struct Spent {
    wall: Vec<Duration>,
    cpu: Duration,
}

impl Spent {
    fn millis(&mut self) -> (f64, f64) {
        self.wall.sort_unstable();
        let wall = self.wall[self.wall.len() / 2].as_secs_f64() * 1e3;
        (wall, self.cpu.as_secs_f64() * 1e3 / self.wall.len() as f64)
    }
}

fn compare(engines: &[Engine; 2], request: &EvalRequest) -> [Spent; 2] {
    let mut spent = [Spent::default(), Spent::default()];
    // Short queries are asked often enough for the steps in which the system counts.
    let begun = Instant::now();
    let mut rounds = 0;
    while rounds < ROUNDS || begun.elapsed() < Duration::from_secs(2) {
        for (engine, spent) in engines.iter().zip(&mut spent) {
            let (cpu_before, begun) = (cpu(), Instant::now());
            black_box(block_on(engine.evaluate(request.clone())).expect("an answer"));
            spent.wall.push(begun.elapsed());
            spent.cpu += cpu().saturating_sub(cpu_before);
        }
        rounds += 1;
    }
    spent
}

fn main() {
    let wanted = std::env::var("HEADWATER_THREADS").ok();
    let threads = wanted.and_then(|text| text.parse().ok()).unwrap_or(2);
    let folder = tempfile::tempdir().expect("a folder for the data");
    let db = Arc::new(Db::open(folder.path()).expect("a database"));
    store(&db);
    let engines = [engine(&db, 1), engine(&db, threads)];
    let end = (SAMPLES - 1) * INTERVAL;
    println!(
        "query: wall and CPU ms with 1 thread, with {threads}, wall of the first over the second"
    );
    for query in QUERIES {
        let range = EvalRequest::range(query, end - 360 * 60_000, end, 60_000);
        for (kind, request) in [("6h", range), ("instant", EvalRequest::instant(query, end))] {
            let [mut one, mut more] = compare(&engines, &request);
            let ((wall, cpu), (more_wall, more_cpu)) = (one.millis(), more.millis());
            println!(
                "{query} {kind}: {wall:.2} {cpu:.2}, {more_wall:.2} {more_cpu:.2}, {:.2}x",
                wall / more_wall
            );
        }
    }
}
