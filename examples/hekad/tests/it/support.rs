//! A daemon, what is sent to it, and what comes out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use headwater_pipeline::message::{Message, put_frame};

/// No test waits longer than this for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// A running daemon; killed when it is let go.
pub(crate) struct Hekad(Child);

impl Hekad {
    pub(crate) fn start(config: &Path) -> Hekad {
        let child = Command::new(env!("CARGO_BIN_EXE_hekad"))
            .arg("-config")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Hekad(child.unwrap())
    }

    /// A number of `/proc/PID/status`, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Hekad {
    /// kill -9.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn write_config(base: &Path, text: &str) -> PathBuf {
    let path = base.join("hekad.toml");
    fs::write(
        &path,
        format!("[hekad]\nbase_dir = '{}'\n{text}", base.display()),
    )
    .unwrap();
    path
}

pub(crate) fn wait_until(what: &str, done: impl Fn() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Connects as soon as somebody listens.
pub(crate) fn connect(port: u16) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            // Where nobody listens yet, a connection may meet itself.
            Ok(stream) if stream.local_addr().ok() != stream.peer_addr().ok() => return stream,
            Ok(_) => {}
            Err(error) => assert!(started.elapsed() < PATIENCE, "cannot connect: {error}"),
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The frame of the message numbered so.
pub(crate) fn frame(number: usize) -> Vec<u8> {
    let message = Message {
        payload: Some(format!("<{number}>").into()),
        ..Message::default()
    };
    let mut out = Vec::new();
    put_frame(&mut out, &message.to_bytes(), None, 65536).unwrap();
    out
}

/// How often each `<number>` occurs.
pub(crate) fn count(bytes: &[u8], into: &mut BTreeMap<usize, usize>) {
    for piece in bytes.split(|byte| *byte == b'<') {
        let end = piece.iter().position(|byte| *byte == b'>');
        let text = end.and_then(|end| std::str::from_utf8(&piece[..end]).ok());
        if let Some(number) = text.and_then(|text| text.parse().ok()) {
            *into.entry(number).or_default() += 1;
        }
    }
}

/// A receiver that confirms every byte it has, one way or the other.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
}

impl Receiver {
    /// Answers with the number of bytes that came, as TcpInput does with
    /// `acknowledge`.
    pub(crate) fn tcp() -> Receiver {
        Receiver::start(acknowledge)
    }

    /// Answers requests with 200.
    pub(crate) fn http() -> Receiver {
        Receiver::start(answer)
    }

    /// Takes connections as long as the test runs.
    fn start(serve: fn(TcpStream, &Mutex<Vec<u8>>) -> io::Result<()>) -> Receiver {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            bytes: Arc::default(),
        };
        let bytes = receiver.bytes.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let bytes = bytes.clone();
                // The daemon is killed in the middle of everything.
                thread::spawn(move || serve(stream.unwrap(), &bytes).ok());
            }
        });
        receiver
    }
}

fn acknowledge(mut stream: TcpStream, bytes: &Mutex<Vec<u8>>) -> io::Result<()> {
    let mut buffer = vec![0; 65536];
    let mut total = 0u64;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return stream.shutdown(Shutdown::Both);
        }
        bytes.lock().unwrap().extend_from_slice(&buffer[..count]);
        total += count as u64;
        stream.write_all(&total.to_be_bytes())?;
    }
}

fn answer(stream: TcpStream, bytes: &Mutex<Vec<u8>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let (mut length, mut line) = (0, String::new());
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = text.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        bytes.lock().unwrap().extend_from_slice(&body);
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}

/// What `/report.json` says of a plugin's number.
pub(crate) fn reported(port: u16, plugin: &str, name: &str) -> u64 {
    let mut stream = connect(port);
    stream
        .write_all(b"GET /report.json HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let of_plugin = body.split(&format!("\"Name\":\"{plugin}\"")).nth(1);
    let of_plugin = of_plugin.and_then(|rest| rest.split("\"Name\"").next());
    let value = of_plugin.and_then(|rest| rest.split(&format!("\"{name}\":{{\"value\":")).nth(1));
    let digits = value.and_then(|rest| rest.split(',').next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
