//! A server's life: start without a file, show living data, reload, stop.

use std::fs;

use headwater_tests::process::{Running, Server, free_port, program};
use headwater_tests::{api, eventually};

#[test]
fn starts_without_a_configuration_and_shows_living_data() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("127.0.0.1:{}", free_port());
    let arguments = [format!("--web.listen-address={url}")];
    let mut server = Running::start(&program("prometheus"), &arguments, folder.path());
    let url = format!("http://{url}");
    eventually("the server says where to look", || {
        server.output().contains(&url).then_some(())
    });
    eventually("the server is ready", || {
        api::get(&format!("{url}/-/ready"))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    eventually("the server scrapes itself and its host", || {
        let up = api::vector(&api::query(&url, "up", None));
        (up.len() == 2 && up.values().all(|value| *value == 1.0)).then_some(())
    });
    for metric in [
        "node_cpu_seconds_total",
        "node_memory_MemTotal_bytes",
        "node_filesystem_size_bytes",
        "node_network_receive_bytes_total",
    ] {
        assert!(
            !api::vector(&api::query(&url, metric, None)).is_empty(),
            "{metric} is missing"
        );
    }
    let page = api::get(&format!("{url}/")).unwrap();
    assert!(
        page.status == 200 || page.status == 302,
        "the first page answers {}",
        page.status
    );
    assert!(server.terminate().success(), "a signal ends it in order");
    assert!(folder.path().join("data/wal").exists());
}

#[test]
fn reloads_on_signal_and_on_request_and_keeps_the_old_file_when_the_new_one_is_bad() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, "global: {scrape_interval: 7s}\n").unwrap();
    let server = Server::prometheus(folder.path(), &[]);
    let shown = || {
        api::get(&format!("{}/api/v1/status/config", server.url))
            .unwrap()
            .json()["data"]["yaml"]
            .to_string()
    };
    assert!(shown().contains("scrape_interval: 7s"), "{}", shown());

    fs::write(&file, "global: {scrape_interval: 8s}\n").unwrap();
    assert_eq!(
        api::post(&format!("{}/-/reload", server.url), &[])
            .unwrap()
            .status,
        200
    );
    assert!(shown().contains("scrape_interval: 8s"), "{}", shown());

    fs::write(&file, "global: {scrape_intervall: 9s}\n").unwrap();
    let refused = api::post(&format!("{}/-/reload", server.url), &[]).unwrap();
    assert_eq!(refused.status, 500);
    assert!(
        refused.body.contains("scrape_intervall") && refused.body.contains("scrape_interval"),
        "{}",
        refused.body
    );
    assert!(
        shown().contains("scrape_interval: 8s"),
        "the old configuration stays"
    );
    let failed = eventually("the failed reload is a metric", || {
        let page = api::get(&format!("{}/metrics", server.url)).unwrap().body;
        page.lines()
            .find(|line| line.starts_with("prometheus_config_last_reload_successful "))
            .map(str::to_owned)
    });
    assert!(failed.ends_with(" 0"), "{failed}");

    fs::write(&file, "global: {scrape_interval: 10s}\n").unwrap();
    server.process.signal(libc::SIGHUP);
    eventually("the signal reloads", || {
        shown().contains("scrape_interval: 10s").then_some(())
    });
}

#[test]
fn federates_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = headwater_tests::exporter::Exporter::serve(|| {
        headwater_tests::exporter::Page::text("lamps{room=\"attic\"} 3\n")
    });
    let config = format!(
        "global: {{scrape_interval: 1s, external_labels: {{site: here}}}}\nscrape_configs:\n- job_name: house\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let server = Server::prometheus(folder.path(), &[]);
    let line = eventually("the series is federated", || {
        let page = api::get(&format!("{}/federate?match[]=lamps", server.url)).ok()?;
        page.body
            .lines()
            .find(|line| line.starts_with("lamps{"))
            .map(str::to_owned)
    });
    for part in ["room=\"attic\"", "job=\"house\"", "site=\"here\"", "} 3 "] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn failed_scrapes_are_logged_to_a_file_if_asked() {
    let folder = tempfile::tempdir().unwrap();
    let config = "scrape_configs:\n- job_name: gone\n  scrape_interval: 1s\n  scrape_failure_log_file: failures.log\n  static_configs: [{targets: ['127.0.0.1:1']}]\n";
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let _server = Server::prometheus(folder.path(), &[]);
    let log = folder.path().join("failures.log");
    let line = eventually("the failure is in the file", || {
        fs::read_to_string(&log)
            .ok()
            .filter(|text| text.contains('\n'))
    });
    assert!(line.contains("127.0.0.1:1"), "{line}");
}
