//! The table of queries over six hours of data, and what else that data is good for.

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_tests::api;
use headwater_tests::process::Server;

use super::MetricsOptions;
use super::contender::{Contender, Kind};
use super::load::{Plan, send, series};
use super::read;
use super::table::Table;
use super::workload::{QUERIES, Query, SERIES, STEP, When};
use super::write::{base, block_bytes_a_sample, restart, restart_from_snapshot, settle};
use crate::measure::{cpu_seconds, disk_mib, median_millis, peak_memory_mib, reset_peak};

/// Phases (iii) to (vi): 25 000 series, 1500 samples each.
pub(super) fn queries(
    options: &MetricsOptions,
    contender: &Contender,
    at: usize,
    table: &mut Table,
) {
    let series = series(options.scaled(25_000, 300) / SERIES);
    let samples = options.scaled(1500, 400);
    // Requests of 100 samples stay within the time by which series may differ.
    let plan = Plan {
        base: base(samples),
        samples,
        run: 100,
        series: 200,
    };
    let folder = tempfile::tempdir().expect("a folder for the data");
    let mut server = contender.start(folder.path());
    send(&server, &series, plan);
    contender.flush(&server);
    await_blocks(contender.kind, &plan, &folder.path().join("data"));
    settle(&server);
    table.note(
        at,
        "load in runs of 100 samples: CPU",
        "s",
        cpu_seconds(server.process.id()),
    );
    table.note(
        at,
        "load: peak memory",
        "MiB",
        peak_memory_mib(server.process.id()),
    );
    let count = (series.len() * samples) as f64;
    let bytes = disk_mib(folder.path()) * 1024.0 * 1024.0;
    table.note(at, "disk, log included: bytes a sample", "B", bytes / count);

    reset_peak(server.process.id());
    for query in QUERIES {
        let (cpu, wall) = ask(&server, contender.kind, query, &plan, options.query_seconds);
        table.note(at, format!("{}: CPU", title(query)), "ms", cpu);
        table.note(at, format!("{}: wall", title(query)), "ms", wall);
    }
    table.note(
        at,
        "queries: peak memory",
        "MiB",
        peak_memory_mib(server.process.id()),
    );
    if contender.kind == Kind::Prometheus {
        read::read(options, &server, plan.end(), at, table);
        head_to_block(&server, folder.path(), at, table);
    }
    restart(&mut server, "six hours, kill and reopen", at, table);
    restart_from_snapshot(contender, server, folder.path(), "six hours", at, table);
}

/// Data of more than three hours becomes blocks, sooner or later: not while queries are measured.
fn await_blocks(kind: Kind, plan: &Plan, data: &Path) {
    /// Both look for what can become a block once a minute.
    const PATIENCE: Duration = Duration::from_secs(150);
    let span = plan.samples as i64 * STEP;
    let start = Instant::now();
    let has_block = || {
        let entries = std::fs::read_dir(data).into_iter().flatten().flatten();
        entries
            .into_iter()
            .any(|entry| entry.path().join("meta.json").exists())
    };
    while kind == Kind::Prometheus && span > 4 * 3_600_000 && !has_block() {
        assert!(start.elapsed() < PATIENCE, "no block is made");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn title(query: &Query) -> String {
    match query.when {
        When::Instant => format!("{}, instant", query.name),
        When::Range(hours) => format!("{}, {hours} h", query.name),
    }
}

/// CPU and wall milliseconds of one query: the CPU as a mean over many, because the system counts in
/// steps of 10 ms; the wall as a median.
fn ask(server: &Server, kind: Kind, query: &Query, plan: &Plan, least_cpu: f64) -> (f64, f64) {
    // Between the samples, because old servers count one that is as old as the window is long.
    let seconds = |millis: i64| ((millis / STEP * STEP) as f64 / 1000.0 + 3.217).to_string();
    let end = seconds(plan.end());
    let (path, mut form) = match query.when {
        When::Instant => (
            "query",
            vec![("query", query.expression), ("time", end.as_str())],
        ),
        When::Range(_) => (
            "query_range",
            vec![
                ("query", query.expression),
                ("end", end.as_str()),
                ("step", "60"),
            ],
        ),
    };
    let start;
    if let When::Range(hours) = query.when {
        start = seconds((plan.end() - hours * 3_600_000).max(plan.base));
        form.push(("start", start.as_str()));
    }
    if kind == Kind::Victoria {
        // It keeps results; what is measured here is how they are found.
        form.push(("nocache", "1"));
    }
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
    let mut times: Vec<Duration> = Vec::new();
    let spent = || cpu_seconds(server.process.id()) - before;
    while times.len() < 3 || (spent() < least_cpu && times.len() < 500) {
        times.push(run());
    }
    (spent() * 1000.0 / times.len() as f64, median_millis(times))
}

/// A snapshot makes a block of the head.
fn head_to_block(server: &Server, folder: &Path, at: usize, table: &mut Table) {
    let pid = server.process.id();
    reset_peak(pid);
    let (before, start) = (cpu_seconds(pid), Instant::now());
    let answer = api::post(&format!("{}/api/v1/admin/tsdb/snapshot", server.url), &[]);
    let answer = answer.expect("the server answers");
    assert_eq!(answer.status, 200, "{}", answer.body);
    table.note(
        at,
        "snapshot, head to block: wall",
        "s",
        start.elapsed().as_secs_f64(),
    );
    table.note(
        at,
        "snapshot, head to block: CPU",
        "s",
        cpu_seconds(pid) - before,
    );
    table.note(
        at,
        "snapshot, head to block: peak memory",
        "MiB",
        peak_memory_mib(pid),
    );
    if let Some(bytes) = block_bytes_a_sample(&folder.join("data/snapshots")) {
        table.note(at, "blocks: bytes a sample", "B", bytes);
    }
}
