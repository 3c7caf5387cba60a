//! Settings of the store, each with what it changes for the user.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::Server;
use headwater_tests::{api, eventually};

/// An exporter of so many series, each with the number of the scrape.
struct Lamps {
    exporter: Exporter,
    count: Arc<AtomicU64>,
}

impl Lamps {
    fn shining(count: u64) -> Lamps {
        let (count, scrapes) = (Arc::new(AtomicU64::new(count)), AtomicU64::new(0));
        let shown = count.clone();
        let exporter = Exporter::serve(move || {
            let scrape = scrapes.fetch_add(1, Ordering::Relaxed);
            let mut body = String::new();
            for n in 0..shown.load(Ordering::Relaxed) {
                writeln!(body, "lamps{{n=\"{n:012}\"}} {scrape}").unwrap();
            }
            Page::text(body)
        });
        Lamps { exporter, count }
    }

    fn scraped(&self, folder: &Path, more: &str) {
        let config = format!(
            "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n{more}scrape_configs:\n\
             - job_name: l\n  static_configs: [{{targets: ['{}']}}]\n",
            self.exporter.address()
        );
        fs::write(folder.join("prometheus.yml"), config).unwrap();
    }
}

/// The only value of a query, if there is one.
fn value(server: &Server, expression: &str) -> Option<f64> {
    let result = api::query(&server.url, expression, None);
    result[0]["value"][1].as_str()?.parse().ok()
}

fn metric(server: &Server, name: &str) -> f64 {
    let page = api::get(&format!("{}/metrics", server.url)).unwrap().body;
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name}"))
        .trim()
        .parse()
        .unwrap()
}

#[test]
fn beyond_the_memory_budget_new_series_are_refused_and_known_ones_go_on() {
    let lamps = Lamps::shining(100);
    let folder = tempfile::tempdir().unwrap();
    lamps.scraped(folder.path(), "");
    let server = Server::prometheus(folder.path(), &["--storage.tsdb.memory-budget=1MB"]);
    eventually("the first lamps are stored", || {
        value(&server, "count(lamps)").filter(|count| *count == 100.0)
    });
    lamps.count.store(5000, Ordering::Relaxed);
    let target = eventually("the target says that series are refused", || {
        let url = format!("{}/api/v1/targets?state=active", server.url);
        let answer = api::get(&url).ok()?.json();
        let target = answer["data"]["activeTargets"][0].clone();
        let error = target["lastError"].as_str()?;
        error.contains("new series refused").then_some(target)
    });
    assert_eq!(target["health"], "up", "{target}");
    let error = target["lastError"].as_str().unwrap();
    assert!(error.contains("1 MiB"), "{error}");
    assert_eq!(value(&server, "up"), Some(1.0));
    let count = value(&server, "count(lamps)").unwrap();
    assert!((100.0..5000.0).contains(&count), "{count}");
    // The first lamps have their newest number still.
    let known = "lamps{n=\"000000000007\"}";
    let before = value(&server, known).unwrap();
    eventually("a known lamp goes on", || {
        value(&server, known).filter(|now| *now > before)
    });
    assert!(metric(&server, "headwater_tsdb_series_refused_for_memory_total") > 0.0);
    assert!(metric(&server, "headwater_target_scrapes_series_refused_total") > 0.0);
    assert_eq!(
        metric(&server, "headwater_tsdb_memory_budget_bytes"),
        1048576.0
    );
    assert!(metric(&server, "headwater_tsdb_head_memory_bytes") <= 1048576.0 * 1.1);
}

fn snapshots(folder: &Path) -> usize {
    let entries = fs::read_dir(folder.join("data")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("chunk_snapshot."))
        .count()
}

#[test]
fn the_head_is_written_down_at_shutdown_if_the_feature_is_on() {
    let lamps = Lamps::shining(20);
    let folder = tempfile::tempdir().unwrap();
    lamps.scraped(
        folder.path(),
        "storage: {tsdb: {chunk_encoding: {floats: xor2}}}\n",
    );
    let feature = ["--enable-feature=memory-snapshot-on-shutdown"];
    let sum = |server: &Server| value(server, "sum(count_over_time(lamps[1h]))").unwrap_or(0.0);
    let mut before = 0.0;
    for (flags, wanted) in [(&[][..], 0), (&feature[..], 1), (&feature[..], 1)] {
        let mut server = Server::prometheus(folder.path(), flags);
        before = eventually("more lamps are stored", || {
            Some(sum(&server)).filter(|sum| *sum >= before + 60.0)
        });
        assert!(server.process.terminate().success());
        assert_eq!(snapshots(folder.path()), wanted, "{flags:?}");
    }
    let server = Server::prometheus(folder.path(), &feature);
    let output = server.process.output();
    assert!(output.contains("chunk snapshot loaded"), "{output}");
    assert!(sum(&server) >= before);
}

/// Times and values of a series, once the log is read.
fn stored(server: &Server, series: &str) -> BTreeMap<String, String> {
    let url = format!("{}/api/v1/query", server.url);
    let range = format!("{series}[1h]");
    let answer = eventually("the log is read", || {
        let answer = api::post(&url, &[("query", &range)]).ok()?.json();
        (answer["status"] == "success" && answer["warnings"].is_null()).then_some(answer)
    });
    let values = answer["data"]["result"][0]["values"].as_array();
    let text = |pair: &serde_json::Value| (pair[0].to_string(), pair[1].to_string());
    values.into_iter().flatten().map(text).collect()
}

#[test]
fn scrapes_while_the_log_is_read_are_kept_with_those_before() {
    let lamps = Lamps::shining(50);
    let folder = tempfile::tempdir().unwrap();
    lamps.scraped(folder.path(), "");
    let flags = ["--storage.tsdb.serve-during-replay"];
    let mut server = Server::prometheus(folder.path(), &flags);
    let mut seen = BTreeMap::new();
    for round in 0..5 {
        let before = seen.len();
        eventually("a new scrape is stored", || {
            seen.extend(stored(&server, "lamps{n=\"000000000001\"}"));
            (seen.len() > before + 1).then_some(())
        });
        server.crash_and_restart();
        let output = server.process.output();
        assert!(output.contains("served while its log is read"), "{output}");
        let now = stored(&server, "lamps{n=\"000000000001\"}");
        for (time, value) in &seen {
            assert_eq!(now.get(time), Some(value), "round {round}, at {time}");
        }
    }
    assert!(!folder.path().join("data/early_wal").exists());
}
