//! A disk that is full or read-only: said clearly, nothing lost, and better again without a restart.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::mount::Mount;
use headwater_tests::process::{Running, Server, free_port, program};
use headwater_tests::{api, eventually};

#[test]
fn a_read_only_disk_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mount) = Mount::tmpfs(&disk, "1m") else {
        return;
    };
    mount.remount("ro");
    let arguments = [
        format!(
            "--config.file={}",
            folder.path().join("prometheus.yml").display()
        ),
        format!("--storage.tsdb.path={}", disk.join("data").display()),
        format!("--web.listen-address=127.0.0.1:{}", free_port()),
    ];
    let mut server = Running::start(&program("prometheus"), &arguments, folder.path());
    assert!(!server.wait().success());
    let output = eventually("it says why", || {
        Some(server.output()).filter(|output| output.contains("ead-only"))
    });
    assert!(output.contains(&disk.display().to_string()), "{output}");
}

/// Pages that do not compress well, so that the disk fills quickly.
fn page(at: u64) -> Page {
    let mut body = format!("sequence {at}\n");
    for series in 0..1000u64 {
        let noise = (at * 1000 + series + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        writeln!(body, "noise{{n=\"{series}\"}} {noise}").unwrap();
    }
    Page::text(body)
}

#[test]
fn a_full_disk_stops_nothing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    let Some(mount) = Mount::tmpfs(&data, "1m") else {
        return;
    };
    let next = Arc::new(AtomicU64::new(0));
    let exporter = Exporter::serve(move || page(next.fetch_add(1, Ordering::Relaxed) + 1));
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: n\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let mut server = Server::prometheus(folder.path(), &[]);
    eventually("the disk is full and the server says so", || {
        let output = server.process.output();
        (output.contains("o space") || output.contains("full")).then_some(())
    });
    let full = sequence(&server.url);
    assert!(!full.is_empty(), "what was stored before is still answered");

    mount.remount("size=64m");
    let more = eventually("scrapes are stored again without a restart", || {
        let now = sequence(&server.url);
        (now.last() > full.last() && now.len() > full.len() + 3).then_some(now)
    });
    server.crash_and_restart();
    let after = sequence(&server.url);
    for number in &more {
        assert!(
            after.contains(number),
            "scrape {number} was shown and is gone: {after:?}"
        );
    }
}

/// The sequence numbers that the server shows, in order of time.
fn sequence(url: &str) -> Vec<u64> {
    let result = api::query(url, "sequence[1h]", None);
    let values = result[0]["values"].as_array().cloned().unwrap_or_default();
    values
        .iter()
        .map(|pair| pair[1].as_str().unwrap().parse().unwrap())
        .collect()
}
