//! Flags, each with what it changes for the user.

use std::fs;

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::{Running, Server, free_port, program};
use headwater_tests::{api, eventually};

/// A server with a sound file that scrapes nothing.
fn server(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let server = Server::prometheus(folder.path(), flags);
    (folder, server)
}

/// A server that has a few samples of `lamps{n}`, scraped with times of their own.
fn server_with_samples(flags: &[&str]) -> (tempfile::TempDir, Server, f64) {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64;
    let at = now - 600_000;
    let exporter = Exporter::serve(move || {
        Page::text(
            (0..50)
                .map(|n| format!("lamps{{n=\"{n}\"}} {n} {at}\n"))
                .collect::<String>(),
        )
    });
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: l\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let server = Server::prometheus(folder.path(), flags);
    let time = at as f64 / 1000.0;
    eventually("the samples are stored", || {
        let answer = api::post(
            &format!("{}/api/v1/series", server.url),
            &[("match[]", "lamps")],
        )
        .ok()?;
        (answer.json()["data"].as_array()?.len() == 50).then_some(())
    });
    (folder, server, time)
}

fn ask(server: &Server, expression: &str, time: f64) -> api::Answer {
    api::post(
        &format!("{}/api/v1/query", server.url),
        &[("query", expression), ("time", &time.to_string())],
    )
    .unwrap()
}

#[test]
fn lookback_delta_says_how_old_a_sample_may_be() {
    let (_folder, server, at) = server_with_samples(&["--query.lookback-delta=1m"]);
    let found = |time: f64| {
        ask(&server, "count(lamps)", time).json()["data"]["result"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!((found(at + 59.0), found(at + 61.0)), (1, 0));
}

#[test]
fn max_samples_refuses_large_queries_by_name() {
    let (_folder, server, at) = server_with_samples(&["--query.max-samples=20"]);
    let answer = ask(&server, "lamps", at + 1.0);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("too many samples"), "{}", answer.body);
    assert_eq!(ask(&server, "lamps{n=\"1\"}", at + 1.0).status, 200);
}

#[test]
fn the_admin_api_deletes_only_if_it_is_on() {
    let (folder, server, at) = server_with_samples(&["--web.enable-admin-api"]);
    let url = format!("{}/api/v1/admin/tsdb/delete_series", server.url);
    let answer = api::post(&url, &[("match[]", "lamps{n=~\"1.\"}")]).unwrap();
    assert_eq!(answer.status, 204, "{}", answer.body);
    assert_eq!(
        ask(&server, "count(lamps)", at + 1.0).json()["data"]["result"][0]["value"][1],
        "40"
    );
    let cleaned = api::post(
        &format!("{}/api/v1/admin/tsdb/clean_tombstones", server.url),
        &[],
    )
    .unwrap();
    assert_eq!(cleaned.status, 204, "{}", cleaned.body);
    let answer = api::post(&format!("{}/api/v1/admin/tsdb/snapshot", server.url), &[]).unwrap();
    let name = answer.json()["data"]["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{}", answer.body))
        .to_owned();
    let copy = folder.path().join("data/snapshots").join(name);
    assert!(
        fs::read_dir(copy).unwrap().count() > 0,
        "the snapshot has a block"
    );

    let (_folder, server) = self::server(&[]);
    let answer = api::post(
        &format!("{}/api/v1/admin/tsdb/delete_series", server.url),
        &[("match[]", "a")],
    )
    .unwrap();
    assert!(
        answer.status >= 400 && answer.body.contains("disabled"),
        "{} {}",
        answer.status,
        answer.body
    );
}

#[test]
fn routes_lie_under_the_prefix() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!("--web.listen-address={address}"),
        "--web.external-url=http://example.com/metrics-of-us/".to_owned(),
    ];
    let _server = Running::start(&program("prometheus"), &arguments, folder.path());
    eventually("the prefix answers", || {
        api::get(&format!("http://{address}/metrics-of-us/-/ready"))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    assert_eq!(
        api::get(&format!("http://{address}/-/ready"))
            .unwrap()
            .status,
        404
    );
}

#[test]
fn several_addresses_answer_and_the_page_has_its_title() {
    let second = format!("127.0.0.1:{}", free_port());
    let (_folder, server) = server(&[
        &format!("--web.listen-address={second}"),
        "--web.page-title=Our lamps",
    ]);
    for url in [&server.url, &format!("http://{second}")] {
        assert_eq!(api::get(&format!("{url}/-/healthy")).unwrap().status, 200);
    }
    let pages =
        ["/", "/query"].map(|path| api::get(&format!("{}{path}", server.url)).unwrap().body);
    assert!(
        pages.iter().any(|page| page.contains("Our lamps")),
        "{}",
        pages[1]
    );
}

#[test]
fn users_of_the_web_configuration_must_log_in() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    // bcrypt of "secret", cost 4.
    let file = folder.path().join("web.yml");
    fs::write(&file, "basic_auth_users: {alice: '$2b$04$abcdefghijklmnopqrstuuVqwJZKZ9TVxTDbQtXyCS4QJ9Sn0E0lK'}\n").unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [
        format!(
            "--config.file={}",
            folder.path().join("prometheus.yml").display()
        ),
        format!("--web.listen-address={address}"),
        format!("--web.config.file={}", file.display()),
    ];
    let _server = Running::start(&program("prometheus"), &arguments, folder.path());
    let answer = eventually("the server answers", || {
        api::get(&format!("http://{address}/api/v1/labels")).ok()
    });
    assert_eq!(answer.status, 401, "{}", answer.body);
}

#[test]
fn files_are_watched_if_asked() {
    let (folder, server) = server(&["--config.auto-reload", "--config.auto-reload-interval=1s"]);
    fs::write(
        folder.path().join("prometheus.yml"),
        "global: {scrape_interval: 13s}\n",
    )
    .unwrap();
    eventually("the new file is taken over", || {
        let answer = api::get(&format!("{}/api/v1/status/config", server.url)).ok()?;
        answer.body.contains("scrape_interval: 13s").then_some(())
    });
}

#[test]
fn logs_are_json_if_asked_and_levels_hold() {
    let (_folder, server) = server(&["--log.format=json"]);
    let line = eventually("a line of the log", || {
        server
            .process
            .output()
            .lines()
            .find(|line| line.starts_with('{'))
            .map(str::to_owned)
    });
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(json["msg"].is_string() && json["level"] == "INFO", "{line}");

    let (_folder, mut server) = self::server(&["--log.level=error"]);
    assert!(server.process.terminate().success());
    assert!(
        !server.process.output().contains("level=INFO"),
        "{}",
        server.process.output()
    );
}

#[test]
fn lifecycle_requests_are_refused_unless_allowed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let arguments = [format!("--web.listen-address={address}")];
    let _closed = Running::start(&program("prometheus"), &arguments, folder.path());
    eventually("the server is ready", || {
        api::get(&format!("http://{address}/-/ready"))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    assert_eq!(
        api::post(&format!("http://{address}/-/reload"), &[])
            .unwrap()
            .status,
        403
    );

    let (_folder, mut open) = server(&[]);
    assert_eq!(
        api::post(&format!("{}/-/quit", open.url), &[])
            .unwrap()
            .status,
        200
    );
    assert!(open.process.wait().success());
}

#[test]
fn flags_and_features_are_shown_and_unknown_features_warned_of() {
    let (_folder, server) = server(&[
        "--query.max-concurrency=3",
        "--enable-feature=promql-experimental-functions,levitation",
    ]);
    let flags = api::get(&format!("{}/api/v1/status/flags", server.url))
        .unwrap()
        .json();
    assert_eq!(flags["data"]["query.max-concurrency"], "3");
    assert!(
        server.process.output().contains("levitation"),
        "{}",
        server.process.output()
    );
    assert_eq!(
        ask(&server, "sort_by_label(vector(1), \"a\")", 1.0).status,
        200
    );
    let (_folder, plain) = self::server(&[]);
    assert_eq!(
        ask(&plain, "sort_by_label(vector(1), \"a\")", 1.0).status,
        400
    );
}
