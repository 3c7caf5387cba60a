//! A small target to scrape: every request is answered by a function.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// What a target answers.
#[derive(Clone, Debug)]
pub struct Page {
    /// Status line after `HTTP/1.1 `.
    pub status: &'static str,
    /// Headers, each ended by CRLF.
    pub headers: String,
    /// The body, sent as it is.
    pub body: Vec<u8>,
}

impl Page {
    /// A text exposition.
    pub fn text(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: "200 OK",
            headers: "Content-Type: text/plain; version=0.0.4\r\n".into(),
            body: body.into(),
        }
    }
}

/// A listening target; serves until the test ends.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
}

impl Exporter {
    /// Serves `answer` on a free port of the loopback address.
    ///
    /// # Panics
    /// There is no free port.
    pub fn serve(answer: impl Fn() -> Page + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = answer.clone();
                std::thread::spawn(move || serve_connection(stream, &*answer));
            }
        });
        Self { address }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }
}

/// Answers requests until the peer goes away; a request is everything up to an empty line.
fn serve_connection(stream: TcpStream, answer: &dyn Fn() -> Page) {
    let Ok(mut writer) = stream.try_clone() else {
        return;
    };
    let mut in_request = false;
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if !line.is_empty() {
            in_request = true;
            continue;
        }
        if !std::mem::take(&mut in_request) {
            continue;
        }
        let page = answer();
        let head = format!(
            "HTTP/1.1 {}\r\n{}Content-Length: {}\r\n\r\n",
            page.status,
            page.headers,
            page.body.len()
        );
        if writer
            .write_all(head.as_bytes())
            .and_then(|()| writer.write_all(&page.body))
            .is_err()
        {
            return;
        }
    }
}
