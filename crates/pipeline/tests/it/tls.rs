//! Messages over TLS, from one pipeline to the next.

use std::fs;
use std::io::Write;
use std::path::Path;

use headwater_pipeline::topology::Topology;

use super::pipelines::{TCP_IN, connect, file_output, frames, lines, start, stat, wait_until};

/// A certificate for `localhost`; the `[x.tls]` lines of who listens and of
/// who connects.
fn certificate(dir: &Path) -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(dir.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(dir.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let dir = dir.display();
    (
        format!("cert_file = '{dir}/cert.pem'\nkey_file = '{dir}/key.pem'\n"),
        format!("root_cafile = '{dir}/cert.pem'\n"),
    )
}

/// Sends messages through both and looks for them at the end.
fn pass(first: &mut Topology, last: &mut Topology, out: &Path) {
    connect(first, "in").write_all(&frames(200)).unwrap();
    wait_until("all lines", || lines(out) == 200);
    assert_eq!(first.stop().stuck, []);
    assert_eq!(last.stop().stuck, []);
    let text = fs::read_to_string(out).unwrap();
    assert!(text.starts_with("message 0\n") && text.ends_with("message 199\n"));
}

#[test]
fn over_tcp_with_acknowledgement() {
    let (base, first_base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (listen, connect) = certificate(base.path());
    let config = format!(
        "[tls]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nuse_tls = true\nacknowledge = true\n\
         [tls.tls]\n{listen}{}",
        file_output("out", base.path())
    );
    let mut last = start(base.path(), &config);
    let port = stat(&last, "tls", "Port");
    let config = format!(
        "{TCP_IN}[next]\ntype = 'TcpOutput'\naddress = 'localhost:{port}'\nmessage_matcher = 'TRUE'\n\
         use_tls = true\nacknowledge = true\nuse_buffering = false\n[next.tls]\n{connect}"
    );
    let mut first = start(first_base.path(), &config);
    pass(&mut first, &mut last, &base.path().join("out.log"));
}

#[test]
fn a_receiver_that_is_not_who_it_should_be_gets_nothing() {
    let (base, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (listen, _) = certificate(base.path());
    let (_, connect_to_another) = certificate(other.path());
    let config = format!(
        "[tls]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nuse_tls = true\n[tls.tls]\n{listen}\
         [next]\ntype = 'TcpOutput'\naddress = 'localhost:1'\nmessage_matcher = 'TRUE'\n\
         use_tls = true\nuse_buffering = false\n[next.tls]\n{connect_to_another}{TCP_IN}",
    );
    // The port is only known when the input runs.
    let mut last = start(base.path(), &config);
    let port = stat(&last, "tls", "Port");
    let first_base = tempfile::tempdir().unwrap();
    let mut first = start(
        first_base.path(),
        &config.replace("localhost:1'", &format!("localhost:{port}'")),
    );
    connect(&first, "in").write_all(&frames(10)).unwrap();
    wait_until("the connection is refused", || {
        stat(&last, "tls", "BrokenConnections") > 0
    });
    assert_eq!(stat(&last, "tls", "ProcessMessageCount"), 0);
    first.stop();
    last.stop();
}

#[cfg(feature = "http")]
#[test]
fn over_https() {
    let (base, first_base) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (listen, connect) = certificate(base.path());
    let out = file_output("out", base.path()).replace("Type == 'test'", "TRUE");
    let config = format!(
        "[web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nuse_tls = true\n\
         [web.tls]\n{listen}{out}"
    );
    let mut last = start(base.path(), &config);
    let port = stat(&last, "web", "Port");
    let config = format!(
        "{TCP_IN}[next]\ntype = 'HttpOutput'\naddress = 'https://localhost:{port}/'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\n[PayloadEncoder]\nappend_newlines = false\n[next.tls]\n{connect}"
    );
    let mut first = start(first_base.path(), &config);
    pass(&mut first, &mut last, &base.path().join("out.log"));
}
