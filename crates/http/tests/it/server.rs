//! Limits, compression, and how a server begins and ends.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use headwater_http::{Cors, Encoding, Server, read_into, read_limited};
use http::{Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{client, echo, get, send, settings, start};

#[tokio::test]
async fn a_taken_port_is_named() {
    let server = start(settings(), echo).await;
    let mut again = settings();
    again.addresses = vec![server.address.to_string()];
    let error = Server::bind(again).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!(
            "cannot listen on {}: address already in use",
            server.address
        )),
        "{error}"
    );
    server.stop().await;
}

#[tokio::test]
async fn one_server_listens_on_several_addresses() {
    let mut settings = settings();
    settings.addresses.push("127.0.0.1:0".into());
    let server = Server::bind(settings).await.unwrap();
    let addresses = server.addresses();
    let service = tower::service_fn(|_| async {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve(service, async { stopped.await.unwrap_or_default() }));
    for address in addresses {
        assert_eq!(
            get(&client(""), &format!("http://{address}/"))
                .await
                .unwrap()
                .0,
            200
        );
    }
    stop.send(()).unwrap();
    serving.await.unwrap();
}

#[tokio::test]
async fn long_answers_are_compressed_for_those_who_ask() {
    let long = |_| async { Response::new("a long line of text\n".repeat(100)) };
    let server = start(settings(), long).await;
    let request = Request::get(server.url("/"))
        .header("accept-encoding", "gzip")
        .body(Bytes::new())
        .unwrap();
    let response = client("").send(request).await.unwrap();
    assert_eq!(Encoding::of(response.headers()).unwrap(), Encoding::Gzip);
    let mut text = Vec::new();
    let wire = read_into(response.into_body(), Encoding::Gzip, 1 << 20, &mut text)
        .await
        .unwrap();
    assert_eq!(text.len(), 2000);
    assert!(wire < 200, "{wire}");

    let request = Request::get(server.url("/"))
        .header("accept-encoding", "deflate")
        .body(Bytes::new())
        .unwrap();
    let response = client("").send(request).await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "deflate");
    let body = read_limited(response.into_body(), 1 << 20).await.unwrap();
    let mut text = String::new();
    flate2::read::ZlibDecoder::new(body.as_ref())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text.len(), 2000);

    assert_eq!(
        get(&client(""), &server.url("/")).await.unwrap().1.len(),
        2000
    );
    server.stop().await;
}

#[tokio::test]
async fn bodies_are_bounded_announced_or_not() {
    let mut settings = settings();
    settings.max_body_bytes = 10;
    let server = start(settings, echo).await;
    let post = |body: &'static str| {
        Request::post(server.url("/"))
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap()
    };
    assert_eq!(send(&client(""), post("0123456789")).await.unwrap().0, 200);
    let (status, text) = send(&client(""), post("0123456789a")).await.unwrap();
    assert_eq!(
        (status, text.as_str()),
        (413, "request body too large: the limit is 10 bytes\n")
    );

    let chunked = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
                   b\r\n0123456789a\r\n0\r\n\r\n";
    let answer = raw(server.address, chunked).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn endless_headers_are_refused() {
    let mut settings = settings();
    settings.max_header_bytes = 8192;
    let server = start(settings, echo).await;
    let request = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    let answer = raw(server.address, &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_slow_body_is_given_up() {
    let mut settings = settings();
    settings.read_timeout = Duration::from_millis(50);
    let server = start(settings, echo).await;
    let request = "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nab";
    let answer = raw(server.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("did not arrive within 50ms"), "{answer}");
    server.stop().await;
}

/// Sends bytes and reads until the server closes, or has answered whole.
async fn raw(address: std::net::SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses may close while we still send, which can reset the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let mut settings = settings();
    settings.max_connections = 1;
    let server = start(settings, echo).await;
    let first = TcpStream::connect(server.address).await.unwrap();
    let url = server.url("/");
    let second = tokio::spawn(async move { get(&client("tls_config: {}"), &url).await });
    // The second connection is taken by the system but not by the server until the first ends.
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(second.await.unwrap().unwrap().0, 200);
    server.stop().await;
}

#[tokio::test]
async fn running_requests_end_before_the_server_does() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, leave) = (entered.clone(), leave.clone());
        move |_| {
            let (entered, leave) = (entered.clone(), leave.clone());
            async move {
                entered.notify_one();
                leave.notified().await;
                Response::new("done".to_owned())
            }
        }
    };
    let server = start(settings(), slow).await;
    let (url, address) = (server.url("/"), server.address);
    let running = tokio::spawn(async move { get(&client(""), &url).await });
    entered.notified().await;
    let ended = server.ask_to_stop();
    // The socket is closed to newcomers before the running request is done.
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    leave.notify_one();
    assert_eq!(running.await.unwrap().unwrap(), (200, "done".to_owned()));
    ended.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_server() {
    let entered = Arc::new(Notify::new());
    let stuck = {
        let entered = entered.clone();
        move |_| {
            entered.notify_one();
            std::future::pending()
        }
    };
    let mut settings = settings();
    settings.drain_timeout = Duration::from_millis(20);
    let server = start(settings, stuck).await;
    let url = server.url("/");
    let running = tokio::spawn(async move { get(&client(""), &url).await });
    entered.notified().await;
    server.stop().await;
    assert!(running.await.unwrap().is_err());
}

#[tokio::test]
async fn a_panic_is_an_answer_of_500() {
    let server = start(settings(), |_| async { panic!("a defect") }).await;
    assert_eq!(get(&client(""), &server.url("/")).await.unwrap().0, 500);
    assert_eq!(get(&client(""), &server.url("/")).await.unwrap().0, 500);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_welcome_origins_may_read() {
    let mut settings = settings();
    settings.cors = Some(Cors::new(|origin| origin.ends_with(".test")));
    let server = start(settings, echo).await;
    let ask = |method: &str, origin: &str| {
        Request::builder()
            .method(method)
            .uri(server.url("/"))
            .header("origin", origin)
            .body(Bytes::new())
            .unwrap()
    };
    let welcome = client("").send(ask("GET", "http://a.test")).await.unwrap();
    assert_eq!(
        welcome.headers()["access-control-allow-origin"],
        "http://a.test"
    );
    let varies = welcome.headers().get_all("vary");
    assert!(varies.iter().any(|value| value == "Origin"));
    let preflight = client("")
        .send(ask("OPTIONS", "http://a.test"))
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204);
    let stranger = client("")
        .send(ask("GET", "http://b.example"))
        .await
        .unwrap();
    assert!(
        !stranger
            .headers()
            .contains_key("access-control-allow-origin")
    );
    server.stop().await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_serves_and_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let mut settings = settings();
    settings.addresses.push(format!("unix:{}", path.display()));
    let server = start(settings, echo).await;
    let mut options = headwater_http::ClientOptions::default();
    options.unix_socket = Some(path.clone());
    let client = headwater_http::Client::new(&Default::default(), options).unwrap();
    assert_eq!(get(&client, "http://anything/x").await.unwrap().0, 200);
    server.stop().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed() {
    let mut settings = settings();
    settings.read_timeout = Duration::from_millis(50);
    let server = start(settings, echo).await;
    for begin in [
        "",
        "GET / HT",
        "GET / HTTP/1.1\r\nhost: x\r\n",
        "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer =
            tokio::time::timeout(Duration::from_secs(10), raw(server.address, begin)).await;
        assert!(answer.is_ok(), "{begin:?} keeps a connection open");
    }
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_do_not_hold_the_end() {
    let server = start(settings(), echo).await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let client = client("");
    assert_eq!(get(&client, &server.url("/")).await.unwrap().0, 200);
    tokio::time::timeout(Duration::from_secs(10), server.stop())
        .await
        .unwrap();
    drop((silent, client));
}

#[tokio::test]
async fn a_long_answer_is_not_idling() {
    let mut settings = settings();
    settings.read_timeout = Duration::from_millis(20);
    let slow = |_| async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        Response::new("late".to_owned())
    };
    let server = start(settings, slow).await;
    assert_eq!(
        get(&client(""), &server.url("/")).await.unwrap(),
        (200, "late".to_owned())
    );
    server.stop().await;
}
