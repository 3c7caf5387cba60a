//! Data directories move between Debian's Prometheus and ours, both ways; and ours scrapes a real exporter.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::{Running, Server, free_port, program};
use headwater_tests::{api, eventually, peer};

const ALL: &str = "{__name__=~\".+\",job=\"j\",__name__!~\"up|scrape_.*\"}";

/// A counter, a NaN, a large value and labels that need escaping; some series end on the way.
fn page(at: u64) -> Page {
    let mut body = format!(
        "counter {at}\nodd {}\n",
        ["NaN", "+Inf", "-0", "1e-320"][at as usize % 4]
    );
    for series in 0..50 {
        if at < 20 || series % 2 == 0 {
            writeln!(
                body,
                "many{{n=\"{series}\",text=\"a\\\"b\\nc\\\\é\"}} {}",
                at * series
            )
            .unwrap();
        }
    }
    Page::text(body)
}

fn write_config(folder: &Path, targets: &[String]) {
    let quoted: Vec<String> = targets.iter().map(|target| format!("'{target}'")).collect();
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: j\n  static_configs: [{{targets: [{}]}}]\n",
        quoted.join(",")
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
}

/// Lets `path` scrape some thirty pages into `folder` and kills it; returns what it showed last.
fn fill(path: &Path, folder: &Path) -> (f64, BTreeMap<String, Vec<String>>) {
    let next = Arc::new(AtomicU64::new(0));
    let exporter = Exporter::serve({
        let next = next.clone();
        move || page(next.fetch_add(1, Ordering::Relaxed))
    });
    write_config(folder, &[exporter.address()]);
    let mut server = Server::start(path, folder, &[]);
    let time = eventually("thirty scrapes are stored", || {
        let newest = api::query(
            &server.url,
            "max(timestamp(counter) + 0 * (counter > 30))",
            None,
        );
        newest[0]["value"][1]
            .as_str()
            .map(|text| text.parse::<f64>().unwrap())
    });
    let shown = api::samples(&server.url, ALL, "10m", time);
    server.process.kill();
    // From now on nothing answers, so that a server on this folder adds no samples to what is compared.
    write_config(folder, &[]);
    assert!(shown.len() > 50, "{} series", shown.len());
    (time, shown)
}

#[test]
fn our_directory_is_read_by_the_original() {
    let (Some(promtool), Some(prometheus)) = (peer::find("promtool"), peer::find("prometheus"))
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (time, shown) = fill(&program("prometheus"), folder.path());
    let lines = peer::dump(&promtool, &folder.path().join("data"));
    let counters: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("{__name__=\"counter\""))
        .collect();
    assert!(
        counters.len() >= 30,
        "{} samples of the counter in the dump",
        counters.len()
    );
    let theirs = Server::start(&prometheus, folder.path(), &[]);
    assert_eq!(shown, api::samples(&theirs.url, ALL, "10m", time));
}

#[test]
fn the_originals_log_is_read_here() {
    let Some(prometheus) = peer::find("prometheus") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (time, shown) = fill(&prometheus, folder.path());
    let ours = Server::prometheus(folder.path(), &[]);
    assert_eq!(shown, api::samples(&ours.url, ALL, "10m", time));
}

#[test]
fn a_real_exporter_makes_sense() {
    let Some(exporter) = peer::find("prometheus-node-exporter") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let _exporter = Running::start(
        &exporter,
        &[format!("--web.listen-address={address}")],
        folder.path(),
    );
    eventually("the exporter answers", || {
        api::get(&format!("http://{address}/metrics")).ok()
    });
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: node\n  static_configs: [{{targets: ['{address}']}}]\n"
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let server = Server::prometheus(folder.path(), &[]);
    let modes = eventually("rates by mode appear", || {
        let found = api::vector(&api::query(
            &server.url,
            "sum by (mode) (rate(node_cpu_seconds_total[10s]))",
            None,
        ));
        (found.len() >= 7).then_some(found)
    });
    assert_eq!(
        api::vector(&api::query(&server.url, "up", None))
            .into_values()
            .collect::<Vec<_>>(),
        [1.0]
    );
    let cores = api::vector(&api::query(
        &server.url,
        "count(count by (cpu) (node_cpu_seconds_total))",
        None,
    ));
    let (busy, cores): (f64, f64) = (modes.values().sum(), cores.into_values().sum());
    assert!(
        busy > 0.0 && busy < cores * 1.5,
        "{busy} CPU seconds a second on {cores} cores"
    );
    // What a page shows for a value that does not change is what a query shows.
    let page = api::get(&format!("http://{address}/metrics")).unwrap().body;
    let line = page
        .lines()
        .find(|line| line.starts_with("node_memory_MemTotal_bytes "))
        .expect("the exporter shows memory");
    let shown: f64 = line.split(' ').nth(1).unwrap().parse().unwrap();
    let stored = api::vector(&api::query(&server.url, "node_memory_MemTotal_bytes", None));
    assert_eq!(stored.into_values().collect::<Vec<_>>(), [shown]);
    let families = page
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    let metadata = api::get(&format!("{}/api/v1/metadata", server.url))
        .unwrap()
        .json();
    assert_eq!(metadata["data"].as_object().unwrap().len(), families);
}
