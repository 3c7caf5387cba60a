//! Chunk snapshots go to Debian's Prometheus and come from there.

use std::path::{Path, PathBuf};

use headwater_env::Env;
use headwater_model::Matcher;
use headwater_storage::{Delete, block_on};

use crate::peers::{BASE, Server};
use crate::support::{batch, builder, commit, dump, labels, program};

const FEATURE: &str = "--enable-feature=memory-snapshot-on-shutdown,exemplar-storage";

/// The snapshot in a data directory, and the segment where the log goes on.
fn snapshot(data: &Path) -> (PathBuf, u64) {
    let entries = std::fs::read_dir(data).unwrap();
    let mut found = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("chunk_snapshot.")
    });
    let path = found.next().expect("a snapshot");
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let segment = name.split('.').nth(1).unwrap().parse().unwrap();
    assert!(found.next().is_none(), "one snapshot");
    (path, segment)
}

#[test]
fn prometheus_loads_a_snapshot_written_here() {
    if !program("prometheus") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let open = || builder(&data, Env::real()).configure(|o| o.snapshot_on_close = true);
    let db = open().open().unwrap();
    for round in 0..200i64 {
        let mut batch = batch(&db);
        for n in 0..10i64 {
            let name = labels(&[("__name__", "m"), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            let time = BASE + round * 15_000;
            batch
                .append_float(series, time, (round * n) as f64)
                .unwrap();
        }
        commit(batch);
    }
    let all = headwater_model::TimeRange::ALL;
    block_on(db.delete(vec![Matcher::equal("n", "9")], all)).unwrap();
    db.close().unwrap();
    drop(db);
    // What the snapshot stands for can only come from it.
    let (_, segment) = snapshot(&data);
    let wal = data.join("wal");
    for number in 0..segment {
        std::fs::remove_file(wal.join(format!("{number:08}"))).unwrap();
    }
    let server = Server::start_with(dir.path(), "global: {}\n", &[FEATURE]);
    let end = BASE / 1000 + 3600;
    let value = |query: &str| server.value(query, end);
    assert_eq!(value("sum(count_over_time(m[3h]))"), Some("1800".into()));
    let sum: i64 = (0..200).map(|round| round * 5).sum();
    assert_eq!(
        value("sum_over_time(m{n=%225%22}[3h])"),
        Some(sum.to_string())
    );
}

#[test]
fn a_snapshot_of_a_running_prometheus_is_loaded_here() {
    if !program("prometheus") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n\
        scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:PORT']}]}]\n";
    let server = Server::start_with(dir.path(), config, &[FEATURE]);
    server.wait_for(|server| {
        let body = server.get("/api/v1/query?query=count_over_time(up[1h])%3E5");
        body.is_some_and(|body| body.contains("metric"))
    });
    server.terminate();
    let data = dir.path().join("data");
    let copy = dir.path().join("copy");
    crate::support::copy_tree(&data, &copy);
    let from_log = builder(&copy, Env::real()).open().unwrap();
    let wanted = dump(&from_log);
    assert!(wanted.len() > 100);

    let (_, segment) = snapshot(&data);
    for number in 0..=segment {
        let path = data.join("wal").join(format!("{number:08}"));
        std::fs::write(path, b"").unwrap();
    }
    let open = builder(&data, Env::real()).configure(|o| o.snapshot_on_close = true);
    let db = open.open().unwrap();
    assert_eq!(db.stats().unwrap().snapshots_failed, 0);
    let found = dump(&db);
    assert_eq!(found.len(), wanted.len());
    for (series, samples) in &wanted {
        assert!(found.get(series) == Some(samples), "{series}");
    }
}
