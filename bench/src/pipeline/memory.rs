//! Memory over many messages through a disk queue: it must not grow.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::process::free_port;

use crate::measure::{memory_mib, peak_memory_mib};
use crate::metrics::table::Table;

use super::contender::Contender;
use super::load::{Load, send};
use super::sink::Sink;

pub(super) const WHAT: &str = "memory with the disk queue";

/// Everything arrives within this.
const PATIENCE: Duration = Duration::from_secs(1800);

/// Notes the memory after a tenth of the messages, after all, and the peak.
pub(super) fn measure(at: usize, contender: &Contender, messages: usize, table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder for the run");
    let base = folder.path().join("base");
    fs::create_dir(&base).expect("the folder can be written");
    let (port, sink) = (free_port(), Sink::start());
    let config = format!(
        "[hekad]\nbase_dir = '{}'\n[TcpInput]\naddress = '127.0.0.1:{port}'\n\
         [TcpOutput]\nmessage_matcher = 'TRUE'\naddress = '127.0.0.1:{}'\nuse_buffering = true\n\
         [TcpOutput.buffering]\nmax_file_size = 16777216\n",
        base.display(),
        sink.port
    );
    let program = contender.start(folder.path(), &config);
    let load = Load::new(messages / 10);
    let mut sent = 0;
    for tenth in 1..=10 {
        let _open = send(port, &load.frames, load.repeat);
        sent += load.frames.len() * load.repeat;
        let started = Instant::now();
        while sink.bytes() < sent {
            assert!(
                started.elapsed() < PATIENCE,
                "not done in time:\n{}",
                program.output()
            );
            thread::sleep(Duration::from_millis(20));
        }
        let name = match tenth {
            1 => "after a tenth",
            10 => "after all",
            _ => continue,
        };
        table.note(
            at,
            format!("{WHAT}, {messages} messages: {name}"),
            "MiB",
            memory_mib(program.id()),
        );
    }
    table.note(
        at,
        format!("{WHAT}, {messages} messages: peak"),
        "MiB",
        peak_memory_mib(program.id()),
    );
}
