//! Keys of plugins that nothing else shows to work, each in a pipeline.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;

use headwater_pipeline::topology::Topology;

use super::pipelines::{TCP_IN, connect, file_output, frames, plan, start, stat, wait_until};

const LINES_IN: &str = "[in]\ntype = 'TcpInput'\naddress = '127.0.0.1:0'\nsplitter = 'TokenSplitter'\n\
     decoder = 'plain'\n[plain]\ntype = 'ScribbleDecoder'\n";

/// Everything as text for people, so that headers and fields show.
fn seen(name: &str, base: &Path) -> String {
    file_output(name, base)
        .replace("Type == 'test'", "Type != 'x'")
        .replace("'PayloadEncoder'", "'RstEncoder'")
        .replace("[PayloadEncoder]", "[RstEncoder]")
}

fn wait_for(path: &Path, text: &str) {
    wait_until(text, || {
        fs::read_to_string(path).is_ok_and(|seen| seen.contains(text))
    });
}

#[test]
fn udp_input_sets_the_senders_host() {
    let base = tempfile::tempdir().unwrap();
    for (set, wanted) in [
        ("true", ":Hostname: 127.0.0.2"),
        ("false", ":Hostname: here"),
    ] {
        let config = format!(
            "[in]\ntype = 'UdpInput'\naddress = '127.0.0.1:0'\nset_hostname = {set}\n\
             splitter = 'NullSplitter'\ndecoder = 'plain'\n[plain]\ntype = 'ScribbleDecoder'\n{}",
            seen(set, base.path())
        );
        let mut plan = plan(base.path(), &config);
        plan.set_hostname("here");
        let mut topology = Topology::start(plan).unwrap();
        let socket = UdpSocket::bind("127.0.0.2:0").unwrap();
        let to = (Ipv4Addr::LOCALHOST, stat(&topology, "in", "Port") as u16);
        socket.send_to(b"hello", to).unwrap();
        wait_for(&base.path().join(format!("{set}.log")), wanted);
        topology.stop();
    }
}

#[test]
fn outputs_send_from_where_they_are_told() {
    let base = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = format!(
        "{TCP_IN}[tcp]\ntype = 'TcpOutput'\naddress = '{}'\nlocal_address = '127.0.0.2:0'\n\
         message_matcher = 'TRUE'\n[udp]\ntype = 'UdpOutput'\naddress = '{}'\n\
         local_address = '127.0.0.3:0'\nmessage_matcher = 'TRUE'\nencoder = 'ProtobufEncoder'\n",
        listener.local_addr().unwrap(),
        socket.local_addr().unwrap()
    );
    let mut topology = start(base.path(), &config);
    connect(&topology, "in").write_all(&frames(1)).unwrap();
    let (_, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.2");
    let (_, peer) = socket.recv_from(&mut [0; 1000]).unwrap();
    assert_eq!(peer.ip().to_string(), "127.0.0.3");
    topology.stop();
}

#[test]
fn tcp_output_connects_again_after_so_many_messages() {
    let base = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = format!(
        "{TCP_IN}[out]\ntype = 'TcpOutput'\naddress = '{}'\nreconnect_after = 2\n\
         message_matcher = 'TRUE'\nuse_buffering = false\n",
        listener.local_addr().unwrap()
    );
    let mut topology = start(base.path(), &config);
    let mut sender = connect(&topology, "in");
    for round in 0..2 {
        sender.write_all(&frames(2)).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let mut got = vec![0; frames(2).len()];
        stream.read_exact(&mut got).unwrap();
        assert!(got == frames(2), "connection {round}");
    }
    topology.stop();
}

/// Whether the system asks over a connection of this local port whether the
/// peer is still there: the kind of timer in its table.
fn is_kept_alive(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let local = words
            .get(1)
            .is_some_and(|local| local.ends_with(&format!(":{port:04X}")));
        let established = words.get(3) == Some(&"01");
        local && established && words.get(5).is_some_and(|timer| timer.starts_with("02:"))
    })
}

#[test]
fn connections_are_kept_alive_when_asked() {
    for on in [true, false] {
        let base = tempfile::tempdir().unwrap();
        let (tcp, carbon) = (
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
        );
        let config = format!(
            "{TCP_IN}keep_alive = {on}\nkeep_alive_period = 60\n\
             [tcp]\ntype = 'TcpOutput'\naddress = '{}'\nkeep_alive = {on}\nmessage_matcher = 'TRUE'\n\
             [carbon]\ntype = 'CarbonOutput'\naddress = '{}'\ntcp_keep_alive = {on}\n\
             message_matcher = 'TRUE'\n",
            tcp.local_addr().unwrap(),
            carbon.local_addr().unwrap()
        );
        let mut topology = start(base.path(), &config);
        let mut sender = connect(&topology, "in");
        let line = headwater_pipeline::message::Message {
            payload: Some("a 1 2".into()),
            ..Default::default()
        };
        let mut frame = Vec::new();
        headwater_pipeline::message::put_frame(&mut frame, &line.to_bytes(), None, 1000).unwrap();
        sender.write_all(&frame).unwrap();
        let accepted = [tcp.accept().unwrap(), carbon.accept().unwrap()];
        let ports = accepted.iter().map(|(_, peer)| peer.port());
        for port in ports.chain([sender.peer_addr().unwrap().port()]) {
            if on {
                wait_until("the timer runs", || is_kept_alive(port));
            } else {
                assert!(!is_kept_alive(port));
            }
        }
        topology.stop();
    }
}

#[test]
fn nets_of_one_version_refuse_addresses_of_the_other() {
    let base = tempfile::tempdir().unwrap();
    for input in ["TcpInput", "UdpInput"] {
        let net = input[..3].to_lowercase();
        let config = format!("[in]\ntype = '{input}'\nnet = '{net}6'\naddress = '127.0.0.1:0'\n");
        let error = Topology::start(plan(base.path(), &config))
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("no address of {net}6")), "{error}");
    }
}

#[test]
fn the_rest_of_a_stream_is_delivered_when_asked() {
    for (deliver, wanted) in [(true, 2), (false, 1)] {
        let base = tempfile::tempdir().unwrap();
        let config = LINES_IN.replace("'TokenSplitter'", "'cut'");
        let config = format!(
            "{config}[cut]\ntype = 'TokenSplitter'\ndeliver_incomplete_final = {deliver}\n"
        );
        let mut topology = start(base.path(), &config);
        connect(&topology, "in").write_all(b"one\ntwo").unwrap();
        wait_until("the first line", || {
            stat(&topology, "in", "ProcessMessageCount") > 0
        });
        topology.stop();
        assert_eq!(stat_after_stop(base.path(), &config, wanted), wanted);
    }
}

/// Sends the same again and waits for what must come.
fn stat_after_stop(base: &Path, config: &str, wanted: u64) -> u64 {
    let mut topology = start(base, config);
    connect(&topology, "in").write_all(b"one\ntwo").unwrap();
    wait_until("all records", || {
        stat(&topology, "in", "ProcessMessageCount") >= wanted
    });
    let count = stat(&topology, "in", "ProcessMessageCount");
    topology.stop();
    count
}

#[test]
fn statistics_replace_dots_when_asked() {
    let base = tempfile::tempdir().unwrap();
    let config = format!(
        "{LINES_IN}[sum]\ntype = 'StatAccumInput'\nticker_interval = 1\n\
         [stats]\ntype = 'StatFilter'\nmessage_matcher = \"Type == 'in'\"\nstat_accum_name = 'sum'\n\
         [stats.Metric.a]\ntype = 'Counter'\nname = 'plain.%Logger%.%Payload%'\nvalue = '1'\n\
         [stats.Metric.b]\ntype = 'Counter'\nname = 'dotless.%Payload%'\nvalue = '1'\nreplace_dot = true\n{}",
        file_output("out", base.path()).replace("Type == 'test'", "Type == 'heka.statmetric'")
    );
    let mut topology = start(base.path(), &config);
    connect(&topology, "in").write_all(b"x.y\n").unwrap();
    let out = base.path().join("out.log");
    wait_for(&out, "stats.counters.dotless.x_y");
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("stats.counters.plain.in.x.y"), "{text}");
    topology.stop();
}

#[test]
fn statsd_reaches_the_accumulator_it_names() {
    let base = tempfile::tempdir().unwrap();
    let config = format!(
        "[in]\ntype = 'StatsdInput'\naddress = '127.0.0.1:0'\nstat_accum_name = 'sum'\n\
         [sum]\ntype = 'StatAccumInput'\nticker_interval = 1\n{}",
        file_output("out", base.path()).replace("Type == 'test'", "Type == 'heka.statmetric'")
    );
    let mut topology = start(base.path(), &config);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let to = (Ipv4Addr::LOCALHOST, stat(&topology, "in", "Port") as u16);
    socket.send_to(b"calls:3|c\nnot a line", to).unwrap();
    wait_for(&base.path().join("out.log"), "stats.counters.calls.count 3");
    assert_eq!(stat(&topology, "in", "ProcessMessageFailures"), 1);
    topology.stop();
}

fn log(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

#[test]
fn logstreamer_names_sorts_and_remembers_streams() {
    let base = tempfile::tempdir().unwrap();
    let logs = base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    log(&logs, "web-old.log", "first\n");
    log(&logs, "web-new.log", "second\n");
    let input = format!(
        "[in]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nhostname = 'elsewhere'\n\
         file_match = '(?P<Name>\\w+)-(?P<Age>\\w+)\\.log'\npriority = ['Age']\n\
         differentiator = ['app-', 'Name']\njournal_directory = 'places'\ncheck_data_interval = '1ms'\n\
         [in.translation.Age]\nold = 1\nnew = 2\n",
        logs.display()
    );
    let mut topology = start(base.path(), &format!("{input}{}", seen("out", base.path())));
    let out = base.path().join("out.log");
    wait_for(&out, "second");
    topology.stop();
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.find("first") < text.find("second"), "{text}");
    assert!(
        text.contains(":Logger: app-web") && text.contains(":Hostname: elsewhere"),
        "{text}"
    );
    assert!(base.path().join("places/app-web").is_file());
}

#[test]
fn logstreamer_can_begin_at_the_end() {
    let base = tempfile::tempdir().unwrap();
    let logs = base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    log(&logs, "app.log", "before\n");
    let config = format!(
        "[in]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log'\n\
         initial_tail = true\ncheck_data_interval = '1ms'\n{}",
        logs.display(),
        seen("out", base.path())
    );
    let mut topology = start(base.path(), &config);
    let journal = base.path().join("logstreamer/in");
    wait_until("the stream is found", || journal.exists());
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(logs.join("app.log"))
        .unwrap();
    file.write_all(b"after\n").unwrap();
    let out = base.path().join("out.log");
    wait_for(&out, "after");
    topology.stop();
    assert!(!fs::read_to_string(&out).unwrap().contains("before"));
}

#[cfg(feature = "http")]
#[test]
fn http_listen_keeps_the_headers_it_is_told_to() {
    let base = tempfile::tempdir().unwrap();
    let config = format!(
        "[in]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:0'\nrequest_headers = ['X-Tag']\n{}",
        seen("out", base.path())
    );
    let mut topology = start(base.path(), &config);
    let mut stream = connect(&topology, "in");
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: t\r\nX-Tag: blue\r\nX-Other: red\r\nContent-Length: 1\r\n\r\nx")
        .unwrap();
    wait_for(
        &base.path().join("out.log"),
        "name:\"X-Tag\" type:string value:\"blue\"",
    );
    topology.stop();
    assert!(
        !fs::read_to_string(base.path().join("out.log"))
            .unwrap()
            .contains("red")
    );
}

#[cfg(feature = "http")]
#[test]
fn http_output_gives_up_on_an_answer_in_time_and_tries_again() {
    let base = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let config = format!(
        "{TCP_IN}[out]\ntype = 'HttpOutput'\naddress = 'http://{}/'\nhttp_timeout = 20\n\
         message_matcher = 'TRUE'\nencoder = 'PayloadEncoder'\n[PayloadEncoder]\n",
        listener.local_addr().unwrap()
    );
    let mut topology = start(base.path(), &config);
    connect(&topology, "in").write_all(&frames(1)).unwrap();
    // Connections are taken by the system, and nobody answers.
    let _silent: TcpStream = listener.accept().unwrap().0;
    wait_until("two tries", || {
        stat(&topology, "out", "ProcessMessageFailures") >= 2
    });
    topology.stop();
}
