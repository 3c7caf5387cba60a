//! Remote write: what a sample costs, and the memory of many series.

use std::path::Path;
use std::time::{Duration, Instant};

use headwater_tests::now_millis;
use headwater_tests::process::Server;

use super::MetricsOptions;
use super::contender::{Contender, Kind};
use super::load::{Plan, send, series};
use super::table::Table;
use super::workload::{SERIES, STEP};
use crate::measure::{cpu_seconds, peak_memory_mib};

/// The time at which so many samples must begin to end now.
pub(super) fn base(samples: usize) -> i64 {
    (now_millis() - (samples as i64 + 1) * STEP) / STEP * STEP
}

/// Waits until a server has nothing left to do: less than a tenth of a processor over half a second.
pub(super) fn settle(server: &Server) {
    let patience = Instant::now() + Duration::from_secs(60);
    let mut before = cpu_seconds(server.process.id());
    while Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(500));
        let now = cpu_seconds(server.process.id());
        if now - before < 0.05 {
            return;
        }
        before = now;
    }
}

/// Phase (i): 25 000 series, 120 samples each, one a request, 2000 series a request.
pub(super) fn write(options: &MetricsOptions, contender: &Contender, at: usize, table: &mut Table) {
    let series = series(options.scaled(25_000, 300) / SERIES);
    let samples = 120;
    let plan = Plan {
        base: base(samples),
        samples,
        run: 1,
        series: 2000,
    };
    let folder = tempfile::tempdir().expect("a folder for the data");
    let server = contender.start(folder.path());
    let before = cpu_seconds(server.process.id());
    let start = Instant::now();
    send(&server, &series, plan);
    let wall = start.elapsed().as_secs_f64();
    contender.flush(&server);
    settle(&server);
    let cpu = cpu_seconds(server.process.id()) - before;
    let count = (series.len() * samples) as f64;
    table.note(at, "remote write: CPU a sample", "ns", cpu * 1e9 / count);
    table.note(at, "remote write: CPU", "s", cpu);
    table.note(at, "remote write: wall, sender included", "s", wall);
    table.note(
        at,
        "remote write: peak memory",
        "MiB",
        peak_memory_mib(server.process.id()),
    );
}

/// Phase (ii): 500 000 series, 100 samples each.
pub(super) fn memory(
    options: &MetricsOptions,
    contender: &Contender,
    at: usize,
    table: &mut Table,
) {
    let series = series(options.scaled(500_000, 500) / SERIES);
    let samples = 100;
    let plan = Plan {
        base: base(samples),
        samples,
        run: 1,
        series: 5000,
    };
    let folder = tempfile::tempdir().expect("a folder for the data");
    let mut server = contender.start(folder.path());
    send(&server, &series, plan);
    contender.flush(&server);
    settle(&server);
    let peak = peak_memory_mib(server.process.id());
    table.note(at, "many series: peak memory", "MiB", peak);
    restart(&mut server, "many series, kill and reopen", at, table);
    restart_from_snapshot(contender, server, folder.path(), "many series", at, table);
}

/// Kills a server and opens it again: CPU and wall until it is ready, and the most memory.
pub(super) fn restart(server: &mut Server, what: &str, at: usize, table: &mut Table) {
    let start = Instant::now();
    server.crash_and_restart();
    note_restart(server, start, what, at, table);
}

/// CPU and wall of a server that was started at `start` and is ready, and the most memory.
fn note_restart(server: &Server, start: Instant, what: &str, at: usize, table: &mut Table) {
    let wall = start.elapsed().as_secs_f64();
    settle(server);
    let pid = server.process.id();
    table.note(at, format!("{what}: CPU"), "s", cpu_seconds(pid));
    table.note(at, format!("{what}: wall"), "s", wall);
    table.note(
        at,
        format!("{what}: peak memory"),
        "MiB",
        peak_memory_mib(pid),
    );
}

/// Has a server write a snapshot of its head when it stops, and opens it from that.
pub(super) fn restart_from_snapshot(
    contender: &Contender,
    server: Server,
    folder: &Path,
    what: &str,
    at: usize,
    table: &mut Table,
) {
    if contender.kind != Kind::Prometheus {
        return;
    }
    drop(server);
    let feature = "--enable-feature=memory-snapshot-on-shutdown";
    let mut server = contender.start_with(folder, &[feature]);
    let start = Instant::now();
    server.process.terminate();
    let wall = start.elapsed().as_secs_f64();
    table.note(at, format!("{what}, stop with a snapshot: wall"), "s", wall);
    drop(server);
    let start = Instant::now();
    let server = contender.start_with(folder, &[feature]);
    note_restart(
        &server,
        start,
        &format!("{what}, reopen from a snapshot"),
        at,
        table,
    );
}

/// Bytes of the chunks and the index of a block a sample.
pub(super) fn block_bytes_a_sample(snapshots: &Path) -> Option<f64> {
    let (mut bytes, mut samples) = (0u64, 0u64);
    for snapshot in std::fs::read_dir(snapshots).ok()?.flatten() {
        for block in std::fs::read_dir(snapshot.path()).ok()?.flatten() {
            let meta = std::fs::read(block.path().join("meta.json")).ok()?;
            let meta: serde_json::Value = serde_json::from_slice(&meta).ok()?;
            samples += meta["stats"]["numSamples"].as_u64()?;
            bytes += file_bytes(&block.path());
        }
    }
    (samples > 0).then(|| bytes as f64 / samples as f64)
}

fn file_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => file_bytes(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.len()),
        })
        .sum()
}
