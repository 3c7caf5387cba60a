//! `compare metrics`.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use headwater_tests::process::Server;
use headwater_tests::{api, peer};

use crate::MetricsOptions;
use crate::feed::feed;
use crate::measure::{cpu_seconds, disk_mib, median_millis, peak_memory_mib, reset_peak};
use crate::report::Report;
use crate::workload::{QUERIES, Query, STEP};

/// What one server spent.
struct Costs {
    feed_cpu: f64,
    feed_peak: f64,
    disk: f64,
    replay_cpu: f64,
    replay_wall: f64,
    replay_peak: f64,
    /// CPU and wall milliseconds of each query.
    queries: Vec<(f64, f64)>,
    queries_peak: f64,
}

pub(crate) fn compare(options: &MetricsOptions) -> ExitCode {
    let Some(theirs) = options.peer.clone().or_else(|| peer::find("prometheus")) else {
        eprintln!("compare: no peer: install Debian's prometheus or name one with --peer");
        return ExitCode::FAILURE;
    };
    let ours = options.ours.clone().unwrap_or_else(build_ours);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis() as i64;
    let base = (now - (options.samples as i64 + 4) * STEP) / STEP * STEP;
    println!(
        "{} series x {} samples, scraped over HTTP",
        options.targets * 100,
        options.samples
    );
    let our_costs = costs(&ours, options, base);
    let their_costs = costs(&theirs, options, base);
    print(&our_costs, &their_costs, options);
    ExitCode::SUCCESS
}

fn build_ours() -> std::path::PathBuf {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--bin", "prometheus"])
        .current_dir(headwater_tests::workspace())
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "our server does not build"
    );
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| headwater_tests::workspace().join("target"), Into::into);
    target.join("release/prometheus")
}

fn costs(binary: &Path, options: &MetricsOptions, base: i64) -> Costs {
    let folder = tempfile::tempdir().expect("a folder for the data");
    let mut server = feed(
        binary,
        folder.path(),
        options.targets,
        options.samples,
        base,
    );
    let pid = server.process.id();
    let (feed_cpu, feed_peak) = (cpu_seconds(pid), peak_memory_mib(pid));
    let disk = disk_mib(&folder.path().join("data"));
    let start = Instant::now();
    server.crash_and_restart();
    let replay_wall = start.elapsed().as_secs_f64();
    let pid = server.process.id();
    let (replay_cpu, replay_peak) = (cpu_seconds(pid), peak_memory_mib(pid));
    reset_peak(pid);
    let end = base + options.samples as i64 * STEP;
    let queries = QUERIES
        .iter()
        .map(|query| ask(&server, query, base, end, options.repeat))
        .collect();
    Costs {
        feed_cpu,
        feed_peak,
        disk,
        replay_cpu,
        replay_wall,
        replay_peak,
        queries,
        queries_peak: peak_memory_mib(pid),
    }
}

/// CPU and wall milliseconds of one query: the CPU as a mean (the system counts in steps of 10 ms), the wall as a median.
fn ask(server: &Server, query: &Query, base: i64, end: i64, repeat: usize) -> (f64, f64) {
    let seconds = |millis: i64| (millis as f64 / 1000.0 + 3.217).to_string();
    let (start, last) = (seconds(base), seconds(end));
    let (path, form) = if query.range {
        (
            "query_range",
            vec![
                ("query", query.expression),
                ("start", &start),
                ("end", &last),
                ("step", "15"),
            ],
        )
    } else {
        ("query", vec![("query", query.expression), ("time", &*last)])
    };
    let url = format!("{}/api/v1/{path}", server.url);
    let run = || {
        let start = Instant::now();
        let answer = api::post(&url, &form).expect("the server answers");
        assert_eq!(answer.status, 200, "{}: {}", query.name, answer.body);
        assert!(
            answer.body.len() > 100,
            "{} finds nothing: {}",
            query.name,
            answer.body
        );
        start.elapsed()
    };
    run();
    let before = cpu_seconds(server.process.id());
    let times: Vec<Duration> = (0..repeat.max(1)).map(|_| run()).collect();
    let cpu = (cpu_seconds(server.process.id()) - before) * 1000.0 / times.len() as f64;
    (cpu, median_millis(times))
}

fn print(ours: &Costs, theirs: &Costs, options: &MetricsOptions) {
    let mut report = Report::default();
    let samples = (options.targets * 100 * options.samples) as f64;
    let rate = |cpu: f64| samples / cpu.max(0.01) / 1e6;
    report.row("scrape: CPU s", ours.feed_cpu, theirs.feed_cpu);
    report.row("scrape: peak memory MiB", ours.feed_peak, theirs.feed_peak);
    report.row("bytes on disk MiB", ours.disk, theirs.disk);
    report.row(
        "restart after kill -9: CPU s",
        ours.replay_cpu,
        theirs.replay_cpu,
    );
    report.row(
        "restart after kill -9: wall s",
        ours.replay_wall,
        theirs.replay_wall,
    );
    report.row(
        "restart after kill -9: peak memory MiB",
        ours.replay_peak,
        theirs.replay_peak,
    );
    for (at, query) in QUERIES.iter().enumerate() {
        report.row(
            format!("{}: CPU ms", query.name),
            ours.queries[at].0,
            theirs.queries[at].0,
        );
        report.row(
            format!("{}: wall ms", query.name),
            ours.queries[at].1,
            theirs.queries[at].1,
        );
    }
    report.row(
        "queries: peak memory MiB",
        ours.queries_peak,
        theirs.queries_peak,
    );
    report.print("peer");
    println!(
        "samples scraped a CPU second: {:.2} M here, {:.2} M there",
        rate(ours.feed_cpu),
        rate(theirs.feed_cpu)
    );
}
