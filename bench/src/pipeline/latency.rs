//! How long a single message takes through a disk queue with nothing else in it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use headwater_tests::process::free_port;

use crate::metrics::table::Table;

use super::contender::Contender;
use super::load::{Load, send};

pub(super) const WHAT: &str = "idle latency through the disk queue";

/// Between probes everything goes back to sleep.
const PAUSE: Duration = Duration::from_millis(20);
/// A probe that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends probes one by one and notes half, 99 in 100, and all of them.
pub(super) fn measure(at: usize, contender: &Contender, probes: usize, table: &mut Table) {
    let folder = tempfile::tempdir().expect("a folder for the run");
    let base = folder.path().join("base");
    fs::create_dir(&base).expect("the folder can be written");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let (port, to) = (free_port(), listener.local_addr().expect("its address"));
    let config = format!(
        "[hekad]\nbase_dir = '{}'\n[TcpInput]\naddress = '127.0.0.1:{port}'\n\
         [TcpOutput]\nmessage_matcher = 'TRUE'\naddress = '{to}'\nuse_buffering = true\n",
        base.display()
    );
    let _program = contender.start(folder.path(), &config);
    let probe = Load::new(1).frames;
    let mut sender = send(port, &probe, 1);
    let (mut receiver, _) = listener.accept().expect("the output connects");
    receiver
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout");
    let mut got = vec![0; probe.len()];
    receiver
        .read_exact(&mut got)
        .expect("the first probe arrives");
    let mut times: Vec<Duration> = (0..probes)
        .map(|_| {
            thread::sleep(PAUSE);
            let start = Instant::now();
            sender.write_all(&probe).expect("the input reads");
            receiver.read_exact(&mut got).expect("the probe arrives");
            start.elapsed()
        })
        .collect();
    times.sort();
    for (name, share) in [("median", 0.5), ("99 in 100", 0.99), ("longest", 1.0)] {
        let place = ((times.len() - 1) as f64 * share) as usize;
        table.note(
            at,
            format!("{WHAT}: {name}"),
            "ms",
            times[place].as_secs_f64() * 1000.0,
        );
    }
}
