//! Our Loki as a whole: started, pushed to, asked, followed, killed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_tests::process::Server;
use headwater_tests::websocket::WebSocket;
use headwater_tests::{api, corpus, eventually};
use serde_json::{Value, json};

/// Lines of one push under load.
const BATCH: usize = 20;
/// Clients that push at once.
const PUSHERS: usize = 4;

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}

fn kills() -> usize {
    std::env::var("HEADWATER_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10)
}

fn server(folder: &Path) -> Server {
    let config = format!(
        "auth_enabled: false\ncommon: {{path_prefix: '{}'}}\nlimits_config: {{ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000, per_stream_rate_limit: 1GB, per_stream_rate_limit_burst: 1GB, max_entries_limit_per_query: 1000000}}\n",
        folder.display()
    );
    fs::write(folder.join("loki.yaml"), config).unwrap();
    Server::loki(folder)
}

fn push(url: &str, stream: Value, values: &[Value]) -> Option<u16> {
    let body = json!({ "streams": [{ "stream": stream, "values": values }] });
    let answer = api::post_json(&format!("{url}/loki/api/v1/push"), &body).ok()?;
    assert!(
        answer.status < 400 || answer.status >= 500,
        "{}",
        answer.body
    );
    Some(answer.status)
}

/// The lines of the last hour that a query selects, at most `limit`, with how often each comes.
fn lines(url: &str, query: &str, limit: &str) -> BTreeMap<String, usize> {
    let form = [("query", query), ("limit", limit), ("direction", "forward")];
    let answer = api::post(&format!("{url}/loki/api/v1/query_range"), &form).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut out = BTreeMap::new();
    let answer = answer.json();
    for stream in answer["data"]["result"].as_array().unwrap() {
        for value in stream["values"].as_array().unwrap() {
            *out.entry(value[1].as_str().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    out
}

#[test]
fn what_is_pushed_is_found_followed_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path());
    let url = server.url.clone();
    let mut tail = WebSocket::open(&format!(
        "{url}/loki/api/v1/tail?query=%7Bapp%3D%22shop%22%7D%20%7C%3D%20%22sold%22"
    ));
    let values = [
        json!([now().to_string(), "level=info sold 1", { "trace_id": "abc" }]),
        json!([now().to_string(), "level=info bought 1"]),
    ];
    assert_eq!(push(&url, json!({ "app": "shop" }), &values), Some(204));

    let frame: Value = serde_json::from_str(&tail.next_text().unwrap()).unwrap();
    let stream = &frame["streams"][0];
    assert_eq!(stream["values"][0][1], "level=info sold 1");
    assert_eq!(stream["stream"]["trace_id"], "abc");
    assert_eq!(stream["stream"]["detected_level"], "info");

    assert_eq!(lines(&url, "{app=\"shop\"}", "100").len(), 2);
    let names = api::get(&format!("{url}/loki/api/v1/labels"))
        .unwrap()
        .json();
    assert_eq!(names["data"], json!(["app", "service_name"]));
    let sum = "query=sum(count_over_time(%7Bapp%3D%22shop%22%7D%5B5m%5D))";
    let sum = api::get(&format!("{url}/loki/api/v1/query?{sum}"))
        .unwrap()
        .json();
    assert_eq!(sum["data"]["result"][0]["value"][1], "2");

    // Told to stop, the server says good bye to followers, writes what is in memory, and ends well.
    assert!(
        server.process.terminate().success(),
        "{}",
        server.process.output()
    );
    assert_eq!(tail.next_text(), None);
    let parts = folder.path().join("headwater/parts/fake");
    assert_eq!(fs::read_dir(parts).unwrap().count(), 1);
    server.crash_and_restart();
    assert_eq!(lines(&server.url, "{app=\"shop\"}", "100").len(), 2);
}

#[test]
fn the_file_of_the_documentation_is_understood() {
    let Some(corpora) = corpus("loki") else {
        return;
    };
    let text = fs::read_to_string(corpora.join("loki-local-config.yaml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let text = text.replace("/tmp/loki", &folder.path().to_string_lossy());
    fs::write(folder.path().join("loki.yaml"), text).unwrap();
    let server = Server::loki(folder.path());
    let values = [json!([now().to_string(), "x"])];
    assert_eq!(push(&server.url, json!({ "app": "a" }), &values), Some(204));
    assert_eq!(lines(&server.url, "{app=\"a\"}", "100").len(), 1);
}

/// Lines that the server has acknowledged, and how many pushes that were.
#[derive(Default)]
struct Acknowledged {
    lines: Mutex<Vec<String>>,
    pushes: AtomicUsize,
    stop: AtomicBool,
}

/// Pushes lines that nobody pushed before until told to stop; no push is tried twice.
fn pusher(url: &str, name: &str, round: usize, done: &Acknowledged) {
    for number in 0.. {
        if done.stop.load(Ordering::Relaxed) {
            return;
        }
        let text = |line: usize| format!("{name} round={round} push={number} line={line}");
        let values: Vec<Value> = (0..BATCH)
            .map(|line| json!([now().to_string(), text(line)]))
            .collect();
        if push(url, json!({ "app": "load", "pusher": name }), &values) == Some(204) {
            done.lines.lock().unwrap().extend((0..BATCH).map(text));
            done.pushes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn acknowledged_lines_survive_kill_9_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path());
    let mut expected: Vec<String> = Vec::new();
    for round in 0..kills() {
        let done = Arc::new(Acknowledged::default());
        let pushers: Vec<_> = (0..PUSHERS)
            .map(|number| {
                let (url, done) = (server.url.clone(), done.clone());
                std::thread::spawn(move || pusher(&url, &format!("p{number}"), round, &done))
            })
            .collect();
        eventually("pushes are acknowledged", || {
            (done.pushes.load(Ordering::Relaxed) > 10 + round % 7).then_some(())
        });
        let flush = (round % 3 == 1).then(|| {
            let url = format!("{}/flush", server.url);
            std::thread::spawn(move || drop(api::get(&url)))
        });
        eventually("more pushes are acknowledged", || {
            (done.pushes.load(Ordering::Relaxed) > 15 + round % 11).then_some(())
        });
        server.process.kill();
        done.stop.store(true, Ordering::Relaxed);
        pushers
            .into_iter()
            .for_each(|pusher| pusher.join().unwrap());
        flush.into_iter().for_each(|flush| flush.join().unwrap());
        server.crash_and_restart();
        expected.append(&mut done.lines.lock().unwrap());
        check(&server.url, &expected, round);
    }
}

fn check(url: &str, expected: &[String], round: usize) {
    let there = lines(url, "{app=\"load\"}", "1000000");
    for line in expected {
        assert_eq!(there.get(line), Some(&1), "round {round}: {line}");
    }
    let twice = there.iter().find(|(_, count)| **count != 1);
    assert_eq!(twice, None, "round {round}");
}

#[test]
fn bad_input_is_refused_and_harms_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let url = &server.url;
    let pushed = |body: Value| {
        let answer = api::post_json(&format!("{url}/loki/api/v1/push"), &body).unwrap();
        (answer.status, answer.body)
    };
    let stream = |labels: Value, line: &str| json!({ "streams": [{ "stream": labels, "values": [[now().to_string(), line]] }] });
    let (status, said) = pushed(stream(json!({ "app": "x" }), &"x".repeat(10 << 20)));
    assert_eq!(status, 400);
    assert!(
        said.contains("max entry size '262144' bytes exceeded"),
        "{said}"
    );
    let many: serde_json::Map<String, Value> = (0..10_000)
        .map(|number| (format!("l{number}"), json!("x")))
        .collect();
    let (status, said) = pushed(Value::Object(many.clone()));
    assert_eq!(
        (status, said.as_str()),
        (
            422,
            "error at least one valid stream is required for ingestion\n"
        )
    );
    let (status, said) = pushed(stream(Value::Object(many), "x"));
    assert_eq!(status, 400);
    assert!(said.contains("more than 1024 labels"), "{said}");

    let asked = |query: &str, more: &[(&str, &str)]| {
        let form: Vec<_> = [("query", query)]
            .into_iter()
            .chain(more.iter().copied())
            .collect();
        let answer = api::post(&format!("{url}/loki/api/v1/query_range"), &form).unwrap();
        (answer.status, answer.body)
    };
    let (status, _) = asked(&format!("{{app=~\"{}\"}}", "a|".repeat(50_000)), &[]);
    assert_eq!(status, 400);
    let ten_years = [("start", "1480000000"), ("end", "1795000000")];
    let (status, said) = asked("{app=\"x\"}", &ten_years);
    assert_eq!(status, 400);
    assert!(
        said.contains("the query time range exceeds the limit"),
        "{said}"
    );
    let (status, _) = asked(&"(".repeat(100_000), &[]);
    assert_eq!(status, 400);

    let (status, said) = pushed(stream(json!({ "app": "fine" }), "still here"));
    assert_eq!((status, said.as_str()), (204, ""));
    assert_eq!(lines(url, "{app=\"fine\"}", "10").len(), 1);
}
