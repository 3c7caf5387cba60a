//! Runs cases recorded from hekad 0.11.0 against this crate.
//!
//! A case passes if the outcome is the recorded one. Where this crate does
//! better on purpose, the case is listed with a reason in [`EXCEPTIONS`] and
//! has to differ: an exception that stops differing is reported as a failure,
//! so that the list stays true.

mod capture;
mod configs;
mod decoders;
mod encoders;
mod exceptions;
mod frames;
mod json;
mod logstreamer;
mod matcher;
mod outputs;
mod splitters;
mod statsd;

use std::fmt;
use std::path::{Path, PathBuf};

pub use exceptions::EXCEPTIONS;

/// How the refusal of a plugin that does not exist yet is worded.
const NOT_BUILT: &str = "is a plugin of heka that is not built yet";

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    /// Cases whose outcome is the recorded one.
    pub passed: usize,
    /// Cases that differ, with the difference.
    pub failed: Vec<(String, String)>,
    /// Cases that differ on purpose, with the reason.
    pub excepted: Vec<(String, &'static str)>,
    /// Cases of plugins that do not exist here yet.
    pub unbuilt: usize,
    /// Files of recorded cases that were not there.
    pub absent: Vec<PathBuf>,
}

impl Report {
    /// Number of cases judged, those excepted not included.
    pub fn total(&self) -> usize {
        self.passed + self.failed.len()
    }

    fn judge(&mut self, case: String, outcome: Result<(), String>) {
        if outcome.as_ref().is_err_and(|why| why.contains(NOT_BUILT)) {
            self.unbuilt += 1;
            return;
        }
        let exception = EXCEPTIONS.iter().find(|(name, _)| *name == case);
        match (outcome, exception) {
            (Ok(()), None) => self.passed += 1,
            (Err(_), Some((_, reason))) => self.excepted.push((case, reason)),
            (Ok(()), Some(_)) => {
                let why = "listed as a deliberate difference but does not differ".to_owned();
                self.failed.push((case, why));
            }
            (Err(difference), None) => self.failed.push((case, difference)),
        }
    }
}

/// One line a failure and a deliberate difference, then the sum.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.absent {
            writeln!(f, "absent: {}", path.display())?;
        }
        for (case, reason) in &self.excepted {
            writeln!(f, "differs on purpose: {case}: {reason}")?;
        }
        for (case, difference) in &self.failed {
            writeln!(f, "FAILED {case}: {difference}")?;
        }
        let excepted = self.excepted.len();
        if excepted > 0 {
            writeln!(
                f,
                "heka golden: {excepted} deliberate differences not counted below"
            )?;
        }
        if self.unbuilt > 0 {
            let unbuilt = self.unbuilt;
            writeln!(
                f,
                "heka golden: {unbuilt} cases of plugins not built yet not counted below"
            )?;
        }
        write!(
            f,
            "heka golden: {} passed, {} failed, of {}",
            self.passed,
            self.failed.len(),
            self.total()
        )
    }
}

/// Runs all recorded cases found in `dir`.
pub fn run(dir: &Path) -> Report {
    let mut report = Report::default();
    type Suite = fn(&serde_json::Value, &Path, &mut Report);
    let suites: [(&str, Suite); 10] = [
        ("matcher.json", matcher::run),
        ("frames.json", frames::run),
        ("frames.json", splitters::run_streams),
        ("splitters.json", splitters::run),
        ("decoders.json", decoders::run),
        ("encoders.json", encoders::run),
        ("statsd.json", statsd::run),
        ("logstreamer/cases.json", logstreamer::run),
        ("configs.json", configs::run),
        ("outputs.json", outputs::run),
    ];
    for (file, suite) in suites {
        let path = dir.join(file);
        match json::load(&path) {
            Ok(Some(cases)) => suite(&cases, dir, &mut report),
            Ok(None) => report.absent.push(path),
            Err(error) => report.failed.push((file.to_owned(), error)),
        }
    }
    report
}

/// `Ok` if both are equal, else a line that shows them.
fn same<T: PartialEq + fmt::Debug>(what: &str, got: &T, wanted: &T) -> Result<(), String> {
    if got == wanted {
        return Ok(());
    }
    Err(format!(
        "{what}: got {}, wanted {}",
        brief(got),
        brief(wanted)
    ))
}

fn brief(value: &impl fmt::Debug) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(300) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}
