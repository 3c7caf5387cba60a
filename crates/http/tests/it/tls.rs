//! Certificates on both sides.

use crate::support::{Certificates, client, echo, get, start};

const SERVER: &str = "tls_server_config: {cert_file: server.pem, key_file: server.key";

#[tokio::test]
async fn a_client_trusts_the_authority_it_is_told() {
    let certificates = Certificates::new();
    let server = start(certificates.settings(&format!("{SERVER}}}")), echo).await;
    let url = format!("https://localhost:{}/a", server.address.port());
    let ca = certificates.path("ca.pem");

    let (status, text) = get(&client(&format!("tls_config: {{ca_file: {ca}}}")), &url)
        .await
        .unwrap();
    assert_eq!(status, 200, "{text}");

    let stranger = get(&client(""), &url).await.unwrap_err().to_string();
    assert!(stranger.contains("UnknownIssuer"), "{stranger}");

    let blind = client("tls_config: {insecure_skip_verify: true}");
    assert_eq!(get(&blind, &url).await.unwrap().0, 200);

    let inline = std::fs::read_to_string(&ca)
        .unwrap()
        .replace('\n', "\n    ");
    let inline = client(&format!("tls_config:\n  ca: |\n    {inline}\n"));
    assert_eq!(get(&inline, &url).await.unwrap().0, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_server_must_prove_the_name_that_is_set() {
    let certificates = Certificates::new();
    let server = start(certificates.settings(&format!("{SERVER}}}")), echo).await;
    let url = format!("https://127.0.0.1:{}/", server.address.port());
    let ca = certificates.path("ca.pem");
    let named = |name: &str| {
        client(&format!(
            "tls_config: {{ca_file: {ca}, server_name: {name}}}"
        ))
    };
    assert_eq!(get(&named("localhost"), &url).await.unwrap().0, 200);
    let error = get(&named("other.test"), &url)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("other.test"), "{error}");
    server.stop().await;
}

#[tokio::test]
async fn http2_is_spoken_unless_switched_off() {
    let certificates = Certificates::new();
    let version = |request: http::Request<_>| async move {
        http::Response::new(format!("{:?}", request.version()))
    };
    let server = start(certificates.settings(&format!("{SERVER}}}")), version).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let ca = certificates.path("ca.pem");
    let both = client(&format!("tls_config: {{ca_file: {ca}}}"));
    assert_eq!(get(&both, &url).await.unwrap().1, "HTTP/2.0");
    let older = client(&format!(
        "enable_http2: false\ntls_config: {{ca_file: {ca}}}"
    ));
    assert_eq!(get(&older, &url).await.unwrap().1, "HTTP/1.1");
    server.stop().await;
}

#[tokio::test]
async fn clients_have_to_show_a_certificate() {
    let certificates = Certificates::new();
    let policy = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem";
    let ca = certificates.path("ca.pem");
    let (cert, key) = (
        certificates.path("client.pem"),
        certificates.path("client.key"),
    );
    let with = client(&format!(
        "tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}}}"
    ));
    let without = client(&format!("tls_config: {{ca_file: {ca}}}"));
    for (more, welcome) in [
        ("", true),
        (", client_allowed_sans: [ann.test]", true),
        (", client_allowed_sans: [10.9.8.7]", true),
        (", client_allowed_sans: [bob.test]", false),
    ] {
        let web = format!("{SERVER}, {policy}{more}}}");
        let server = start(certificates.settings(&web), echo).await;
        let url = format!("https://localhost:{}/", server.address.port());
        assert_eq!(get(&with, &url).await.is_ok(), welcome, "{more}");
        assert!(get(&without, &url).await.is_err(), "{more}");
        server.stop().await;
    }
}

#[tokio::test]
async fn an_unchecked_certificate_can_be_demanded() {
    let certificates = Certificates::new();
    let web = format!("{SERVER}, client_auth_type: RequireAnyClientCert}}");
    let server = start(certificates.settings(&web), echo).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let ca = certificates.path("ca.pem");
    let (cert, key) = (
        certificates.path("client.pem"),
        certificates.path("client.key"),
    );
    let with = client(&format!(
        "tls_config: {{ca_file: {ca}, cert_file: {cert}, key_file: {key}}}"
    ));
    assert_eq!(get(&with, &url).await.unwrap().0, 200);
    let without = client(&format!("tls_config: {{ca_file: {ca}}}"));
    assert!(get(&without, &url).await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let certificates = Certificates::new();
    let server = start(certificates.settings(&format!("{SERVER}}}")), echo).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let trust = || {
        client(&format!(
            "tls_config: {{ca_file: {}}}",
            certificates.path("ca.pem")
        ))
    };
    let old = trust();
    assert_eq!(get(&old, &url).await.unwrap().0, 200);
    certificates.renew();
    // The old client keeps its connection; a new one shakes hands anew, with the new authority.
    assert_eq!(get(&trust(), &url).await.unwrap().0, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_server_may_be_its_own_authority() {
    let certificates = Certificates::new();
    let web = certificates.settings(&format!("{SERVER}}}"));
    let trusting = |server: &str| {
        client(&format!(
            "tls_config: {{ca_file: {}, server_name: {server}}}",
            certificates.path("server.pem")
        ))
    };
    for (until, welcome) in [(4000, true), (2001, false)] {
        certificates.self_signed(until);
        let server = start(web.clone(), echo).await;
        let url = format!("https://localhost:{}/", server.address.port());
        let outcome = get(&trusting("localhost"), &url).await;
        assert_eq!(outcome.is_ok(), welcome, "{outcome:?}");
        assert!(get(&trusting("other.test"), &url).await.is_err());
        assert!(get(&client(""), &url).await.is_err());
        server.stop().await;
    }
}

#[tokio::test]
async fn a_client_reads_its_authority_again() {
    let certificates = Certificates::new();
    let server = start(certificates.settings(&format!("{SERVER}}}")), echo).await;
    let url = format!("https://localhost:{}/", server.address.port());
    let yaml = format!("tls_config: {{ca_file: {}}}", certificates.path("ca.pem"));
    let mut options = headwater_http::ClientOptions::default();
    options.files_look_again = std::time::Duration::ZERO;
    // Every request is a new connection, and so a new handshake.
    options.idle_per_host = 0;
    let config = headwater_yaml::from_str(&yaml).unwrap();
    let client = headwater_http::Client::new(&config, options).unwrap();
    assert_eq!(get(&client, &url).await.unwrap().0, 200);
    certificates.renew();
    assert_eq!(get(&client, &url).await.unwrap().0, 200);
    // A file that makes no sense leaves what was read before.
    certificates.write("ca.pem", "no certificate\n");
    assert_eq!(get(&client, &url).await.unwrap().0, 200);
    server.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_stop_the_start() {
    let certificates = Certificates::new();
    for (web, want) in [
        (format!("{SERVER}x}}"), "unable to read server key file"),
        (
            "tls_server_config: {cert_file: server.key, key_file: server.key}".into(),
            "holds no PEM certificate",
        ),
        (
            format!("{SERVER}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}"),
            "unknown or unsafe cipher suite",
        ),
        (
            format!("{SERVER}, max_version: TLS11, min_version: TLS10}}"),
            "no TLS version is left",
        ),
    ] {
        let error = headwater_http::Server::bind(certificates.settings(&web))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(want), "{web}: {error}");
        assert!(error.to_string().contains("web.yml"), "{error}");
    }
}
