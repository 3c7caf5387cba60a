//! The test language of Prometheus (`promqltest`): scripts that load series, evaluate queries and
//! say what is expected.
//!
//! Settings are those of Prometheus's own harness: 5 minutes look-back, 10,000 samples, subquery
//! steps of a minute, everything experimental enabled, names removed at the end, start timestamps
//! in use. Every instant case is evaluated again with `@` pinned to its time at several other times,
//! and as the middle of a range query.

mod chunks;
mod compare;
mod nhcb;
mod run;
mod script;
mod values;

use std::path::Path;
use std::sync::Arc;

use headwater_storage::{Append, MemoryStore, Select};

pub(crate) use chunks::stored_hint;
pub(crate) use compare::points;
pub(crate) use values::split_series;
pub use values::{SequenceValue, parse_series};

/// A store that scripts can run on.
pub trait TestStore: Append + Select {}

impl<S: Append + Select> TestStore for S {}

/// How many cases passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Cases that gave what was expected.
    pub passed: usize,
    /// A line for each case that did not: file, line and what was wrong.
    pub failures: Vec<String>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        let (passed, failed) = (self.passed, self.failures.len());
        write!(
            f,
            "promqltest: {passed} passed, {failed} failed, of {}",
            passed + failed
        )
    }
}

/// Runs every `*.test` file of a folder on the in-memory store.
///
/// # Errors
/// The folder or a file cannot be read, or no threads could be had.
pub fn run(folder: &Path) -> std::io::Result<Report> {
    run_on(folder, || Arc::new(MemoryStore::new()))
}

/// Runs every `*.test` file of a folder, each `clear` on a new store.
///
/// # Errors
/// As [`run`].
pub fn run_on(
    folder: &Path,
    make_store: impl Fn() -> Arc<dyn TestStore>,
) -> std::io::Result<Report> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<_>>()?;
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "test")
    });
    files.sort();
    let mut report = Report::default();
    for path in files {
        let text = std::fs::read_to_string(&path)?;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let one = run_script(&name, &text, &make_store)?;
        report.passed += one.passed;
        report.failures.extend(one.failures);
    }
    Ok(report)
}

/// Runs one script.
///
/// # Errors
/// No threads could be had.
pub fn run_script(
    name: &str,
    text: &str,
    make_store: &dyn Fn() -> Arc<dyn TestStore>,
) -> std::io::Result<Report> {
    run::Runner::new(name, make_store)?.run(text)
}
