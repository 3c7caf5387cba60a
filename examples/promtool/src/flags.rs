//! The command line, with the names of Prometheus's promtool.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Tools for Prometheus data directories.
#[derive(Debug, Parser)]
#[command(name = "promtool", version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Work on data directories.
    #[command(subcommand)]
    Tsdb(Tsdb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tsdb {
    /// Measure.
    #[command(subcommand)]
    Bench(Bench),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Measure how fast samples are written.
    Write(BenchWrite),
}

#[derive(Debug, Args)]
pub(crate) struct BenchWrite {
    /// Directory for what is written; its folder `storage` is made anew.
    #[arg(long, default_value = "benchout")]
    pub(crate) out: PathBuf,
    /// Series to read from the file.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) metrics: usize,
    /// Scrapes to simulate, rounded up to hundreds.
    #[arg(long, default_value_t = 3_000)]
    pub(crate) scrapes: u64,
    /// Labels of the series, a flat JSON object a line.
    #[arg(default_value = "../../tsdb/testdata/20kseries.json")]
    pub(crate) file: PathBuf,
}

/// What Prometheus's promtool has and this one has not.
const NOT_BUILT: &[&[&str]] = &[
    &["check", "config"],
    &["check", "healthy"],
    &["check", "ready"],
    &["check", "rules"],
    &["check", "service-discovery"],
    &["check", "web-config"],
    &["debug"],
    &["promql"],
    &["push"],
    &["query", "analyze"],
    &["test"],
];

/// Reads the command line; ends the program if it makes no sense.
pub(crate) fn read() -> Command {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(name) = not_built(&words) {
        eprintln!("promtool: error: the command {name:?} is not built in this promtool");
        std::process::exit(1);
    }
    Line::parse().command
}

/// The name of a command that is refused, if the words begin with one.
fn not_built(words: &[String]) -> Option<String> {
    let words: Vec<&str> = words
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let refused = NOT_BUILT.iter().find(|name| words.starts_with(name))?;
    Some(refused.join(" "))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }

    #[test]
    fn what_is_not_built_is_refused_by_name() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let refused = |line: &str| not_built(&words(line));
        assert_eq!(
            refused("check config prometheus.yml").as_deref(),
            Some("check config")
        );
        assert_eq!(refused("test rules a.yml").as_deref(), Some("test"));
        assert_eq!(refused("tsdb list"), None);
    }
}
