//! Whole pipelines: real sockets and files.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::message::{Message, put_frame};
use headwater_pipeline::plugins;
use headwater_pipeline::topology::Topology;

/// No test waits longer than this for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn plan(base: &Path, config: &str) -> Plan {
    let text = format!(
        "[hekad]\nbase_dir = '{}'\nstop_timeout = '2s'\n{config}",
        base.display()
    );
    let config = Config::from_text("test", &text).unwrap();
    Plan::new(&config, &plugins::registry()).unwrap()
}

pub(crate) fn start(base: &Path, config: &str) -> Topology {
    Topology::start(plan(base, config)).unwrap()
}

pub(crate) fn stat(topology: &Topology, plugin: &str, name: &str) -> u64 {
    let report = topology.report();
    let plugin = report.plugins.iter().find(|p| &*p.name == plugin).unwrap();
    plugin
        .stats
        .iter()
        .find(|(stat, _)| stat == name)
        .map_or(0, |(_, value)| *value)
}

pub(crate) fn connect(topology: &Topology, input: &str) -> TcpStream {
    let port = stat(topology, input, "Port") as u16;
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn frames(count: i32) -> Vec<u8> {
    let mut out = Vec::new();
    for pid in 0..count {
        let message = Message {
            pid: Some(pid),
            kind: Some("test".into()),
            payload: Some(format!("message {pid}").into()),
            ..Message::default()
        };
        put_frame(&mut out, &message.to_bytes(), None, 65536).unwrap();
    }
    out
}

pub(crate) fn lines(path: &Path) -> usize {
    fs::read(path).map_or(0, |bytes| {
        bytes.iter().filter(|byte| **byte == b'\n').count()
    })
}

pub(crate) fn file_output(name: &str, base: &Path) -> String {
    format!(
        "[{name}]\ntype = 'FileOutput'\nmessage_matcher = \"Type == 'test'\"\n\
         path = '{}/{name}.log'\nencoder = 'PayloadEncoder'\nflush_interval = 5\n[PayloadEncoder]\n",
        base.display()
    )
}

pub(crate) const TCP_IN: &str = "[in]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n";

#[test]
fn frames_come_in_and_lines_go_out() {
    let base = tempfile::tempdir().unwrap();
    let mut topology = start(
        base.path(),
        &format!("{TCP_IN}{}", file_output("out", base.path())),
    );
    connect(&topology, "in").write_all(&frames(1000)).unwrap();
    let out = base.path().join("out.log");
    wait_until("all lines", || lines(&out) == 1000);
    assert_eq!(topology.stop().stuck, []);
    let text = fs::read_to_string(out).unwrap();
    assert!(text.starts_with("message 0\nmessage 1\n") && text.ends_with("message 999\n"));
}

#[test]
fn what_is_sent_before_a_stop_is_written() {
    let base = tempfile::tempdir().unwrap();
    let mut topology = start(
        base.path(),
        &format!("{TCP_IN}{}", file_output("out", base.path())),
    );
    connect(&topology, "in").write_all(&frames(5000)).unwrap();
    wait_until("the first messages", || topology.report().routed > 0);
    topology.stop();
    assert_eq!(lines(&base.path().join("out.log")), 5000);
}

/// An address where nobody listens, and nobody will.
pub(crate) fn dead_address() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

#[test]
fn a_dead_output_does_not_hold_up_a_healthy_one() {
    let base = tempfile::tempdir().unwrap();
    let (listener, address) = dead_address();
    drop(listener);
    let dead =
        format!("[dead]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n");
    let config = format!("{TCP_IN}{dead}{}", file_output("out", base.path()));
    let mut topology = start(base.path(), &config);
    let mut stream = connect(&topology, "in");
    for _ in 0..20 {
        stream.write_all(&frames(5000)).unwrap();
    }
    drop(stream);
    let out = base.path().join("out.log");
    wait_until("all lines", || lines(&out) == 100_000);
    let started = Instant::now();
    let stopped = topology.stop();
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "stop took {:?}",
        started.elapsed()
    );
    assert_eq!(stopped.stuck, []);
}

#[test]
fn a_disk_queue_keeps_messages_over_a_restart() {
    let base = tempfile::tempdir().unwrap();
    let (listener, address) = dead_address();
    let config = format!(
        "{TCP_IN}[out]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n"
    );
    drop(listener);
    let mut topology = start(base.path(), &config);
    let sent = frames(3000);
    connect(&topology, "in").write_all(&sent).unwrap();
    wait_until("all messages", || topology.report().routed == 3000);
    topology.stop();
    drop(topology);
    let listener = TcpListener::bind(&address).unwrap();
    let mut topology = start(base.path(), &config);
    let (mut stream, _) = listener.accept().unwrap();
    let mut got = vec![0; sent.len()];
    stream.read_exact(&mut got).unwrap();
    assert!(got == sent, "the stream differs");
    topology.stop();
}

#[test]
fn full_queues_and_blocked_plugins_do_not_keep_a_stop_from_ending() {
    let base = tempfile::tempdir().unwrap();
    // A peer that accepts and never reads.
    let (listener, address) = dead_address();
    let config = format!(
        "{TCP_IN}[out]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n\
         use_buffering = false\n[out.queue]\nmax_bytes = 1000\n\
         [CounterFilter]\nmessage_matcher = 'TRUE'\nticker_interval = 1\n"
    );
    let mut topology = start(base.path(), &config);
    let mut stream = connect(&topology, "in");
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let block = frames(10_000);
    // Write until nothing moves any more.
    while stream.write_all(&block).is_ok() {}
    let started = Instant::now();
    let stopped = topology.stop();
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "stop took {:?}",
        started.elapsed()
    );
    assert_eq!(stopped.stuck, []);
    drop(listener);
}

#[test]
fn a_reload_under_load_loses_nothing() {
    let base = tempfile::tempdir().unwrap();
    let config = |extra: &str| format!("{TCP_IN}{}{extra}", file_output("out", base.path()));
    let mut topology = start(base.path(), &config(""));
    let mut stream = connect(&topology, "in");
    let sender = std::thread::spawn(move || {
        for _ in 0..100 {
            stream.write_all(&frames(500)).unwrap();
        }
    });
    for round in 0..50 {
        // The output changes each time, a filter comes and goes.
        let filter = "[count]\ntype = 'CounterFilter'\nmessage_matcher = 'TRUE'\n";
        let changed = config(if round % 2 == 0 { filter } else { "" }).replace(
            "flush_interval = 5",
            &format!("flush_interval = {}", 1 + round % 7),
        );
        topology.reload(plan(base.path(), &changed)).unwrap();
    }
    sender.join().unwrap();
    let out = base.path().join("out.log");
    wait_until("all lines", || lines(&out) >= 50_000);
    topology.stop();
    assert_eq!(lines(&out), 50_000);
}

#[test]
fn a_reload_notices_changed_parts() {
    let base = tempfile::tempdir().unwrap();
    let config = |delimiter: &str, ticker: u32| {
        format!(
            "[a]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\ndecoder = 'both'\n\
             [b]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'cut'\n\
             [c]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\n\
             [both]\ntype = 'MultiDecoder'\nsubs = ['fields']\n\
             [fields]\ntype = 'ScribbleDecoder'\n[fields.message_fields]\nType = 't{ticker}'\n\
             [cut]\ntype = 'TokenSplitter'\ndelimiter = '{delimiter}'\n{}",
            file_output("out", base.path())
        )
    };
    let mut topology = start(base.path(), &config("|", 1));
    let mut changed = |delimiter, ticker| {
        let plan = plan(base.path(), &config(delimiter, ticker));
        let report = topology.reload(plan).unwrap();
        report.changed.join(",")
    };
    assert_eq!(changed("|", 1), "");
    assert_eq!(changed(";", 1), "b");
    assert_eq!(changed(";", 2), "a");
    let elsewhere = plan(&base.path().join("other"), &config(";", 3));
    topology.reload(elsewhere).unwrap_err();
    topology.stop();
}

#[test]
fn random_bytes_disturb_nothing_else() {
    let base = tempfile::tempdir().unwrap();
    let mut topology = start(
        base.path(),
        &format!("{TCP_IN}{}", file_output("out", base.path())),
    );
    let mut noise = connect(&topology, "in");
    let mut state = 1u32;
    let bytes: Vec<u8> = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect();
    noise.write_all(&bytes).unwrap();
    connect(&topology, "in").write_all(&frames(100)).unwrap();
    let out = base.path().join("out.log");
    wait_until("all lines", || lines(&out) == 100);
    drop(noise);
    wait_until("the noise is counted", || {
        stat(&topology, "in", "SkippedBytes") > 0
    });
    topology.stop();
}

#[test]
fn an_acknowledging_chain_confirms_what_is_written() {
    let base = tempfile::tempdir().unwrap();
    let receiver_in = "[in]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nacknowledge = true\n";
    let config = format!("{receiver_in}{}", file_output("out", base.path()));
    let mut receiver = start(base.path(), &config);
    let port = stat(&receiver, "in", "Port");
    let sender_base = tempfile::tempdir().unwrap();
    let config = format!(
        "{TCP_IN}[out]\ntype = 'TcpOutput'\naddress = '127.0.0.1:{port}'\nmessage_matcher = 'TRUE'\n\
         acknowledge = true\nuse_buffering = false\n"
    );
    let mut sender = start(sender_base.path(), &config);
    connect(&sender, "in").write_all(&frames(2000)).unwrap();
    let out = base.path().join("out.log");
    wait_until("all lines", || lines(&out) == 2000);
    assert!(!sender.stop().aborted);
    receiver.stop();
    assert_eq!(lines(&out), 2000);
}

#[cfg(feature = "http")]
mod http {
    use super::*;

    fn post(port: u64, key: &str, body: &str) -> String {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port as u16)).unwrap();
        let request = format!(
            "POST /in?tag=a%20b HTTP/1.1\r\nHost: test\r\nX-API-KEY: {key}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn requests_pass_from_one_daemon_to_the_next() {
        let base = tempfile::tempdir().unwrap();
        let listen = "[web]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\n";
        let out = "[out]\ntype = 'FileOutput'\nmessage_matcher = 'TRUE'\npath = '%/out.log'\n\
                   encoder = 'RstEncoder'\nflush_interval = 5\n[RstEncoder]\n";
        let out = out.replace('%', &base.path().display().to_string());
        let mut last = start(base.path(), &format!("{listen}{out}"));
        let port = stat(&last, "web", "Port");
        let first_base = tempfile::tempdir().unwrap();
        let config = format!(
            "{listen}auth_type = 'API'\napi_key = 'secret'\n\
             [next]\ntype = 'HttpOutput'\naddress = 'http://127.0.0.1:{port}/hop'\n\
             message_matcher = \"Fields[tag] == 'a b'\"\nencoder = 'PayloadEncoder'\n[PayloadEncoder]\n"
        );
        let mut first = start(first_base.path(), &config);
        let port = stat(&first, "web", "Port");
        assert!(post(port, "secret", "hello there").starts_with("HTTP/1.1 200"));
        // The answer came when the last file was written.
        let written = fs::read_to_string(base.path().join("out.log")).unwrap();
        assert!(written.contains(":Payload: hello there\n"), "{written}");
        assert!(
            written.contains("name:\"Path\" type:string value:\"/hop\""),
            "{written}"
        );
        assert!(post(port, "guess", "x").starts_with("HTTP/1.1 401"));
        first.stop();
        last.stop();
    }
}
