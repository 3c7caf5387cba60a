//! Runs recorded data directories of Prometheus against this crate.
//!
//! A folder of recordings has directories as Prometheus left them, each with a folder
//! `NAME.expected` beside it that says what is in it, and a folder `damaged` with descriptions of
//! faults. Every directory is opened as a copy, with everything that can be compared; every fault
//! is applied to a copy, which has to open and to serve what the fault has not destroyed.

mod damaged;
mod recorded;
mod samples;

use std::fmt;
use std::path::Path;

use headwater_env::Env;

use crate::{Builder, Db, FloatEncoding};

/// What a step of a run comes to; the text is for people.
type Outcome<T> = Result<T, String>;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases whose outcome is the recorded one.
    pub passed: usize,
    /// Cases that differ, with the difference.
    pub failed: Vec<(String, String)>,
}

impl Report {
    fn judge(&mut self, case: String, outcome: Outcome<()>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(difference) => self.failed.push((case, difference)),
        }
    }
}

/// One line a failure, then the sum.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, difference) in &self.failed {
            writeln!(f, "FAILED {case}: {difference}")?;
        }
        let (passed, failed) = (self.passed, self.failed.len());
        let all = passed + failed;
        write!(f, "datadirs: {passed} passed, {failed} failed, of {all}")
    }
}

/// Runs everything recorded in a folder.
///
/// # Errors
/// The folder cannot be read, or nothing is recorded in it.
pub fn run(folder: &Path) -> std::io::Result<Report> {
    let mut report = Report::default();
    for name in names(folder)? {
        if let Some(of) = name.strip_suffix(".expected") {
            recorded::run(folder, of, &mut report);
        }
    }
    if folder.join("damaged").is_dir() {
        damaged::run(folder, &mut report)?;
    }
    if report.passed + report.failed.len() == 0 {
        let message = format!("nothing is recorded in {}", folder.display());
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, message));
    }
    Ok(report)
}

fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

/// Settings as the recordings were made with. Nothing happens behind the back of a comparison.
/// Chunk snapshots are read if there are any, which only needs to make a difference in time.
fn builder(dir: &Path) -> Builder {
    let names = names(dir).unwrap_or_default();
    let snapshots = names.iter().any(|name| name.starts_with("chunk_snapshot."));
    const FOUR_HOURS: std::time::Duration = std::time::Duration::from_secs(4 * 3600);
    Db::builder(dir).env(Env::real()).configure(|options| {
        options.background = false;
        options.out_of_order_window = FOUR_HOURS;
        options.snapshot_on_close = snapshots;
        options.start_timestamps = true;
        options.histogram_starts = true;
        options.float_encoding = FloatEncoding::Xor2;
    })
}

/// Opening a data directory writes to it, so recorded ones are copied first.
///
/// # Errors
/// The files cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            // Not `fs::copy`: it would copy a read-only mode along.
            std::fs::write(target, std::fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// A copy of a recorded directory that is gone with the handle.
fn copied(from: &Path) -> Outcome<tempfile::TempDir> {
    let copy = tempfile::tempdir().map_err(|error| error.to_string())?;
    copy_folder(from, copy.path()).map_err(|error| format!("{}: {error}", from.display()))?;
    Ok(copy)
}

fn read_json(path: &Path) -> Outcome<serde_json::Value> {
    let at_path = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let bytes = std::fs::read(path).map_err(|error| at_path(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| at_path(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of the corpora, or `None` (with a word) if they are not here.
    fn corpora() -> Option<std::path::PathBuf> {
        let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
            std::path::PathBuf::from,
        );
        let folder = root.join("prometheus/datadirs");
        if !folder.is_dir() {
            let strict = std::env::var_os("HEADWATER_STRICT").is_some_and(|v| v == "1");
            assert!(!strict, "no corpora at {}", folder.display());
            println!("skipped: no corpora at {}", folder.display());
            return None;
        }
        Some(folder)
    }

    fn all_pass(report: &Report, at_least: usize) {
        assert!(report.failed.is_empty(), "{report}");
        assert!(report.passed >= at_least, "{report}");
    }

    #[test]
    fn recorded_directories_hold_what_they_should() {
        let Some(folder) = corpora() else { return };
        let mut report = Report::default();
        for name in names(&folder).expect("the corpora can be read") {
            if let Some(of) = name.strip_suffix(".expected") {
                recorded::run(&folder, of, &mut report);
            }
        }
        all_pass(&report, 25);
    }

    #[test]
    fn damaged_directories_serve_the_rest() {
        let Some(folder) = corpora() else { return };
        let mut report = Report::default();
        damaged::run(&folder, &mut report).expect("the corpora can be read");
        all_pass(&report, 29);
    }
}
