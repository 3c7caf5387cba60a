//! Input that is meant to hurt our Loki: refused with a clear message, in bounded memory, and the server
//! goes on as if nothing had been.

use std::fs;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use headwater_tests::process::Server;
use headwater_tests::{api, peak_memory};
use serde_json::json;

/// Bytes that a bomb becomes.
const BOMB: usize = 64 << 20;
/// Bytes of memory that the server may have needed at most, whatever was sent.
const MAX_MEMORY: u64 = 400 << 20;
/// Bombs that come at once.
const AT_ONCE: usize = 4;

fn server(folder: &std::path::Path) -> Server {
    let config = format!(
        "auth_enabled: false\ncommon: {{path_prefix: '{}'}}\ndistributor: {{max_decompressed_size: 16777216}}\nlimits_config: {{ingestion_rate_mb: 1000, ingestion_burst_size_mb: 1000}}\n",
        folder.display()
    );
    fs::write(folder.join("loki.yaml"), config).unwrap();
    Server::loki(folder)
}

/// Pushes one good line and finds it.
fn works(url: &str, app: &str) {
    let now = headwater_tests::now_millis();
    let stream = json!({ "stream": { "app": app }, "values": [[format!("{now}000000"), "fine"]] });
    let pushed = api::post_json(
        &format!("{url}/loki/api/v1/push"),
        &json!({ "streams": [stream] }),
    );
    assert_eq!(pushed.unwrap().status, 204);
    let query = format!("{{app=\"{app}\"}}");
    let found = api::post(
        &format!("{url}/loki/api/v1/query_range"),
        &[("query", &query)],
    )
    .unwrap();
    assert_eq!(
        found.json()["data"]["result"][0]["values"][0][1],
        "fine",
        "{}",
        found.body
    );
}

fn push(url: &str, path: &str, media: &str, encoding: &str, body: &[u8]) -> (u16, String) {
    let mut headers = vec![("Content-Type", media)];
    if !encoding.is_empty() {
        headers.push(("Content-Encoding", encoding));
    }
    let answer = api::post_bytes(&format!("{url}{path}"), &headers, body).unwrap();
    (answer.status, answer.body)
}

/// What a bomb becomes, piece by piece: a JSON text of one endless line.
fn fill(mut out: impl std::io::Write) {
    out.write_all(b"{\"streams\":[{\"stream\":{\"app\":\"bomb\"},\"values\":[[\"1\",\"")
        .unwrap();
    let piece = vec![b' '; 1 << 20];
    for _ in 0..BOMB >> 20 {
        out.write_all(&piece).unwrap();
    }
}

fn bombs() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let (json, protobuf) = ("application/json", "application/x-protobuf");
    let (loki, otlp) = ("/loki/api/v1/push", "/otlp/v1/logs");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    fill(&mut gzip);
    let gzip = gzip.finish().unwrap();
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::fast());
    fill(&mut deflate);
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    fill(&mut zstd);
    let snappy = snap::raw::Encoder::new()
        .compress_vec(&vec![0; BOMB])
        .unwrap();
    vec![
        (loki, protobuf, "", snappy),
        (loki, json, "gzip", gzip.clone()),
        (loki, json, "deflate", deflate.finish().unwrap()),
        (otlp, json, "gzip", gzip),
        (otlp, json, "zstd", zstd.finish().unwrap()),
    ]
}

#[test]
fn bombs_do_not_go_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let url = server.url.as_str();
    works(url, "before");
    for (path, media, encoding, body) in &bombs() {
        let statuses: Vec<_> = std::thread::scope(|scope| {
            let sending: Vec<_> = (0..AT_ONCE)
                .map(|_| scope.spawn(|| push(url, path, media, encoding, body)))
                .collect();
            sending
                .into_iter()
                .map(|sent| sent.join().unwrap())
                .collect()
        });
        for (status, said) in statuses {
            assert_eq!(status, 413, "{path} {encoding}: {said}");
            assert!(said.contains("too large"), "{path} {encoding}: {said}");
        }
    }
    let peak = peak_memory(server.process.id()).expect("the system tells");
    assert!(peak <= MAX_MEMORY, "{} MiB", peak >> 20);
    works(url, "after");
}

#[test]
fn halves_and_lies_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let url = server.url.as_str();
    let (loki, json, protobuf) = (
        "/loki/api/v1/push",
        "application/json",
        "application/x-protobuf",
    );
    let line = b"\x0a\x1c\x0a\x07{a=\"b\"}\x12\x11\x0a\x04\x08\x01\x10\x02\x12\x01x\x1a\x06\x0a\x01k\x12\x01v";
    let packed = |bytes: &[u8]| snap::raw::Encoder::new().compress_vec(bytes).unwrap();
    let half = packed(&line[..line.len() / 2]);
    let whole = packed(line);
    let cases: [(&str, &str, &str, &[u8], &str); 9] = [
        (loki, protobuf, "", &half, "unexpected EOF"),
        (loki, protobuf, "", &whole[..whole.len() / 2], "snappy"),
        (loki, protobuf, "", b"\xff\xff\x3f", "snappy"),
        (loki, protobuf, "", b"", "snappy"),
        (loki, json, "", b"{\"streams\":[{\"stream\"", "EOF"),
        (loki, json, "gzip", b"\x1f\x8b\x08\x00", "gzip"),
        (loki, json, "br", b"x", "not supported"),
        ("/otlp/v1/logs", protobuf, "zstd", b"(not zstd)", "zstd"),
        ("/otlp/v1/logs", protobuf, "", b"\x0a\x7f\x01", "EOF"),
    ];
    for (path, media, encoding, body, wanted) in cases {
        let (status, said) = push(url, path, media, encoding, body);
        assert_eq!(status, 400, "{path} {encoding} {body:?}: {said}");
        assert!(said.contains(wanted), "{path} {encoding} {body:?}: {said}");
    }
    // Deep brackets end the parser, not the stack.
    let deep = "[".repeat(1 << 20);
    let (status, said) = push(url, loki, json, "", deep.as_bytes());
    assert_eq!(status, 400, "{said}");
    let deep = format!("{{\"streams\":{deep}");
    assert_eq!(push(url, loki, json, "", deep.as_bytes()).0, 400);
    works(url, "after");
}

#[test]
fn greedy_questions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path());
    let url = server.url.as_str();
    works(url, "x");
    let asked = |query: &str, more: &[(&str, &str)]| {
        let mut form = vec![("query", query)];
        form.extend_from_slice(more);
        let answer = api::post(&format!("{url}/loki/api/v1/query_range"), &form).unwrap();
        (answer.status, answer.body)
    };
    let nested = format!("{{app=~\"{}\"}}", "((a+)+)+".repeat(12_500));
    let repeated = "{app=~\"(((a{100}){100}){100}){100}\"}".to_owned();
    let deep = format!("{}vector(1){}", "(".repeat(50_000), ")".repeat(50_000));
    let sums = format!("{}{}", "sum(".repeat(20_000), "1");
    let long = format!("{{app=\"x\"}} {}", "|= \"x\" ".repeat(30_000));
    // A large expression that the engine can run in linear time is no mistake.
    assert!([200, 400].contains(&asked(&nested, &[]).0));
    for query in [&repeated, &deep, &sums, &long] {
        let (status, said) = asked(query, &[]);
        let start: String = query.chars().take(40).collect();
        assert_eq!(status, 400, "{start}: {said}");
        assert!(!said.is_empty() && said.len() < 400_000, "{start}");
    }
    let ten_years = [("start", "1480000000"), ("end", "1795000000")];
    let (status, said) = asked("{app=\"x\"}", &ten_years);
    assert_eq!(status, 400);
    assert!(
        said.contains("the query time range exceeds the limit"),
        "{said}"
    );
    let (status, said) = asked(
        "rate({app=\"x\"}[1m])",
        &[
            ("start", "1795000000"),
            ("end", "1795090000"),
            ("step", "1"),
        ],
    );
    assert_eq!(status, 400);
    assert!(
        said.contains("exceeded maximum resolution of 11,000 points"),
        "{said}"
    );
    let (status, said) = asked("{app=\"x\"}", &[("limit", "5001")]);
    assert_eq!(status, 400);
    assert!(
        said.contains("max entries limit per query exceeded"),
        "{said}"
    );
    let peak = peak_memory(server.process.id()).expect("the system tells");
    assert!(peak <= MAX_MEMORY, "{} MiB", peak >> 20);
    works(url, "after");
}
