//! `compare logs`: a gigabyte of JSON, logfmt and access logs over 200 streams, and nine questions.

mod batch;
mod lines;
mod questions;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use headwater_tests::process::{Server, program};

use crate::LogsOptions;
use crate::measure::{cpu_seconds, median_millis, peak_memory_mib, reset_peak};
use crate::report::Report;
use batch::Plan;
use lines::HOSTS;
use questions::{Question, questions};

/// CPU seconds that a gigabyte of lines may cost until it lies in parts.
const CPU_TARGET: f64 = 8.0;
/// MiB of memory while entries come in.
const MEMORY_TARGET: f64 = 400.0;
/// Bytes stored, as a share of what `zstd -3` makes of the lines.
const STORED_TARGET: f64 = 0.9;

/// What one server spent.
struct Costs {
    ingest_cpu: f64,
    ingest_wall: f64,
    ingest_peak: f64,
    stored: f64,
    log: f64,
    /// CPU and wall milliseconds of each question.
    questions: Vec<(f64, f64)>,
    questions_peak: f64,
}

/// What was pushed.
#[derive(Clone, Copy, Debug, Default)]
struct Pushed {
    lines: usize,
    bytes: usize,
}

pub(crate) fn compare(options: &LogsOptions) -> ExitCode {
    let plan = Plan::of_megabytes(options.megabytes);
    let ours = options.ours.clone().unwrap_or_else(|| build(options.debug));
    let (size, compressed) = measure_lines(plan);
    println!(
        "{} lines, {:.0} MB of line bytes, {} streams; zstd -3: {:.1} MB",
        size.lines,
        size.bytes as f64 / 1e6,
        HOSTS * lines::PROGRAMS.len(),
        compressed as f64 / 1e6
    );
    let our_costs = match costs(&ours, options, plan, size) {
        Ok(costs) => costs,
        Err(wrong) => return failure(&wrong),
    };
    let their_costs = match options
        .peer
        .as_deref()
        .map(|peer| costs(peer, options, plan, size))
    {
        None => None,
        Some(Ok(costs)) => Some(costs),
        Some(Err(wrong)) => return failure(&format!("the peer: {wrong}")),
    };
    print(&our_costs, their_costs.as_ref(), size, compressed);
    ExitCode::SUCCESS
}

fn failure(wrong: &str) -> ExitCode {
    eprintln!("compare: {wrong}");
    ExitCode::FAILURE
}

fn build(debug: bool) -> PathBuf {
    if debug {
        return program("loki");
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", "loki"])
        .current_dir(headwater_tests::workspace())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "our server does not build"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| headwater_tests::workspace().join("target"), Into::into);
    target.join("release/loki")
}

/// How much will be pushed, and what `zstd -3` makes of the lines in the order of pushing.
fn measure_lines(plan: Plan) -> (Pushed, usize) {
    /// Counts what is written.
    struct Counter(usize);
    impl std::io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut encoder = zstd::Encoder::new(Counter(0), 3).expect("zstd knows level 3");
    let mut size = Pushed::default();
    for number in 0..plan.batches() {
        let batch = plan.batch(number);
        size.bytes += batch.bytes();
        for (_, line) in batch.lines() {
            size.lines += 1;
            for piece in [line.as_bytes(), b"\n"] {
                std::io::Write::write_all(&mut encoder, piece)
                    .expect("a counter takes every write");
            }
        }
    }
    let counter = encoder.finish().expect("a counter takes every write");
    (size, counter.0)
}

/// A file that Loki understands as well as we do.
fn config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "auth_enabled: false
common:
  path_prefix: '{folder}'
  instance_addr: 127.0.0.1
  replication_factor: 1
  storage: {{filesystem: {{chunks_directory: '{folder}/chunks', rules_directory: '{folder}/rules'}}}}
  ring: {{kvstore: {{store: inmemory}}}}
schema_config:
  configs:
  - {{from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: {{prefix: index_, period: 24h}}}}
limits_config:
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
  reject_old_samples: false
"
    )
}

fn costs(binary: &Path, options: &LogsOptions, plan: Plan, size: Pushed) -> Result<Costs, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    fs::write(folder.path().join("loki.yaml"), config(folder.path()))
        .map_err(|error| error.to_string())?;
    let server = Server::loki_at(binary, folder.path());
    let pid = server.process.id();
    let begun = Instant::now();
    push_all(&server.url, plan, options.pushers)?;
    let flushed = agent().post(format!("{}/flush", server.url)).send_empty();
    flushed.map_err(|error| format!("/flush: {error}"))?;
    let ingest_wall = begun.elapsed().as_secs_f64();
    settle(pid);
    let (ingest_cpu, ingest_peak) = (cpu_seconds(pid), peak_memory_mib(pid));
    reset_peak(pid);
    let (stored, log) = stored_bytes(folder.path());
    let asked = questions();
    let costs = asked
        .iter()
        .map(|question| ask(&server, question, options, size));
    Ok(Costs {
        ingest_cpu,
        ingest_wall,
        ingest_peak,
        stored,
        log,
        questions: costs.collect::<Result<_, _>>()?,
        questions_peak: peak_memory_mib(pid),
    })
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into()
}

/// Pushes everything, each host in order, from some threads at once.
fn push_all(url: &str, plan: Plan, pushers: usize) -> Result<(), String> {
    let pushers = pushers.clamp(1, HOSTS);
    std::thread::scope(|scope| {
        let push = |pusher: usize| {
            let agent = agent();
            for batch in (0..plan.batches()).filter(|batch| batch % HOSTS % pushers == pusher) {
                let mut response = agent
                    .post(format!("{url}/loki/api/v1/push"))
                    .header("Content-Type", "application/x-protobuf")
                    .send(&plan.batch(batch).body()[..])
                    .map_err(|error| format!("push {batch}: {error}"))?;
                let status = response.status().as_u16();
                if status != 204 {
                    let body = response.body_mut().read_to_string().unwrap_or_default();
                    return Err(format!("push {batch} was answered with {status}: {body}"));
                }
            }
            Ok(())
        };
        let threads: Vec<_> = (0..pushers)
            .map(|pusher| scope.spawn(move || push(pusher)))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a pusher panicked".to_owned()))
        })
    })
}

/// Waits until the server has nothing more to do, so that work put off is counted too.
fn settle(pid: u32) {
    let mut before = cpu_seconds(pid);
    for _ in 0..120 {
        std::thread::sleep(Duration::from_millis(500));
        let now = cpu_seconds(pid);
        if now - before < 0.03 {
            return;
        }
        before = now;
    }
}

/// Bytes that lie under a folder: outside of write-ahead logs, and in them.
fn stored_bytes(folder: &Path) -> (f64, f64) {
    let (mut stored, mut log) = (0.0, 0.0);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(about)) = (entry.path(), entry.metadata()) else {
            continue;
        };
        let (inner, inner_log) = match about.is_dir() {
            true => stored_bytes(&path),
            false => (about.len() as f64, 0.0),
        };
        match entry.file_name() == "wal" {
            true => log += inner + inner_log,
            false => (stored, log) = (stored + inner, log + inner_log),
        }
    }
    (stored, log)
}

/// CPU and wall milliseconds: the CPU as a mean (the system counts in steps of 10 ms), the wall as a median.
fn ask(
    server: &Server,
    question: &Question,
    options: &LogsOptions,
    size: Pushed,
) -> Result<(f64, f64), String> {
    let (agent, url) = (agent(), question.url(&server.url));
    let run = || {
        let start = Instant::now();
        let mut response = agent
            .get(&url)
            .call()
            .map_err(|error| format!("{}: {error}", question.name))?;
        let body = response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()
            .map_err(|error| format!("{}: {error}", question.name))?;
        let took = start.elapsed();
        if response.status() != 200 {
            return Err(format!("{}: {body}", question.name));
        }
        let answer =
            serde_json::from_str(&body).map_err(|error| format!("{}: {error}", question.name))?;
        question.check(&answer, size.lines)?;
        Ok(took)
    };
    run()?;
    let before = cpu_seconds(server.process.id());
    let times: Vec<Duration> = (0..options.repeat.max(1))
        .map(|_| run())
        .collect::<Result<_, _>>()?;
    let cpu = (cpu_seconds(server.process.id()) - before) * 1000.0 / times.len() as f64;
    Ok((cpu, median_millis(times)))
}

fn print(ours: &Costs, theirs: Option<&Costs>, size: Pushed, compressed: usize) {
    let per_gb = |cpu: f64| cpu * 1e9 / size.bytes as f64;
    let share = |bytes: f64| bytes / compressed as f64;
    println!("\n{:<44} {:>10} {:>10}", "what", "headwater", "target");
    let row = |what: &str, value: f64, target: Option<f64>| {
        let target = target.map_or_else(String::new, |target| format!("{target:.2}"));
        println!("{what:<44} {value:>10.2} {target:>10}");
    };
    row(
        "ingest: CPU s a GB of lines",
        per_gb(ours.ingest_cpu),
        Some(CPU_TARGET),
    );
    row(
        "ingest: peak memory MiB",
        ours.ingest_peak,
        Some(MEMORY_TARGET),
    );
    row(
        "ingest: MB of lines a second",
        size.bytes as f64 / 1e6 / ours.ingest_wall,
        None,
    );
    row("stored: MB", ours.stored / 1e6, None);
    row(
        "stored: share of zstd -3",
        share(ours.stored),
        Some(STORED_TARGET),
    );
    row("left in the write-ahead log: MB", ours.log / 1e6, None);
    let asked = questions();
    for (question, (cpu, wall)) in asked.iter().zip(&ours.questions) {
        row(
            &format!("{}: wall ms", question.name),
            *wall,
            question.target,
        );
        row(&format!("{}: CPU ms", question.name), *cpu, None);
    }
    row("questions: peak memory MiB", ours.questions_peak, None);
    let Some(theirs) = theirs else {
        return;
    };
    println!();
    let mut report = Report::default();
    report.row(
        "ingest: CPU s a GB of lines",
        per_gb(ours.ingest_cpu),
        per_gb(theirs.ingest_cpu),
    );
    report.row(
        "ingest: peak memory MiB",
        ours.ingest_peak,
        theirs.ingest_peak,
    );
    report.row(
        "stored: share of zstd -3",
        share(ours.stored),
        share(theirs.stored),
    );
    for (at, question) in asked.iter().enumerate() {
        report.row(
            format!("{}: CPU ms", question.name),
            ours.questions[at].0,
            theirs.questions[at].0,
        );
        report.row(
            format!("{}: wall ms", question.name),
            ours.questions[at].1,
            theirs.questions[at].1,
        );
    }
    report.print("peer");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small run with the debug build: pushes, flushes, asks, and checks every answer.
    #[test]
    fn a_small_comparison_runs_and_its_answers_are_right() {
        let options = LogsOptions {
            peer: None,
            ours: None,
            debug: true,
            megabytes: 24,
            repeat: 1,
            pushers: 2,
        };
        assert_eq!(compare(&options), ExitCode::SUCCESS);
    }
}
