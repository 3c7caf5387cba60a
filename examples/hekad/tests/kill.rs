//! kill -9 under load: with acknowledgements on, nothing is lost.
//!
//! The daemon is killed a few times a run; `HEADWATER_KILLS` sets how often.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use headwater_pipeline::message::{Message, put_frame};

const PATIENCE: Duration = Duration::from_secs(60);

fn kills() -> usize {
    let set = std::env::var("HEADWATER_KILLS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(3)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

struct Hekad(Child);

impl Hekad {
    fn start(config: &Path) -> Hekad {
        let child = Command::new(env!("CARGO_BIN_EXE_hekad"))
            .arg("-config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Hekad(child.unwrap())
    }
}

impl Drop for Hekad {
    /// kill -9.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write_config(base: &Path, text: &str) -> std::path::PathBuf {
    let path = base.join("hekad.toml");
    fs::write(
        &path,
        format!("[hekad]\nbase_dir = '{}'\n{text}", base.display()),
    )
    .unwrap();
    path
}

/// How often each `<number>` occurs.
fn count(bytes: &[u8], into: &mut BTreeMap<usize, usize>) {
    for piece in bytes.split(|byte| *byte == b'<') {
        let end = piece.iter().position(|byte| *byte == b'>');
        let text = end.and_then(|end| std::str::from_utf8(&piece[..end]).ok());
        if let Some(number) = text.and_then(|text| text.parse().ok()) {
            *into.entry(number).or_default() += 1;
        }
    }
}

fn judge(what: &str, seen: &BTreeMap<usize, usize>, wanted: usize) {
    let lost = (0..wanted)
        .filter(|number| !seen.contains_key(number))
        .count();
    let twice: usize = seen.values().map(|times| times - 1).sum();
    println!("{what}: {wanted} sent, {lost} lost, {twice} more than once");
    assert_eq!(lost, 0);
}

/// A little less predictable than a constant.
fn soon(round: usize) -> Duration {
    Duration::from_millis(30 + (round as u64 * 7919) % 150)
}

fn connect(port: u16) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stream) => return stream,
            Err(error) => {
                assert!(started.elapsed() < PATIENCE, "cannot connect: {error}");
                thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

fn frame(number: usize) -> Vec<u8> {
    let message = Message {
        payload: Some(format!("<{number}>").into()),
        ..Message::default()
    };
    let mut out = Vec::new();
    put_frame(&mut out, &message.to_bytes(), None, 65536).unwrap();
    out
}

/// Sends frames from `next` on until told to stop or the connection breaks;
/// moves `next` as they are acknowledged.
fn send(stream: &mut TcpStream, next: &mut usize, until: Option<Instant>, total: usize) {
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
        while block.len() < 20_000 && number < total {
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

#[test]
fn from_tcp_to_a_file() {
    let base = tempfile::tempdir().unwrap();
    let port = free_port();
    let out = base.path().join("out.log");
    let config = write_config(
        base.path(),
        &format!(
            "[TcpInput]\naddress = '127.0.0.1:{port}'\nacknowledge = true\n\
             [FileOutput]\nmessage_matcher = 'TRUE'\npath = '{}'\nencoder = 'PayloadEncoder'\n\
             flush_interval = 5\n[PayloadEncoder]\n",
            out.display()
        ),
    );
    let mut next = 0;
    for round in 0..kills() {
        let hekad = Hekad::start(&config);
        let mut stream = connect(port);
        let until = Instant::now() + soon(round);
        send(&mut stream, &mut next, Some(until), usize::MAX);
        drop(hekad);
    }
    let total = next + 1000;
    let hekad = Hekad::start(&config);
    let started = Instant::now();
    while next < total {
        assert!(
            started.elapsed() < PATIENCE,
            "{next} of {total} acknowledged"
        );
        send(&mut connect(port), &mut next, None, total);
    }
    drop(hekad);
    let mut seen = BTreeMap::new();
    count(&fs::read(out).unwrap(), &mut seen);
    judge("TCP to file", &seen, total);
}

/// A receiver that acknowledges every byte it has.
struct Receiver {
    port: u16,
    bytes: Arc<Mutex<Vec<u8>>>,
    stop: Arc<AtomicBool>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            bytes: Arc::default(),
            stop: Arc::default(),
        };
        let (bytes, stop) = (receiver.bytes.clone(), receiver.stop.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let bytes = bytes.clone();
                thread::spawn(move || receive(stream.unwrap(), &bytes));
            }
        });
        receiver
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn receive(mut stream: TcpStream, bytes: &Mutex<Vec<u8>>) {
    let mut buffer = vec![0; 65536];
    let mut total = 0u64;
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            return;
        }
        bytes.lock().unwrap().extend_from_slice(&buffer[..count]);
        total += count as u64;
        if stream.write_all(&total.to_be_bytes()).is_err() {
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    }
}

#[test]
fn from_a_log_file_to_tcp() {
    let base = tempfile::tempdir().unwrap();
    let logs = base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let receiver = Receiver::start();
    let config = write_config(
        base.path(),
        &format!(
            "[logs]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log'\n\
             check_data_interval = '5ms'\n\
             [TcpOutput]\naddress = '127.0.0.1:{}'\nmessage_matcher = 'TRUE'\n\
             encoder = 'PayloadEncoder'\nacknowledge = true\n[PayloadEncoder]\n",
            logs.display(),
            receiver.port
        ),
    );
    let written = AtomicUsize::new(0);
    let finished = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::create(logs.join("app.log")).unwrap();
            while !finished.load(Ordering::Relaxed) {
                let first = written.load(Ordering::Relaxed);
                let lines: String = (first..first + 100).map(|n| format!("<{n}>\n")).collect();
                file.write_all(lines.as_bytes()).unwrap();
                written.store(first + 100, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(1));
            }
        });
        for round in 0..kills() {
            let hekad = Hekad::start(&config);
            thread::sleep(Duration::from_millis(200) + soon(round));
            drop(hekad);
        }
        finished.store(true, Ordering::Relaxed);
    });
    let total = written.load(Ordering::Relaxed);
    let hekad = Hekad::start(&config);
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
    drop(hekad);
    judge("log file to TCP", &seen, total);
}
