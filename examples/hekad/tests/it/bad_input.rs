//! Bad input is counted, reported, and disturbs nothing else.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;

use headwater_pipeline::message::{HmacHash, Message, Signer, put_frame};

use super::support::{Hekad, connect, frame, free_port, reported, wait_until, write_config};

/// Two inputs of which one gets the bad bytes, and an output for both.
struct Scene {
    base: tempfile::TempDir,
    bad: u16,
    good: u16,
    reports: u16,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            base: tempfile::tempdir().unwrap(),
            bad: free_port(),
            good: free_port(),
            reports: free_port(),
        }
    }

    fn start(&self, bad: &str) -> Hekad {
        let text = format!(
            "{bad}[good]\ntype = 'TcpInput'\naddress = '127.0.0.1:{}'\n\
             [FileOutput]\nmessage_matcher = 'TRUE'\npath = '{}'\nencoder = 'PayloadEncoder'\n\
             flush_interval = 5\n[PayloadEncoder]\n\
             [MetricsOutput]\nmessage_matcher = 'FALSE'\naddress = '127.0.0.1:{}'\n",
            self.good,
            self.out().display(),
            self.reports
        );
        Hekad::start(&write_config(self.base.path(), &text))
    }

    fn out(&self) -> std::path::PathBuf {
        self.base.path().join("out.log")
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.out()).unwrap_or_default()).into_owned()
    }

    fn wait_written(&self, text: &str) {
        wait_until(text, || self.written().contains(text));
    }

    fn wait_reported(&self, name: &str, least: u64) {
        wait_until(name, || reported(self.reports, "bad", name) >= least);
    }

    /// The other input works as if nothing had happened.
    fn check_others(&self) {
        connect(self.good).write_all(&frame(4711)).unwrap();
        self.wait_written("<4711>");
        assert_eq!(reported(self.reports, "good", "SkippedBytes"), 0);
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn frames_that_are_none() {
    let scene = Scene::new();
    let _hekad = scene.start(&format!(
        "[bad]\ntype = 'TcpInput'\naddress = '127.0.0.1:{}'\nsplitter = 'signed'\n\
         [signed]\ntype = 'HekaFramingSplitter'\n[signed.signer.ops_1]\nhmac_key = 'right'\n",
        scene.bad
    ));
    let mut stream = connect(scene.bad);
    // What looks like the start of a frame swallows what comes next, up to
    // the largest frame; behind that all is well again.
    let after_damage = |number| [frame(0).repeat(10_000), frame(number)].concat();
    stream.write_all(&noise(100_000)).unwrap();
    stream.write_all(&after_damage(1)).unwrap();
    scene.wait_written("<1>\n");
    scene.wait_reported("SkippedBytes", 1000);
    // A frame that is cut short.
    stream.write_all(&frame(2)[..9]).unwrap();
    stream.write_all(&after_damage(3)).unwrap();
    scene.wait_written("<3>\n");
    // A frame over the limit.
    let mut large = Vec::new();
    put_frame(&mut large, &vec![b'x'; 70_000], None, 1 << 20).unwrap();
    stream.write_all(&large).unwrap();
    stream.write_all(&frame(4)).unwrap();
    scene.wait_written("<4>\n");
    scene.wait_reported("SkippedBytes", 70_000);
    // Signatures with a wrong key and by a stranger.
    for (name, key) in [("ops", "wrong"), ("stranger", "right")] {
        let signer = Signer {
            name: name.to_owned(),
            version: 1,
            hash: HmacHash::Sha1,
            key: key.into(),
        };
        let message = Message {
            payload: Some("forged".into()),
            ..Message::default()
        };
        let mut forged = Vec::new();
        put_frame(&mut forged, &message.to_bytes(), Some(&signer), 65536).unwrap();
        stream.write_all(&forged).unwrap();
    }
    stream.write_all(&frame(5)).unwrap();
    scene.wait_written("<5>\n");
    scene.wait_reported("RejectedSignatures", 2);
    // A connection that ends in the middle of a frame.
    stream.write_all(&frame(6)[..5]).unwrap();
    drop(stream);
    connect(scene.bad).write_all(&frame(7)).unwrap();
    scene.wait_written("<7>\n");
    assert!(!scene.written().contains("forged"));
    scene.check_others();
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn log_files_that_misbehave() {
    let scene = Scene::new();
    let logs = scene.base.path().join("logs");
    fs::create_dir(&logs).unwrap();
    let log = logs.join("app.log");
    append(&log, b"<1>\n");
    let _hekad = scene.start(&format!(
        "[bad]\ntype = 'LogstreamerInput'\nlog_directory = '{}'\nfile_match = 'app\\.log(\\.(?P<Seq>\\d+))?'\n\
         priority = ['^Seq']\ncheck_data_interval = '2ms'\nrescan_interval = '20ms'\n",
        logs.display()
    ));
    scene.wait_written("<1>\n");
    // Rotated, with a last line written behind its back.
    fs::rename(&log, logs.join("app.log.1")).unwrap();
    append(&logs.join("app.log.1"), b"<2>\n");
    append(&log, b"<3>\n");
    scene.wait_written("<3>\n");
    assert!(scene.written().contains("<2>\n"));
    // Cut to nothing and begun anew.
    append(
        &log,
        b"some more text, so that it is longer than what follows\n",
    );
    scene.wait_written("what follows\n");
    OpenOptions::new()
        .write(true)
        .open(&log)
        .unwrap()
        .set_len(0)
        .unwrap();
    wait_until("the cut is seen", || {
        // A line is only new behind the cut if it is written after it.
        append(&log, b"<4>\n");
        scene.written().contains("<4>\n")
    });
    // Filled with NUL bytes, more than a record may have.
    append(&log, &vec![0; 300_000]);
    append(&log, b"\n<5>\n");
    scene.wait_written("<5>\n");
    scene.wait_reported("OversizeRecords", 1);
    // Gone, and back.
    fs::remove_file(&log).unwrap();
    wait_until("a file of the same name is read", || {
        append(&log, b"<6>\n");
        scene.written().contains("<6>\n")
    });
    scene.check_others();
}

/// Sends the head of a request and what follows; answers the status line.
fn request(port: u16, head: &str, body: &[u8]) -> String {
    let mut stream = connect(port);
    let text = format!("POST / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{head}\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    // The answer may come before the end of the body, which is then refused.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[test]
fn requests_without_end() {
    let scene = Scene::new();
    let _hekad = scene.start(&format!(
        "[bad]\ntype = 'HttpListenInput'\naddress = '127.0.0.1:{}'\n",
        scene.bad
    ));
    let sound = request(scene.bad, "Content-Length: 3\r\n", b"<1>");
    assert!(sound.contains("200"), "{sound}");
    // A length that nobody would take.
    let long = request(scene.bad, "Content-Length: 999999999999\r\n", b"x");
    assert!(long.contains("413"), "{long}");
    // Pieces that never end; the answer may be lost when the connection closes.
    let piece = format!("10000\r\n{}\r\n", "y".repeat(0x10000));
    let endless = request(
        scene.bad,
        "Transfer-Encoding: chunked\r\n",
        piece.repeat(50).as_bytes(),
    );
    assert!(endless.is_empty() || endless.contains("413"), "{endless}");
    scene.wait_reported("ProcessMessageFailures", 2);
    // A body of which nothing more comes is waited for, and nobody else waits.
    let mut waiting = connect(scene.bad);
    waiting
        .write_all(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf")
        .unwrap();
    let sound = request(scene.bad, "Content-Length: 3\r\n", b"<2>");
    assert!(sound.contains("200"), "{sound}");
    scene.wait_written("<2>\n");
    assert!(!scene.written().contains("yyy"));
    scene.check_others();
}
