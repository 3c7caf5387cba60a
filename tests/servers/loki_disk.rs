//! A full disk under our Loki: pushes are refused before anything breaks, questions are answered on, and
//! once there is space again nothing need be restarted.

use std::collections::BTreeMap;
use std::fs;

use headwater_tests::mount::Mount;
use headwater_tests::process::Server;
use headwater_tests::{api, eventually, now_millis};
use serde_json::json;

/// Bytes of one line. Digits of noise, so that the disk fills quickly.
const LINE_BYTES: usize = 20_000;
/// Lines that would fill the disk many times over.
const MOST: u64 = 4000;

fn line(number: u64) -> String {
    let mut line = format!("number={number} ");
    let mut state = number + 1;
    while line.len() < LINE_BYTES {
        state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) ^ number;
        line.push_str(&format!("{state:x}"));
    }
    line
}

/// The status and the words of a push of one line.
fn push(url: &str, number: u64) -> (u16, String) {
    let value = json!([format!("{}000000", now_millis()), line(number)]);
    let stream = json!({ "stream": { "app": "disk" }, "values": [value] });
    let body = json!({ "streams": [stream] });
    let answer = api::post_json(&format!("{url}/loki/api/v1/push"), &body).unwrap();
    (answer.status, answer.body)
}

/// How often each number is found.
fn found(url: &str) -> BTreeMap<u64, usize> {
    let form = [
        (
            "query",
            "{app=\"disk\"} | logfmt number | line_format \"{{.number}}\"",
        ),
        ("limit", "5000"),
    ];
    let answer = api::post(&format!("{url}/loki/api/v1/query_range"), &form).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut numbers = BTreeMap::new();
    for stream in answer.json()["data"]["result"].as_array().unwrap() {
        for value in stream["values"].as_array().unwrap() {
            let number = value[1].as_str().unwrap().parse().unwrap();
            *numbers.entry(number).or_default() += 1;
        }
    }
    numbers
}

fn check(url: &str, acknowledged: &[u64]) {
    let found = found(url);
    for number in acknowledged {
        assert_eq!(found.get(number), Some(&1), "line {number}");
    }
}

#[test]
fn a_full_disk_is_told_and_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    let Some(mount) = Mount::tmpfs(&disk, "16m") else {
        return;
    };
    let config = format!(
        "auth_enabled: false\ncommon: {{path_prefix: '{}'}}\nlimits_config: {{ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB}}\n",
        disk.display()
    );
    fs::write(folder.path().join("loki.yaml"), config).unwrap();
    let mut server = Server::loki(folder.path());
    let url = server.url.clone();
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    let (status, said) = loop {
        assert!(next < MOST, "the disk does not fill");
        match push(&url, next) {
            (204, _) => acknowledged.push(next),
            refused => break refused,
        }
        next += 1;
    };
    assert!(acknowledged.len() > 10, "{acknowledged:?}");
    // Clients try 5xx again, and what they sent is not lost.
    assert_eq!(status, 503, "{said}");
    assert!(said.contains("space") || said.contains("full"), "{said}");
    check(&url, &acknowledged);
    next += 1;
    assert_eq!(push(&url, next).0, 503, "and again");
    check(&url, &acknowledged);

    mount.remount("size=256m");
    next += 1;
    eventually("pushes are taken again without a restart", || {
        let taken = push(&url, next).0 == 204;
        if taken {
            acknowledged.push(next);
        }
        next += 1;
        taken.then_some(())
    });
    check(&url, &acknowledged);
    server.crash_and_restart();
    check(&server.url, &acknowledged);
}
