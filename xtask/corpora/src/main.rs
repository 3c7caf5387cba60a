//! Runs recorded cases of the original systems: `cargo xtask corpus` and `cargo xtask golden` start
//! this program. One line a failing case, then the sum; the status says whether all passed.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask corpus promql|logql DIR
       cargo xtask golden promql|loki|heka DIR
";

/// What is printed, and whether every case passed.
type Outcome = Result<(String, bool), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["corpus", "promql", folder] => promql(folder),
        ["corpus", "logql", folder] => logql(folder),
        ["golden", "promql", folder] => promql_golden(folder),
        ["golden", "loki", folder] => loki(folder),
        ["golden", "heka", folder] => heka(folder),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok((text, passed)) => {
            println!("{text}");
            if passed {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("corpora: {}: {error}", words.join(" "));
            ExitCode::from(2)
        }
    }
}

fn told(report: &impl Display, failed: usize) -> Outcome {
    Ok((report.to_string(), failed == 0))
}

fn promql(folder: &str) -> Outcome {
    let report = headwater_promql::corpus::run(Path::new(folder))?;
    told(&report, report.failures.len())
}

fn promql_golden(folder: &str) -> Outcome {
    let report = headwater_promql::golden::run(Path::new(folder))?;
    told(&report, report.failures.len())
}

fn logql(folder: &str) -> Outcome {
    let mut text = Vec::new();
    let summary = headwater_logql::corpus::run_folder(Path::new(folder), &mut text)?;
    Ok((
        String::from_utf8(text)?.trim_end().to_owned(),
        summary.failed == 0,
    ))
}

fn loki(folder: &str) -> Outcome {
    let report = headwater_api_loki::golden::run(Path::new(folder))?;
    told(&report, report.failed())
}

fn heka(folder: &str) -> Outcome {
    let report = headwater_pipeline::golden::run(Path::new(folder));
    told(&report, report.failed.len())
}
