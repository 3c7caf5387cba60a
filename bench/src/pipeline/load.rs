//! What is sent: the same for everyone.

use std::fmt::Write as _;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use headwater_pipeline::message::{Field, Message, put_frame};
use headwater_tests::eventually;

/// Messages that differ; more are these again.
const DIFFERENT: usize = 10_000;
/// One in so many lines tells of a server's failure.
const FAILING: usize = 10;

/// Bytes of some messages, as frames and as lines, and how often they are sent.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) frames: Vec<u8>,
    pub(super) lines: Vec<u8>,
    pub(super) repeat: usize,
    each: usize,
}

impl Load {
    /// About `count` messages, at least one.
    pub(super) fn new(count: usize) -> Self {
        let each = count.clamp(1, DIFFERENT);
        let mut load = Self {
            frames: Vec::new(),
            lines: Vec::new(),
            repeat: count.div_ceil(each).max(1),
            each,
        };
        for number in 0..each {
            let line = line(number);
            let message = message(number, &line).to_bytes();
            put_frame(&mut load.frames, &message, None, 65536).expect("the message is small");
            load.lines.extend_from_slice(line.as_bytes());
            load.lines.push(b'\n');
        }
        load
    }

    pub(super) fn count(&self) -> usize {
        self.each * self.repeat
    }

    pub(super) fn frame_bytes(&self) -> usize {
        self.frames.len() / self.each
    }

    pub(super) fn line_bytes(&self) -> usize {
        self.lines.len() / self.each
    }

    /// Bytes of all lines that tell of a failure.
    pub(super) fn failing_bytes(&self) -> usize {
        let lines = self.lines.split_inclusive(|byte| *byte == b'\n');
        let failing = lines
            .enumerate()
            .filter(|(number, _)| number % FAILING == 0);
        failing.map(|(_, line)| line.len()).sum::<usize>() * self.repeat
    }

    /// Writes all lines into a file.
    pub(super) fn write_lines(&self, path: &Path) {
        let mut file = std::fs::File::create(path).expect("the folder can be written");
        for _ in 0..self.repeat {
            file.write_all(&self.lines)
                .expect("there is room for the lines");
        }
    }
}

/// Sends bytes so many times over one connection.
pub(super) fn send(port: u16, bytes: &[u8], repeat: usize) -> TcpStream {
    let mut stream = eventually("the input listens", || {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
        // Where nobody listens yet, a connection may meet itself.
        let itself = stream.local_addr().ok() == stream.peer_addr().ok();
        (!itself).then_some(stream)
    });
    for _ in 0..repeat {
        stream.write_all(bytes).expect("the input reads");
    }
    stream
}

/// A line of a web server's log, 206 bytes with its end.
fn line(number: usize) -> String {
    let status = if number.is_multiple_of(FAILING) {
        503
    } else {
        200
    };
    let mut line = format!(
        "10.0.{}.{} - alice [24/Nov/2014:14:54:53 +0000] \"GET /a/b/c?page={number:05} HTTP/1.1\" {status} {} \
         \"http://www.example.com/start.html\" \"Mozilla/4.08 [en] (Win98; I; Nav)",
        number / 250 % 250,
        number % 250,
        1000 + number % 9000,
    );
    while line.len() < 204 {
        line.push('.');
    }
    line.push('"');
    line
}

/// A message of about 419 bytes with its frame.
fn message(number: usize, line: &str) -> Message {
    let mut host = String::from("web-01");
    // Writing to a String cannot fail.
    let _ = write!(host, ".example-{:02}", number % 100);
    Message {
        uuid: Some(headwater_pipeline::message::Uuid::from_bytes(
            &[number as u8; 16],
        )),
        timestamp: Some(1_416_840_893_000_000_000 + number as i64),
        kind: Some("nginx.access".into()),
        logger: Some("web-01".into()),
        severity: Some(6),
        payload: Some(line.to_owned().into()),
        pid: Some(4242),
        hostname: Some(host.into()),
        fields: vec![
            Field::integer("status", 200, ""),
            Field::string("uri", "/a/b/c", ""),
            Field::double("request_time", 0.25, "s"),
            Field::string("remote_addr", "127.0.0.1", "ipv4"),
            Field::integer("bytes", 2326, "B"),
        ],
        ..Message::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_baselines() {
        let load = Load::new(25_000);
        assert_eq!((load.count(), load.repeat), (30_000, 3));
        assert_eq!(load.line_bytes(), 206);
        assert!(
            (400..430).contains(&load.frame_bytes()),
            "{}",
            load.frame_bytes()
        );
        assert_eq!(load.failing_bytes(), 3_000 * 206);
    }
}
