//! What the client sends, and where it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use headwater_http::{ClientError, ClientOptions};
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Certificates, client, echo, get, send, settings, start};

#[tokio::test]
async fn credentials_and_headers_are_sent() {
    let server = start(settings(), echo).await;
    let url = server.url("/x");
    for (yaml, line) in [
        (
            "basic_auth: {username: ann, password: pw}",
            "authorization: Basic YW5uOnB3\n",
        ),
        (
            "authorization: {credentials: t}",
            "authorization: Bearer t\n",
        ),
        (
            "authorization: {type: Token, credentials: t}",
            "authorization: Token t\n",
        ),
        ("bearer_token: t", "authorization: Bearer t\n"),
        (
            "http_headers: {X-Extra: {values: [a], secrets: [b]}}",
            "x-extra: a\nx-extra: b\n",
        ),
        ("", "user-agent: headwater/"),
    ] {
        let (_, text) = get(&client(yaml), &url).await.unwrap();
        assert!(text.contains(line), "{yaml}: {text}");
    }
    let with_user = format!("http://ann:pw@{}/x", server.address);
    let (_, text) = get(&client(""), &with_user).await.unwrap();
    assert!(text.contains("authorization: Basic YW5uOnB3\n"), "{text}");
    assert!(
        text.contains(&format!("host: {}\n", server.address)),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test]
async fn redirects_are_followed_without_telling_strangers() {
    let stranger = start(settings(), echo).await;
    let target = stranger.url("/stranger");
    let redirecting = move |request: Request<headwater_http::Body>| {
        let target = target.clone();
        async move {
            let to = match request.uri().path() {
                "/away" => target,
                "/loop" => "/loop".to_owned(),
                "/here" => "/end".to_owned(),
                _ => return echo(request).await,
            };
            Response::builder()
                .status(302)
                .header("location", to)
                .body(String::new())
                .unwrap()
        }
    };
    let server = start(settings(), redirecting).await;
    let ann = client(
        "basic_auth: {username: ann, password: pw}\nhttp_headers: {X-Extra: {secrets: [s]}}",
    );

    let (_, text) = get(&ann, &server.url("/here")).await.unwrap();
    assert!(
        text.starts_with("GET /end\n") && text.contains("authorization: "),
        "{text}"
    );

    let (_, text) = get(&ann, &server.url("/away")).await.unwrap();
    assert!(text.starts_with("GET /stranger\n"), "{text}");
    assert!(
        !text.contains("authorization: ") && !text.contains("x-extra"),
        "{text}"
    );

    let own = Request::get(server.url("/away"))
        .header("authorization", "mine")
        .body(Bytes::new())
        .unwrap();
    let (_, text) = send(&client(""), own).await.unwrap();
    assert!(!text.contains("mine"), "{text}");

    let error = get(&ann, &server.url("/loop")).await.unwrap_err();
    assert_eq!(error.to_string(), "stopped after 10 redirects");

    let stay = client("follow_redirects: false");
    assert_eq!(get(&stay, &server.url("/away")).await.unwrap().0, 302);
    server.stop().await;
    stranger.stop().await;
}

#[tokio::test]
async fn nobody_at_home_is_said_plainly() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = get(&client(""), &format!("http://{address}/"))
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Transport { .. }));
    let text = error.to_string().to_lowercase();
    assert!(
        text.contains(&address.to_string()) && text.contains("connection refused"),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_there_is_said_at_once() {
    let config = headwater_yaml::from_str("tls_config: {ca_file: /nowhere/ca.pem}").unwrap();
    let error = headwater_http::Client::new(&config, ClientOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("unable to read CA certificate file /nowhere/ca.pem: "),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_is_fetched_once_and_shown() {
    let fetched = Arc::new(AtomicUsize::new(0));
    let count = fetched.clone();
    let tokens = move |request: Request<headwater_http::Body>| {
        let count = count.clone();
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            let authorization = request.headers()["authorization"]
                .to_str()
                .unwrap()
                .to_owned();
            let form = request.into_body().collect().await.unwrap().to_bytes();
            // me:a b, each form-encoded
            assert_eq!(authorization, "Basic bWU6YSti");
            assert_eq!(form, "grant_type=client_credentials&scope=x+y&audience=z");
            Response::new(
                r#"{"access_token":"T1","token_type":"bearer","expires_in":3600}"#.to_owned(),
            )
        }
    };
    let tokens = start(settings(), tokens).await;
    let server = start(settings(), echo).await;
    let client = client(&format!(
        "oauth2: {{client_id: me, client_secret: a b, token_url: '{}', scopes: [x, y], endpoint_params: {{audience: z}}}}",
        tokens.url("/token")
    ));
    for _ in 0..3 {
        let (_, text) = get(&client, &server.url("/")).await.unwrap();
        assert!(text.contains("authorization: Bearer T1\n"), "{text}");
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    server.stop().await;
    tokens.stop().await;
}

#[tokio::test]
async fn a_refused_token_is_an_error_that_says_so() {
    let refuse = |_| async {
        Response::builder()
            .status(400)
            .body("invalid_client".to_owned())
            .unwrap()
    };
    let tokens = start(settings(), refuse).await;
    let client = client(&format!(
        "oauth2: {{client_id: me, token_url: '{}'}}",
        tokens.url("/")
    ));
    let error = get(&client, "http://localhost:1/")
        .await
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "cannot fetch an OAuth 2.0 token: server answered 400 Bad Request: invalid_client"
    );
    tokens.stop().await;
}

#[tokio::test]
async fn a_plain_request_goes_through_the_proxy_whole() {
    // The kit's own server stands in for the proxy: it sees the whole address in the request line.
    let whole = |request: Request<headwater_http::Body>| async move {
        Response::new(format!(
            "{} {:?}",
            request.uri(),
            request.headers().get("proxy-authorization")
        ))
    };
    let proxy = start(settings(), whole).await;
    let client = client(&format!("proxy_url: http://u:p@{}", proxy.address));
    let (_, text) = get(&client, "http://elsewhere.test/x?y=1").await.unwrap();
    assert!(text.starts_with("http://elsewhere.test/x?y=1 "), "{text}");
    assert!(text.ends_with("Some(\"Basic dTpw\")"), "{text}");
    proxy.stop().await;
}

#[tokio::test]
async fn an_encrypted_request_is_tunnelled() {
    let certificates = Certificates::new();
    let web = "tls_server_config: {cert_file: server.pem, key_file: server.key}";
    let server = start(certificates.settings(web), echo).await;
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_address = proxy.local_addr().unwrap();
    let asked = tokio::spawn(tunnel_one(proxy));
    let client = client(&format!(
        "proxy_url: http://{proxy_address}\nproxy_connect_header: {{X-Who: [me]}}\ntls_config: {{ca_file: {}}}",
        certificates.path("ca.pem")
    ));
    let url = format!("https://localhost:{}/through", server.address.port());
    let (_, text) = get(&client, &url).await.unwrap();
    assert!(text.starts_with("GET /through\n"), "{text}");
    drop(client);
    let asked = asked.await.unwrap();
    assert!(
        asked.starts_with(&format!("CONNECT localhost:{} ", server.address.port())),
        "{asked}"
    );
    assert!(asked.to_lowercase().contains("x-who: me"), "{asked}");
    server.stop().await;
}

/// Serves one CONNECT and answers what was asked.
async fn tunnel_one(listener: TcpListener) -> String {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    let mut asked = String::new();
    while !asked.ends_with("\r\n\r\n") {
        stream.read_line(&mut asked).await.unwrap();
    }
    let to = asked.split(' ').nth(1).unwrap();
    let mut onward = TcpStream::connect(to).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
    asked
}
