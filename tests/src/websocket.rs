//! A small client of websockets: it shakes hands and reads texts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// An open websocket.
#[derive(Debug)]
pub struct WebSocket(BufReader<TcpStream>);

impl WebSocket {
    /// Opens `http://host:port/path` as a websocket.
    ///
    /// # Panics
    /// The server does not change protocols.
    pub fn open(url: &str) -> Self {
        let address = url.strip_prefix("http://").expect("an http URL");
        let (host, path) = address.split_once('/').expect("a path");
        let mut stream = TcpStream::connect(host).expect("the server listens");
        stream
            .set_read_timeout(Some(crate::PATIENCE))
            .expect("a timeout");
        write!(
            stream,
            "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .expect("the request is sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(
                reader.read_line(&mut head).expect("an answer") > 0,
                "{head}"
            );
        }
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        Self(reader)
    }

    /// The next text; `None` once the server closes.
    ///
    /// # Panics
    /// Nothing comes in time.
    pub fn next_text(&mut self) -> Option<String> {
        loop {
            let [first, second] = self.bytes::<2>();
            let length = match second & 0x7f {
                126 => usize::from(u16::from_be_bytes(self.bytes())),
                127 => {
                    usize::try_from(u64::from_be_bytes(self.bytes())).expect("a frame that fits")
                }
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).expect("a whole frame");
            match first & 0x0f {
                1 => return Some(String::from_utf8(payload).expect("a text")),
                8 => return None,
                _ => {}
            }
        }
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.read_exact(&mut bytes).expect("a frame");
        bytes
    }
}
