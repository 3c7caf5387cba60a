//! What a process and a folder cost, read from the system.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Ticks a second of the times in `/proc/PID/stat`; fixed by the kernel's interface on Linux.
const TICKS: f64 = 100.0;

/// CPU seconds that a process has used, in user and kernel mode.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold spaces; counting starts behind it.
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .and_then(|field| field.parse::<f64>().ok())
            .unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) / TICKS
}

/// The most memory that a process has held, in MiB.
pub(crate) fn peak_memory_mib(pid: u32) -> f64 {
    status_mib(pid, "VmHWM:")
}

/// The memory that a process holds now, in MiB.
pub(crate) fn memory_mib(pid: u32) -> f64 {
    status_mib(pid, "VmRSS:")
}

fn status_mib(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .unwrap_or_default();
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0);
    kib / 1024.0
}

/// Forgets the peak, so that the next phase has one of its own.
pub(crate) fn reset_peak(pid: u32) {
    // Not allowed everywhere; then the peak is that of the whole life.
    let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// MiB that the files under `folder` occupy on disk.
pub(crate) fn disk_mib(folder: &Path) -> f64 {
    fn blocks(path: &Path) -> u64 {
        use std::os::unix::fs::MetadataExt;
        let Ok(entries) = fs::read_dir(path) else {
            return 0;
        };
        let size = |entry: fs::DirEntry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => blocks(&entry.path()),
            _ => entry.metadata().map_or(0, |metadata| metadata.blocks()),
        };
        entries.flatten().map(size).sum()
    }
    blocks(folder) as f64 * 512.0 / (1024.0 * 1024.0)
}

/// The middle of some durations, in milliseconds.
pub(crate) fn median_millis(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times
        .get(times.len() / 2)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
