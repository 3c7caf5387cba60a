//! Entries that are older than their tenant and stream keep them go, while the server runs.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_tests::process::Server;
use headwater_tests::{api, eventually};
use serde_json::json;

/// Lines of all streams with the label `app`.
fn count(url: &str, app: &str) -> usize {
    let query = format!("{{app=\"{app}\"}}");
    let answer = api::post(
        &format!("{url}/loki/api/v1/query_range"),
        &[("query", &query), ("limit", "1000")],
    )
    .unwrap();
    let answer = answer.json();
    let streams = answer["data"]["result"].as_array().unwrap().clone();
    let lines = streams
        .iter()
        .map(|stream| stream["values"].as_array().unwrap().len());
    lines.sum()
}

#[test]
fn old_entries_go_but_for_the_streams_that_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "auth_enabled: false
common: {{path_prefix: '{}'}}
compactor: {{retention_enabled: true, compaction_interval: 50ms}}
limits_config:
  retention_period: 1h
  retention_stream:
  - {{selector: '{{app=\"short\"}}', priority: 1, period: 1s}}
",
        folder.path().display()
    );
    fs::write(folder.path().join("loki.yaml"), config).unwrap();
    let server = Server::loki(folder.path());
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = since.as_nanos().to_string();
    for app in ["short", "long"] {
        let body = json!({ "streams": [{ "stream": { "app": app }, "values": [[now, "x"]] }] });
        let answer = api::post_json(&format!("{}/loki/api/v1/push", server.url), &body).unwrap();
        assert_eq!(answer.status, 204, "{}", answer.body);
        // A part of its own for each: what shares a block goes together.
        let flushed = api::post(&format!("{}/flush", server.url), &[]).unwrap();
        assert!(flushed.status < 300, "{}", flushed.body);
    }
    eventually("the entry expires", || {
        (count(&server.url, "short") == 0).then_some(())
    });
    assert_eq!(count(&server.url, "long"), 1);
}
