//! What a server writes down about queries: which run, in a file that a crash leaves, and all of them in
//! the query log.

use std::fs;

use headwater_tests::process::Server;
use headwater_tests::{api, eventually};
use serde_json::Value;

#[test]
fn queries_are_logged_and_those_of_a_crash_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prometheus.yml");
    fs::write(&file, "global: {query_log_file: query.log}\n").unwrap();
    // What a server that was killed in the middle of a query leaves.
    let data = folder.path().join("data");
    fs::create_dir_all(&data).unwrap();
    let mut left = b"[{\"query\":\"slow_one\",\"timestamp_sec\":1700000000}".to_vec();
    left.resize(1000, 0);
    left.push(b',');
    fs::write(data.join("queries.active"), left).unwrap();

    let server = Server::prometheus(folder.path(), &["--query.max-concurrency=3"]);
    eventually("the unfinished query is told", || {
        let output = server.process.output();
        let told = output.contains("These queries didn't finish") && output.contains("slow_one");
        told.then_some(())
    });
    let active = fs::read(data.join("queries.active")).unwrap();
    assert_eq!((active.len(), active[0]), (3001, b'['));
    assert!(active[1..].iter().all(|byte| *byte == 0), "it is told once");

    let log = folder.path().join("query.log");
    let line = |query: &str| {
        let found = |line: &str| -> Option<Value> {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["params"]["query"] == query).then_some(line)
        };
        eventually("the query is logged", || {
            api::query(&server.url, query, Some(1000.0));
            let text = fs::read_to_string(&log).unwrap_or_default();
            text.lines().find_map(found)
        })
    };
    let logged = line("up + 1");
    assert_eq!(logged["params"]["start"], "1970-01-01T00:16:40.000Z");
    assert_eq!(logged["httpRequest"]["clientIP"], "127.0.0.1");
    assert_eq!(logged["httpRequest"]["path"], "/api/v1/query");
    assert!(logged["stats"]["timings"]["execTotalTime"].is_number());

    // A log that was moved away is begun anew on reload; without the setting nothing is written.
    fs::rename(&log, folder.path().join("old.log")).unwrap();
    let reload = || {
        let answer = api::post(&format!("{}/-/reload", server.url), &[]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    reload();
    line("up + 2");
    fs::write(&file, "").unwrap();
    reload();
    let before = fs::metadata(&log).unwrap().len();
    for _ in 0..20 {
        api::query(&server.url, "up + 3", Some(1000.0));
    }
    assert_eq!(fs::metadata(&log).unwrap().len(), before);
}
