//! kill -9 under load: with acknowledgements on, nothing is lost, from a
//! sender over TCP or a log file, to a file or a receiver over TCP or HTTP.
//!
//! The daemon is killed a few times a test; `HEADWATER_KILLS` sets how often.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::support::{Hekad, PATIENCE, Receiver, connect, count, frame, free_port, write_config};

fn kills() -> usize {
    let set = std::env::var("HEADWATER_KILLS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A little less predictable than a constant.
fn soon(round: usize) -> Duration {
    Duration::from_millis(30 + (round as u64 * 7919) % 150)
}

fn judge(what: &str, seen: &BTreeMap<usize, usize>, wanted: usize) {
    let lost = (0..wanted)
        .filter(|number| !seen.contains_key(number))
        .count();
    let twice: usize = seen.values().map(|times| times - 1).sum();
    println!(
        "{what}: {} kills, {wanted} sent, {lost} lost, {twice} more than once",
        kills()
    );
    assert_eq!(lost, 0);
}

/// How a sender or writer paces itself, so that the output keeps up.
#[derive(Clone, Copy)]
struct Pace {
    /// Messages sent and not acknowledged, and lines a millisecond.
    window: usize,
    lines: usize,
}

const FAST: Pace = Pace {
    window: 100_000,
    lines: 100,
};
/// For one request a message.
const SLOW: Pace = Pace {
    window: 50,
    lines: 2,
};

/// Sends frames from `next` on until told to stop or the connection breaks;
/// moves `next` as they are acknowledged.
fn send(
    stream: &mut TcpStream,
    next: &mut usize,
    pace: Pace,
    until: Option<Instant>,
    total: usize,
) {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let mut ends = Vec::new();
    let (mut sent, mut answer, mut filled, mut number) = (0u64, [0; 8], 0, *next);
    let first = *next;
    loop {
        if until.is_some_and(|until| Instant::now() > until) || *next == total {
            return;
        }
        let mut block = Vec::new();
        while block.len() < 20_000 && number < total && number < *next + pace.window {
            block.extend(frame(number));
            ends.push(sent + block.len() as u64);
            number += 1;
        }
        sent += block.len() as u64;
        if stream.write_all(&block).is_err() {
            return;
        }
        match stream.read(&mut answer[filled..]) {
            Ok(0) => return,
            Ok(count) => filled += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return,
        }
        if filled == 8 {
            filled = 0;
            let arrived = u64::from_be_bytes(answer);
            *next = first + ends.partition_point(|end| *end <= arrived);
        }
    }
}

/// Lets a sender over TCP survive the kills of whoever listens on `port`.
/// Answers how many messages were acknowledged in the end.
fn send_through_kills(config: &Path, port: u16, pace: Pace) -> usize {
    let mut next = 0;
    for round in 0..kills() {
        let hekad = Hekad::start(config);
        let mut stream = connect(port);
        let until = Instant::now() + soon(round) * if pace.window < 1000 { 3 } else { 1 };
        send(&mut stream, &mut next, pace, Some(until), usize::MAX);
        drop(hekad);
    }
    let total = next + 1000;
    let hekad = Hekad::start(config);
    let started = Instant::now();
    while next < total {
        assert!(
            started.elapsed() < PATIENCE,
            "{next} of {total} acknowledged"
        );
        send(&mut connect(port), &mut next, pace, None, total);
    }
    drop(hekad);
    total
}

fn tcp_in(port: u16) -> String {
    format!("[TcpInput]\naddress = '127.0.0.1:{port}'\nacknowledge = true\n")
}

fn tcp_out(receiver: &Receiver) -> String {
    format!(
        "[TcpOutput]\naddress = '127.0.0.1:{}'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\nacknowledge = true\n[PayloadEncoder]\n",
        receiver.port
    )
}

fn http_out(receiver: &Receiver) -> String {
    format!(
        "[HttpOutput]\naddress = 'http://127.0.0.1:{}/'\nmessage_matcher = 'TRUE'\n\
         encoder = 'PayloadEncoder'\n[PayloadEncoder]\n",
        receiver.port
    )
}

#[test]
fn from_tcp_to_a_file() {
    let base = tempfile::tempdir().unwrap();
    let port = free_port();
    let out = base.path().join("out.log");
    let output = format!(
        "[FileOutput]\nmessage_matcher = 'TRUE'\npath = '{}'\nencoder = 'PayloadEncoder'\n\
         flush_interval = 5\n[PayloadEncoder]\n",
        out.display()
    );
    let config = write_config(base.path(), &format!("{}{output}", tcp_in(port)));
    let total = send_through_kills(&config, port, FAST);
    let mut seen = BTreeMap::new();
    count(&fs::read(out).unwrap(), &mut seen);
    judge("TCP to file", &seen, total);
}

fn from_tcp(what: &str, receiver: &Receiver, output: &str, pace: Pace) {
    let base = tempfile::tempdir().unwrap();
    let port = free_port();
    let config = write_config(base.path(), &format!("{}{output}", tcp_in(port)));
    let total = send_through_kills(&config, port, pace);
    // What is on disk after the last kill still has to be sent.
    let hekad = Hekad::start(&config);
    let seen = received(receiver, total);
    drop(hekad);
    judge(what, &seen, total);
}

#[test]
fn from_tcp_to_tcp() {
    let receiver = Receiver::tcp();
    from_tcp("TCP to TCP", &receiver, &tcp_out(&receiver), FAST);
}

#[test]
fn from_tcp_to_http() {
    let receiver = Receiver::http();
    from_tcp("TCP to HTTP", &receiver, &http_out(&receiver), SLOW);
}

/// Counts what a receiver gets until it has `total` numbers, or nothing more
/// comes.
fn received(receiver: &Receiver, total: usize) -> BTreeMap<usize, usize> {
    let mut seen = BTreeMap::new();
    let (mut counted, mut progress) = (0, Instant::now());
    while seen.len() < total && progress.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(50));
        let bytes = receiver.bytes.lock().unwrap();
        // A number may still be on its way.
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        if whole > counted {
            count(&bytes[counted..whole], &mut seen);
            counted = whole;
            progress = Instant::now();
        }
    }
    seen
}

/// Writes lines of some 200 bytes until told to stop; says how many.
fn write_lines(path: &Path, pace: Pace, written: &AtomicUsize, finished: &AtomicBool) {
    let mut file = fs::File::create(path).unwrap();
    let rest = ".".repeat(190);
    while !finished.load(Ordering::Relaxed) {
        let first = written.load(Ordering::Relaxed);
        let lines: String = (first..first + pace.lines)
            .map(|n| format!("<{n}>{rest}\n"))
            .collect();
        file.write_all(lines.as_bytes()).unwrap();
        written.store(first + pace.lines, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(1));
    }
}

fn from_a_log_file(what: &str, receiver: &Receiver, output: &str, pace: Pace) {
    let base = tempfile::tempdir().unwrap();
    let logs = base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let input = format!(
        "[logs]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log'\n\
         check_data_interval = '5ms'\n",
        logs.display(),
    );
    let config = write_config(base.path(), &format!("{input}{output}"));
    let (written, finished) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| write_lines(&logs.join("app.log"), pace, &written, &finished));
        for round in 0..kills() {
            let hekad = Hekad::start(&config);
            thread::sleep(Duration::from_millis(200) + soon(round));
            drop(hekad);
        }
        finished.store(true, Ordering::Relaxed);
    });
    let total = written.load(Ordering::Relaxed);
    let hekad = Hekad::start(&config);
    let seen = received(receiver, total);
    drop(hekad);
    judge(what, &seen, total);
}

#[test]
fn from_a_log_file_to_tcp() {
    let receiver = Receiver::tcp();
    from_a_log_file("log file to TCP", &receiver, &tcp_out(&receiver), FAST);
}

#[test]
fn from_a_log_file_to_http() {
    let receiver = Receiver::http();
    from_a_log_file("log file to HTTP", &receiver, &http_out(&receiver), SLOW);
}
