//! What whole-server tests share: starting and killing programs, small targets to scrape,
//! peers from Debian's packages, and the place of the corpora.

pub mod api;
pub mod exporter;
pub mod mount;
pub mod peer;
pub mod process;
pub mod remote;
pub mod websocket;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The time in milliseconds.
pub fn now_millis() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_millis() as i64
}

/// The most memory that a process has held so far, in bytes. `None` where the system does not tell.
pub fn peak_memory(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}

/// Whether a missing peer or corpus is a failure.
pub fn strict() -> bool {
    std::env::var("HEADWATER_STRICT").is_ok_and(|value| value == "1")
}

/// Says that a test is skipped, or fails where that is not allowed.
///
/// # Panics
/// `HEADWATER_STRICT=1` is set.
pub fn skip(reason: &str) {
    assert!(!strict(), "skipping is not allowed here: {reason}");
    eprintln!("skipped: {reason}");
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of a corpus, or `None` after saying that it is not there.
pub fn corpus(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA")
        .map_or_else(|| workspace().join("../shared/corpora"), PathBuf::from);
    let folder = root.join(name);
    if folder.exists() {
        return Some(folder);
    }
    skip(&format!("no corpora at {}", folder.display()));
    None
}

/// How long a test waits for something that must happen, before it gives up and fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks `probe` again and again until it has an answer.
///
/// # Panics
/// There is none within [`PATIENCE`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
