//! Remote write and remote read: our server's flags, and Debian's Prometheus as sender and as asker.

use std::fs;
use std::path::Path;

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::Server;
use headwater_tests::{api, eventually, now_millis, peer, remote};
use headwater_wire::messages::{
    Label, LabelMatcher, Query, ReadRequest, ReadResponse, Sample, TimeSeries, WriteRequest, v2,
};
use prost::Message;

fn server(flags: &[&str]) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("prometheus.yml"), "{}\n").unwrap();
    let server = Server::prometheus(folder.path(), flags);
    (folder, server)
}

fn lamps(time: i64, count: i64) -> WriteRequest {
    let label = |name: &str, value: &str| Label {
        name: name.into(),
        value: value.into(),
    };
    let series = |n: i64| TimeSeries {
        labels: vec![label("__name__", "lamps"), label("n", &n.to_string())],
        samples: vec![Sample {
            value: n as f64,
            timestamp: time,
        }],
        ..TimeSeries::default()
    };
    WriteRequest {
        timeseries: (0..count).map(series).collect(),
        ..WriteRequest::default()
    }
}

fn everything(kinds: &[i32]) -> ReadRequest {
    let matcher = LabelMatcher {
        r#type: 0,
        name: "__name__".into(),
        value: "lamps".into(),
    };
    ReadRequest {
        queries: vec![Query {
            start_timestamp_ms: 0,
            end_timestamp_ms: i64::MAX,
            matchers: vec![matcher],
            hints: None,
        }],
        accepted_response_types: kinds.to_vec(),
    }
}

#[test]
fn remote_write_is_taken_only_if_it_is_on() {
    let (_folder, off) = server(&[]);
    let answer = remote::write(&off.url, &lamps(now_millis(), 3));
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("--web.enable-remote-write-receiver"));

    let (_folder, mut on) = server(&["--web.enable-remote-write-receiver"]);
    let time = now_millis();
    let answer = remote::write(&on.url, &lamps(time, 3));
    assert_eq!((answer.status, answer.text().as_str()), (204, ""));
    on.crash_and_restart();
    let found = api::query(&on.url, "sum(lamps)", Some(time as f64 / 1000.0));
    assert_eq!(found[0]["value"][1], "3");
}

#[test]
fn messages_of_remote_write_can_be_chosen() {
    let flags = [
        "--web.enable-remote-write-receiver",
        "--web.remote-write-receiver.accepted-protobuf-messages=io.prometheus.write.v2.Request",
    ];
    let (_folder, server) = server(&flags);
    assert_eq!(
        remote::write(&server.url, &lamps(now_millis(), 3)).status,
        415
    );
    let answer = remote::write2(&server.url, &v2::Request::default());
    assert_eq!(answer.status, 204, "{}", answer.text());
}

#[test]
fn remote_reads_have_their_limits() {
    let (_folder, server) = server(&[
        "--web.enable-remote-write-receiver",
        "--storage.remote.read-sample-limit=10",
        "--storage.remote.read-concurrent-limit=1",
        "--storage.remote.read-max-bytes-in-frame=1",
    ]);
    let time = now_millis();
    assert_eq!(remote::write(&server.url, &lamps(time, 10)).status, 204);
    let answer = remote::read(&server.url, &everything(&[]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let response = ReadResponse::decode(&*remote::plain(&answer.body)).unwrap();
    assert_eq!(response.results[0].timeseries.len(), 10);
    assert_eq!(remote::write(&server.url, &lamps(time + 1, 2)).status, 204);
    let answer = remote::read(&server.url, &everything(&[0]));
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (400, "exceeded sample limit (10)\n")
    );
    // Streams have no such limit: memory does not grow with them. Frames hold one chunk each here.
    assert_eq!(remote::write(&server.url, &lamps(time + 2, 2)).status, 204);
    let answer = remote::read(&server.url, &everything(&[1]));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let (mut rest, mut frames) = (&answer.body[..], 0);
    while headwater_wire::chunked::next_frame(&mut rest, 1 << 20)
        .unwrap()
        .is_some()
    {
        frames += 1;
    }
    assert_eq!(frames, 10);
}

/// A folder whose server scrapes `target` as job `j`, with further sections.
fn scraping(folder: &Path, target: &Exporter, more: &str) {
    let config = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\nscrape_configs:\n- job_name: j\n  static_configs: [{{targets: ['{}']}}]\n{more}",
        target.address()
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
}

fn page() -> Exporter {
    let lines: String = (0..40)
        .map(|n| format!("doors{{n=\"{n}\",text=\"a\\\"b\\né\"}} {n}.5\n"))
        .collect();
    Exporter::serve(move || Page::text(lines.clone()))
}

#[test]
fn debians_prometheus_sends_to_us() {
    let Some(theirs) = peer::find("prometheus") else {
        return;
    };
    let (_folder, ours) = server(&["--web.enable-remote-write-receiver"]);
    let (folder, target) = (tempfile::tempdir().unwrap(), page());
    let section = format!(
        "remote_write:\n- url: {}/api/v1/write\n  queue_config: {{batch_send_deadline: 200ms}}\n",
        ours.url
    );
    scraping(folder.path(), &target, &section);
    let _sender = Server::start(&theirs, folder.path(), &[]);
    eventually("samples arrive", || {
        let answer = api::post(
            &format!("{}/api/v1/query", ours.url),
            &[("query", "sum(count_over_time(doors[1m]))")],
        )
        .ok()?;
        let count: f64 = answer.json()["data"]["result"][0]["value"][1]
            .as_str()?
            .parse()
            .ok()?;
        (count >= 200.0).then_some(())
    });
    let found = api::query(&ours.url, "doors{n=\"7\",job=\"j\"}", None);
    assert_eq!(found[0]["value"][1], "7.5");
    assert_eq!(found[0]["metric"]["text"], "a\"b\né");
}

#[test]
fn debians_prometheus_reads_from_us() {
    let Some(theirs) = peer::find("prometheus") else {
        return;
    };
    let (_folder, ours) = server(&["--web.enable-remote-write-receiver"]);
    let start = now_millis() - 600_000;
    for at in 0..300 {
        assert_eq!(
            remote::write(&ours.url, &lamps(start + at * 1000, 5)).status,
            204
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let section = format!(
        "remote_read:\n- {{url: '{}/api/v1/read', read_recent: true}}\n",
        ours.url
    );
    fs::write(folder.path().join("prometheus.yml"), section).unwrap();
    let asker = Server::start(&theirs, folder.path(), &[]);
    let time = (start + 299_000) as f64 / 1000.0;
    let end = Some(time);
    // Through streamed chunks and through the query engines of both.
    for expression in [
        "sum(count_over_time(lamps[4m]))",
        "sum by (n) (rate(lamps[1m]))",
    ] {
        let (found, own) = (
            api::query(&asker.url, expression, end),
            api::query(&ours.url, expression, end),
        );
        if expression.contains("count") {
            // 2.42 still counts a sample that is as old as the window is long.
            let count = |result: &serde_json::Value| {
                result[0]["value"][1]
                    .as_str()
                    .and_then(|text| text.parse::<f64>().ok())
            };
            let (found, own) = (count(&found).unwrap(), count(&own).unwrap());
            assert!(found == own || found == own + 5.0, "{found} and {own}");
        } else {
            assert_eq!(api::vector(&found), api::vector(&own));
        }
    }
}
