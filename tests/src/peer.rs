//! The originals, from Debian's packages.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The path of a peer, or `None` after saying that it is not installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.exists());
    if found.is_none() {
        crate::skip(&format!("{name} is not installed"));
    }
    found
}

/// Runs a peer to its end.
///
/// # Panics
/// It does not start.
pub fn run(path: &Path, arguments: &[&str]) -> Output {
    Command::new(path)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", path.display()))
}

/// The samples of a data directory as `promtool tsdb dump` prints them, sorted.
///
/// # Panics
/// promtool refuses the directory.
pub fn dump(promtool: &Path, data: &Path) -> Vec<String> {
    let output = run(promtool, &["tsdb", "dump", &data.to_string_lossy()]);
    assert!(
        output.status.success(),
        "promtool: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}
