//! A file of failed scrapes, for people who look for a flapping target.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use parking_lot::Mutex;

/// Appends one JSON object a line: time in milliseconds, level, message, job, target.
///
/// A reload opens the file anew, so that it can be moved away. Several jobs may write to one
/// file: each line is one write at the file's end.
#[derive(Debug)]
pub(crate) struct FailureLog(Mutex<File>);

impl FailureLog {
    /// Opens or creates the file. One that cannot be opened is reported and done without:
    /// scraping matters more.
    pub(crate) fn open(path: &Path) -> Option<Self> {
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(file) => Some(Self(Mutex::new(file))),
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "Failed to open scrape failure log file");
                None
            }
        }
    }

    pub(crate) fn write(&self, time_millis: i64, job: &str, target: &str, message: &str) {
        let mut line = format!("{{\"time\":{time_millis},\"level\":\"ERROR\"");
        for (name, value) in [("msg", message), ("job_name", job), ("target", target)] {
            let _ = write!(line, ",\"{name}\":");
            push_json(&mut line, value);
        }
        line.push_str("}\n");
        if let Err(error) = self.0.lock().write_all(line.as_bytes()) {
            tracing::error!(%error, "Failed to write to the scrape failure log file");
        }
    }
}

fn push_json(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_json() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("failures.json");
        for _ in 0..2 {
            let log = FailureLog::open(&path).expect("writable");
            log.write(1500, "j", "http://a/", "a \"b\"\n\\");
        }
        let line = "{\"time\":1500,\"level\":\"ERROR\",\"msg\":\"a \\\"b\\\"\\u000a\\\\\",\"job_name\":\"j\",\"target\":\"http://a/\"}\n";
        assert_eq!(
            std::fs::read_to_string(&path).expect("readable"),
            line.repeat(2)
        );
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_done_without() {
        assert!(FailureLog::open(Path::new("/nowhere/at/all")).is_none());
    }
}
