//! Chores of the workspace: `cargo xtask tidy` and the runners of the corpora.

mod layers;
mod metadata;
mod tidy;

use std::process::{Command, ExitCode};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  tidy                        the layers of ARCHITECTURE.md against the real dependencies, and every manifest
  corpus promql|logql DIR     scripts in the test languages of Prometheus and Loki
  golden promql|loki|heka DIR cases recorded from the originals
  golden datadirs DIR         data directories that Prometheus left, whole and damaged
";

/// Recorded cases are run by a program of its own, so that the other chores do not wait for the
/// engines to be built.
fn corpora(words: &[&str]) -> ExitCode {
    let status = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "corpora", "--"])
        .args(words)
        .status();
    match status {
        Ok(status) => ExitCode::from(status.code().map_or(2, |code| code as u8)),
        Err(error) => {
            eprintln!("xtask: cargo does not start: {error}");
            ExitCode::from(2)
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["tidy"] => tidy::run(),
        ["corpus" | "golden", _, _] => corpora(&words),
        _ => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
    }
}
