//! Runs recorded cases of the original systems: `cargo xtask corpus` and `cargo xtask golden` start
//! this program. One line a failing case, then the sum; the status says whether all passed.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use headwater_tsdb::Db;

const USAGE: &str = "\
usage: cargo xtask corpus promql|logql DIR
       cargo xtask golden datadirs|promql|loki|heka DIR
";

/// What is printed, and whether every case passed.
type Outcome = Result<(String, bool), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["corpus", "promql", folder] => promql(folder),
        ["corpus", "logql", folder] => logql(folder),
        ["golden", "datadirs", folder] => datadirs(folder),
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

/// The recorded requests, asked of the recorded data directory as our store opens it.
fn promql_golden(folder: &str) -> Outcome {
    let copy = tempfile::tempdir()?;
    headwater_tsdb::golden::copy_folder(&Path::new(folder).join("datadir"), copy.path())?;
    let db = Db::builder(copy.path())
        .configure(|options| options.background = false)
        .open()?;
    let report = headwater_promql::golden::run_on(Path::new(folder), Arc::new(db))?;
    told(&report, report.failures.len())
}

fn datadirs(folder: &str) -> Outcome {
    let report = headwater_tsdb::golden::run(Path::new(folder))?;
    told(&report, report.failed.len())
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
