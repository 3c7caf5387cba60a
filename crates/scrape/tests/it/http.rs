//! The default fetcher against a listener on loopback whose answers are scripted byte by byte.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use headwater_http::ClientOptions;
use headwater_scrape::{Fetch, FetchRequest, HttpFetch, JobConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one request with these bytes; returns what the fetcher made of it, the body that it
/// left, and the request.
async fn fetched(answer: Vec<u8>, limit: u64) -> (Result<String, String>, Vec<u8>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.expect("a connection");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(connection.read_u8().await.expect("a request"));
        }
        // The fetcher may hang up before everything is sent.
        let _ = connection.write_all(&answer).await;
        String::from_utf8(request).expect("text")
    });
    let fetch =
        HttpFetch::new(&JobConfig::new("j"), ClientOptions::default()).expect("valid settings");
    let request = FetchRequest {
        url: format!("http://{address}/metrics"),
        unix_socket: None,
        accept: "text/plain".into(),
        gzip: true,
        timeout: std::time::Duration::from_millis(2500),
        max_body_bytes: limit,
    };
    let mut body = Vec::new();
    let result = fetch
        .fetch(&request, &mut body)
        .await
        .map_err(|error| error.to_string());
    (result, body, server.await.expect("a request"))
}

fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn a_plain_body() {
    let headers = "Content-Type: text/plain; version=0.0.4\r\n";
    let (result, body, request) = fetched(answer("200 OK", headers, b"a 1\n"), 1000).await;
    assert_eq!(result.as_deref(), Ok("text/plain; version=0.0.4"));
    assert_eq!(body, b"a 1\n");
    let request = request.to_ascii_lowercase();
    for header in [
        "accept: text/plain\r\n",
        "accept-encoding: gzip\r\n",
        "x-prometheus-scrape-timeout-seconds: 2.5\r\n",
    ] {
        assert!(request.contains(header), "{request}");
    }
}

#[tokio::test]
async fn a_packed_body() {
    let packed = gzip(b"a 1\n");
    let (result, body, _) = fetched(
        answer("200 OK", "Content-Encoding: gzip\r\n", &packed),
        1000,
    )
    .await;
    assert_eq!(
        (result.as_deref(), body.as_slice()),
        (Ok(""), b"a 1\n".as_slice())
    );
    let cut = &packed[..packed.len() - 6];
    let (result, ..) = fetched(answer("200 OK", "Content-Encoding: gzip\r\n", cut), 1000).await;
    let error = result.expect_err("a truncated body is refused");
    assert!(error.starts_with("cannot read the body: "), "{error}");
}

#[tokio::test]
async fn other_answers_are_failures() {
    let (result, ..) = fetched(answer("503 Service Unavailable", "", b"x"), 1000).await;
    assert_eq!(
        result,
        Err("server returned HTTP status 503 Service Unavailable".to_owned())
    );
    let (result, ..) = fetched(b"junk\r\n\r\n".to_vec(), 1000).await;
    assert!(result.is_err());
}

#[tokio::test]
async fn a_body_without_end_takes_bounded_memory() {
    const LIMIT: u64 = 1 << 20;
    let junk = vec![b'x'; 8 << 20];
    let (result, body, _) = fetched(answer("200 OK", "", &junk), LIMIT).await;
    assert_eq!(result, Err("body size limit exceeded".to_owned()));
    assert!(body.capacity() as u64 <= LIMIT, "{}", body.capacity());
    // A small packed body that unpacks to a large one.
    let bomb = gzip(&junk);
    let (result, body, _) =
        fetched(answer("200 OK", "Content-Encoding: gzip\r\n", &bomb), LIMIT).await;
    assert_eq!(result, Err("body size limit exceeded".to_owned()));
    assert!(body.capacity() as u64 <= LIMIT, "{}", body.capacity());
}
