//! Garbage is refused with a clear message, and nothing is lost.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::{Running, Server, free_port, program};
use headwater_tests::{api, eventually};

/// Starts the server and returns its status and output once it has ended by itself.
fn refused(arguments: &[String], folder: &Path) -> (i32, String) {
    let mut server = Running::start(&program("prometheus"), arguments, folder);
    let status = server.wait();
    // The pipes are read by threads of their own; the last line may take a moment.
    let output = eventually("it says why", || {
        Some(server.output()).filter(|output| !output.is_empty())
    });
    (status.code().unwrap_or(-1), output)
}

fn flags(folder: &Path, port: u16) -> Vec<String> {
    vec![
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", folder.join("data").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ]
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("prometheus.yml"),
        "global:\n  scrape_intervall: 5s\n",
    )
    .unwrap();
    let (status, output) = refused(&flags(folder.path(), free_port()), folder.path());
    assert_eq!(status, 2, "{output}");
    for part in ["prometheus.yml", "2", "scrape_intervall", "scrape_interval"] {
        assert!(output.contains(part), "{part} is missing: {output}");
    }
}

#[test]
fn an_unknown_flag_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (status, output) = refused(&["--storage.tsdb.pth=x".to_owned()], folder.path());
    assert_eq!(status, 2, "{output}");
    assert!(output.contains("storage.tsdb.pth"), "{output}");
}

#[test]
fn a_port_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (status, output) = refused(&flags(folder.path(), port), folder.path());
    assert_ne!(status, 0, "{output}");
    assert!(
        output.contains(&port.to_string()) && output.contains("in use"),
        "{output}"
    );
}

#[test]
fn a_data_directory_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let first = Server::prometheus(folder.path(), &[]);
    let (status, output) = refused(&flags(folder.path(), free_port()), folder.path());
    assert_ne!(status, 0, "{output}");
    assert!(output.contains("in use by another process"), "{output}");
    assert_eq!(
        api::get(&format!("{}/-/ready", first.url)).unwrap().status,
        200,
        "the first goes on"
    );
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    // A file where the directory should be stands for every place that refuses, also for root.
    fs::write(folder.path().join("data"), "").unwrap();
    let (status, output) = refused(&flags(folder.path(), free_port()), folder.path());
    assert_ne!(status, 0, "{output}");
    assert!(
        output.contains(&folder.path().join("data").display().to_string()),
        "{output}"
    );
}

/// A target whose page is garbage beside one that is well.
fn beside_a_good_target(page: Page, more: &str) -> (tempfile::TempDir, Server) {
    let bad = Exporter::serve(move || page.clone());
    let good = Exporter::serve(|| Page::text("fine 1\n"));
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: bad\n{more}  static_configs: [{{targets: ['{}']}}]\n- job_name: good\n  static_configs: [{{targets: ['{}']}}]\n",
        bad.address(),
        good.address()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let server = Server::prometheus(folder.path(), &[]);
    (folder, server)
}

/// The message with which the bad target failed, once it has; the good one is up all the while.
fn failure(server: &Server) -> String {
    let message = eventually("the bad target is down and says why", || {
        let targets = api::get(&format!("{}/api/v1/targets", server.url))
            .ok()?
            .json();
        let active = targets["data"]["activeTargets"].as_array()?;
        let bad = active
            .iter()
            .find(|target| target["labels"]["job"] == "bad")?;
        let message = bad["lastError"].as_str()?.to_owned();
        (bad["health"] == "down" && !message.is_empty()).then_some(message)
    });
    eventually("the good target is up", || {
        let up = api::vector(&api::query(&server.url, "up{job=\"good\"}", None));
        (up.into_values().sum::<f64>() == 1.0).then_some(())
    });
    let down = api::vector(&api::query(&server.url, "up{job=\"bad\"}", None));
    assert_eq!(down.into_values().collect::<Vec<_>>(), [0.0]);
    message
}

#[test]
fn two_hundred_megabytes_of_junk_are_refused_in_bounded_memory() {
    let junk: Vec<u8> = (0..200_000_000u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let (_folder, server) = beside_a_good_target(Page::text(junk), "  scrape_timeout: 1s\n");
    let message = failure(&server);
    assert!(!message.is_empty());
    let peak = api::vector(&api::query(
        &server.url,
        "process_resident_memory_bytes",
        None,
    ));
    assert!(peak.values().all(|bytes| *bytes < 600e6), "{peak:?}");
}

#[test]
fn a_body_over_the_limit_is_named() {
    let (_folder, server) =
        beside_a_good_target(Page::text("a 1\n".repeat(1000)), "  body_size_limit: 1KB\n");
    assert_eq!(failure(&server), "body size limit exceeded");
}

#[test]
fn a_truncated_gzip_body_is_refused() {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer
        .write_all("metric 1\n".repeat(10_000).as_bytes())
        .unwrap();
    let mut packed = packer.finish().unwrap();
    packed.truncate(packed.len() / 2);
    let mut page = Page::text(packed);
    page.headers.push_str("Content-Encoding: gzip\r\n");
    let (_folder, server) = beside_a_good_target(page, "");
    let message = failure(&server);
    assert!(
        message.contains("gzip") || message.contains("EOF"),
        "{message}"
    );
    assert!(
        api::vector(&api::query(&server.url, "metric", None)).is_empty(),
        "half a body stores nothing"
    );
}

#[test]
fn monstrous_queries_are_refused_and_the_server_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let server = Server::prometheus(folder.path(), &[]);
    let parentheses = "(".repeat(1_000_000);
    let answer = api::post(
        &format!("{}/api/v1/query", server.url),
        &[("query", &parentheses)],
    )
    .unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["errorType"], "bad_data");
    assert!(
        answer.body.len() < 10_000,
        "an error of {} bytes",
        answer.body.len()
    );

    let form = [
        ("query", "up"),
        ("start", "0"),
        ("end", "1000000000"),
        ("step", "1"),
    ];
    let answer = api::post(&format!("{}/api/v1/query_range", server.url), &form).unwrap();
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(
        answer
            .body
            .contains("exceeded maximum resolution of 11,000 points per timeseries"),
        "{}",
        answer.body
    );

    let answer = api::post(
        &format!("{}/api/v1/query", server.url),
        &[("query", "1 + 1")],
    )
    .unwrap();
    assert_eq!(answer.json()["data"]["result"][1], "2");
}
