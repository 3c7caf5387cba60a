//! Memory stays flat, also with a disk queue.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use headwater_pipeline::message::{Message, put_frame};

use super::support::{Hekad, connect, free_port, wait_until, write_config};

/// Messages before the first look and between the two.
const MESSAGES: usize = 50_000;
/// What the daemon may hold besides its program, in KiB.
const HELD_MAX: u64 = 22 * 1024;
/// What it may hold more of after more messages, in KiB.
const GROWTH_MAX: u64 = 4 * 1024;

#[test]
fn with_a_disk_queue_it_stays_flat() {
    let base = tempfile::tempdir().unwrap();
    let (port, sink) = (
        free_port(),
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(),
    );
    let to = sink.local_addr().unwrap();
    let received: Arc<AtomicUsize> = Arc::default();
    let counter = received.clone();
    thread::spawn(move || {
        let (mut stream, _) = sink.accept().unwrap();
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            counter.fetch_add(count, Ordering::Relaxed);
        }
    });
    let config = write_config(
        base.path(),
        &format!(
            "[TcpInput]\naddress = '127.0.0.1:{port}'\n\
             [TcpOutput]\nmessage_matcher = 'TRUE'\naddress = '{to}'\nuse_buffering = true\n"
        ),
    );
    let hekad = Hekad::start(&config);
    let mut stream = connect(port);
    let frames = frames(1000);
    let mut sent = 0;
    let mut peaks = Vec::new();
    for _ in 0..2 {
        for _ in 0..MESSAGES / 1000 {
            stream.write_all(&frames).unwrap();
            sent += frames.len();
        }
        wait_until("all messages", || received.load(Ordering::Relaxed) == sent);
        peaks.push(hekad.memory_kib("VmHWM:"));
    }
    let held = peaks[1] - hekad.memory_kib("RssFile:");
    println!("peaks {peaks:?} KiB, {held} KiB besides the program");
    assert!(held < HELD_MAX, "{held} KiB");
    assert!(peaks[1] - peaks[0] < GROWTH_MAX, "{peaks:?}");
}

/// Frames of about 400 bytes.
fn frames(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..count {
        let message = Message {
            timestamp: Some(number as i64),
            payload: Some(vec![b'x'; 380].into()),
            ..Message::default()
        };
        put_frame(&mut out, &message.to_bytes(), None, 65536).unwrap();
    }
    out
}
