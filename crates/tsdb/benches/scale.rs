//! How cost grows with the number of series: every step of a store's life, each
//! in a process of its own, with its CPU time and its memory.
//!
//! ```text
//! cargo bench -p headwater-tsdb --bench scale -- --series 10000,100000,1000000 --samples 120
//! cargo bench -p headwater-tsdb --bench scale -- --step replay --dir DATA --series 25000 --samples 1500
//! ```
//!
//! Steps: `write` appends and commits (batches of 1000, references known, log
//! with snappy on a real disk) and ends like a killed process; `replay` opens
//! the store; `select` decodes all samples into columns; `block` makes a block
//! of the whole head. `--mapped` has full chunks written to files meanwhile, as
//! a server does, so that `replay` finds most samples there. With `--snapshot`,
//! `close` writes a chunk snapshot and `reopen` reads it in place of the log. CPU times are those
//! of all threads and leave out making up the data; memory is what belongs to
//! the process alone (`RssAnon`), without pages of files that the system may
//! drop: when the step begins, at its peak, at the end.

mod data;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headwater_model::{Matcher, SeriesColumns, TimeRange};
use headwater_storage::{Select, SelectRequest, block_on};
use headwater_tsdb::Builder;
use rustix::time::{ClockId, clock_gettime};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const STEPS: [&str; 6] = ["write", "replay", "close", "reopen", "select", "block"];

/// A server goes on for long enough to give back what it does not use.
const REST: Duration = Duration::from_millis(700);

#[derive(Clone, Debug)]
struct Work {
    series: usize,
    samples: usize,
    mapped: bool,
    snapshot: bool,
}

/// What a step has taken.
struct Taken {
    cpu: Duration,
    wall: Duration,
    /// KiB when it began.
    memory: u64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1).cloned()
    };
    let has = |name: &str| arguments.iter().any(|a| a == name);
    if has("--list") {
        return ExitCode::SUCCESS;
    }
    // Without this argument it is run as a test, to see whether it works.
    let (few_series, few_samples) = match has("--bench") {
        true => ("10000,100000", 120),
        false => ("1000", 20),
    };
    let samples = value("--samples").and_then(|n| n.parse().ok());
    let samples = samples.unwrap_or(few_samples);
    let list = value("--series").unwrap_or_else(|| few_series.into());
    let (mapped, snapshot) = (has("--mapped"), has("--snapshot"));
    let works: Vec<Work> = list
        .split(',')
        .filter_map(|n| n.trim().parse().ok())
        .map(|series| Work {
            series,
            samples,
            mapped,
            snapshot,
        })
        .collect();
    match (value("--step"), value("--dir"), works.first()) {
        (Some(step), Some(dir), Some(work)) => {
            step_of(&step, Path::new(&dir), work);
            ExitCode::SUCCESS
        }
        _ => table(&works),
    }
}

/// Runs all steps and prints a table.
fn table(works: &[Work]) -> ExitCode {
    println!(
        "| series x samples | step | CPU ns a sample | wall ns | B a series | begin MiB | peak MiB | end MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for work in works {
        let dir = tempfile::tempdir().expect("a directory");
        let of_snapshot = |step: &str| ["close", "reopen"].contains(&step);
        let steps = STEPS.into_iter();
        for step in steps.filter(|step| work.snapshot || !of_snapshot(step)) {
            let mut child = Command::new(std::env::current_exe().expect("this program"));
            child.args(["--step", step, "--dir"]).arg(dir.path());
            child.args(["--series", &work.series.to_string()]);
            child.args(["--samples", &work.samples.to_string()]);
            if work.mapped {
                child.arg("--mapped");
            }
            if !child.status().is_ok_and(|status| status.success()) {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn step_of(step: &str, dir: &Path, work: &Work) {
    let before = own_memory();
    let watch = Watch::start();
    let taken = match step {
        "write" => write(dir, work),
        "replay" => replay(data::builder(dir)),
        "reopen" => replay(with_snapshot(dir)),
        "close" => close(dir, &watch),
        "select" => select(dir),
        _ => block(dir, &watch),
    };
    let (end, peak) = (own_memory(), watch.stop());
    let count = (work.series * work.samples) as f64;
    let ns = |time: Duration| time.as_nanos() as f64 / count;
    println!(
        "| {} x {} | {step} | {:.1} | {:.1} | {} | {:.1} | {:.1} | {:.1} |",
        work.series,
        work.samples,
        ns(taken.cpu),
        ns(taken.wall),
        (end.saturating_sub(before) << 10) / work.series as u64,
        taken.memory as f64 / 1024.0,
        peak as f64 / 1024.0,
        end as f64 / 1024.0,
    );
    // As if killed: nothing is closed, nothing flushed.
    std::process::exit(0);
}

fn write(dir: &Path, work: &Work) -> Taken {
    let db = data::builder(dir).open().expect("a store");
    let series = data::create(&db, work.series);
    let mut samples = Vec::with_capacity(data::BATCH);
    let (mut cpu, mut wall) = (Duration::ZERO, Duration::ZERO);
    let memory = own_memory();
    for at in 0..work.samples as i64 {
        for (batch, series) in series.chunks(data::BATCH).enumerate() {
            data::samples_at(series, batch * data::BATCH, at, &mut samples);
            let timer = Timer::start();
            data::commit(&db, &samples);
            let taken = timer.stop();
            cpu += taken.cpu;
            wall += taken.wall;
        }
        if work.mapped && at % 4 == 3 {
            db.maintain().expect("maintenance");
        }
    }
    std::mem::forget(db);
    Taken { cpu, wall, memory }
}

fn with_snapshot(dir: &Path) -> Builder {
    data::builder(dir).configure(|options| options.snapshot_on_close = true)
}

/// Writes a snapshot.
fn close(dir: &Path, watch: &Watch) -> Taken {
    let db = with_snapshot(dir).open().expect("a store");
    come_to_rest(watch);
    let timer = Timer::start();
    db.close().expect("a snapshot");
    timer.stop()
}

fn replay(builder: Builder) -> Taken {
    let timer = Timer::start();
    let db = builder.open().expect("a store");
    let taken = timer.stop();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    rest();
    std::mem::forget(db);
    taken
}

/// Waits until memory that is not used is given back.
fn rest() {
    std::thread::sleep(REST);
    // The allocator gives it back when it is next asked for some.
    let _ = own_memory();
}

/// The same, and begins to watch there.
fn come_to_rest(watch: &Watch) {
    rest();
    watch.begin_again();
}

fn select(dir: &Path) -> Taken {
    let db = data::builder(dir).open().expect("a store");
    let timer = Timer::start();
    let matchers = vec![Matcher::equal("cluster", "eu-west-1")];
    let request = SelectRequest::new(matchers, TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).expect("a cursor");
    let (mut columns, mut count) = (SeriesColumns::default(), 0);
    while cursor.advance().expect("a series").is_some() {
        cursor.read(&mut columns).expect("samples");
        count += columns.len();
    }
    assert!(count > 0, "samples");
    let taken = timer.stop();
    std::mem::forget(db);
    taken
}

fn block(dir: &Path, watch: &Watch) -> Taken {
    let db = data::builder(dir).open().expect("a store");
    come_to_rest(watch);
    let timer = Timer::start();
    db.flush_before(i64::MAX).expect("blocks");
    let taken = timer.stop();
    assert!(!db.blocks().is_empty(), "a block");
    std::mem::forget(db);
    taken
}

/// CPU time of all threads, and wall time.
struct Timer {
    cpu: Duration,
    wall: Instant,
    memory: u64,
}

impl Timer {
    fn start() -> Timer {
        Timer {
            memory: own_memory(),
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    fn stop(self) -> Taken {
        Taken {
            cpu: cpu_time() - self.cpu,
            wall: self.wall.elapsed(),
            memory: self.memory,
        }
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// KiB that belong to the process alone; 0 where the system does not tell.
fn own_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let found = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let number = found.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Looks at the process's own memory every few milliseconds: the system keeps
/// a peak only of all memory, files included.
struct Watch {
    stop: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start() -> Watch {
        let (stop, peak) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (seen, highest) = (Arc::clone(&stop), Arc::clone(&peak));
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                highest.fetch_max(own_memory(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Watch { stop, peak, thread }
    }

    /// Forgets the peak so far.
    fn begin_again(&self) {
        self.peak.store(own_memory(), Ordering::Relaxed);
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        self.peak.load(Ordering::Relaxed).max(own_memory())
    }
}
