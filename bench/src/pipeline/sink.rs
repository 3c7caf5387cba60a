//! A receiver that counts.

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Takes connections and counts their bytes, for as long as the program runs.
#[derive(Debug)]
pub(super) struct Sink {
    pub(super) port: u16,
    bytes: Arc<AtomicUsize>,
}

impl Sink {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let bytes: Arc<AtomicUsize> = Arc::default();
        let counter = bytes.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counter = counter.clone();
                thread::spawn(move || count(stream, &counter));
            }
        });
        Self { port, bytes }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }
}

fn count(mut stream: impl Read, bytes: &AtomicUsize) {
    let mut buffer = vec![0; 1 << 20];
    while let Ok(read) = stream.read(&mut buffer) {
        if read == 0 {
            return;
        }
        bytes.fetch_add(read, Ordering::AcqRel);
    }
}
