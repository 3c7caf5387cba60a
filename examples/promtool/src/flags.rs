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
    /// Look for mistakes.
    #[command(subcommand)]
    Check(Check),
    /// Work on data directories.
    #[command(subcommand)]
    Tsdb(Tsdb),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Check {
    /// Whether the exposition on standard input keeps to the naming conventions.
    Metrics,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tsdb {
    /// Measure.
    #[command(subcommand)]
    Bench(Bench),
    /// What makes a block large.
    Analyze(Analyze),
    /// List the blocks of a directory.
    List(List),
    /// Read all blocks, and make sound ones of damaged ones. Not in the original.
    Mend(Mend),
    /// Print every sample of a directory.
    Dump(Dump),
    /// Print every float sample of a directory as OpenMetrics text.
    DumpOpenmetrics(Dump),
    /// Make blocks of samples that come from elsewhere.
    #[command(subcommand)]
    CreateBlocksFrom(CreateBlocksFrom),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CreateBlocksFrom {
    /// Make blocks of a text in OpenMetrics format.
    Openmetrics(FromOpenMetrics),
    /// Make blocks of what recording rules would have written.
    Rules(FromRules),
}

#[derive(Debug, Args)]
pub(crate) struct Analyze {
    /// Data directory.
    #[arg(default_value = "data/")]
    pub(crate) path: PathBuf,
    /// Name of the block; the newest if not said.
    pub(crate) block: Option<String>,
    /// Rows of each table.
    #[arg(long, default_value_t = 20)]
    pub(crate) limit: usize,
    /// Look at the chunks, too.
    #[arg(long)]
    pub(crate) extended: bool,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Print times and sizes for people.
    #[arg(short = 'r', long)]
    pub(crate) human_readable: bool,
    /// Data directory.
    #[arg(default_value = "data/")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Mend {
    /// Say what is damaged, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Data directory, which no server may be using.
    #[arg(default_value = "data/")]
    pub(crate) path: PathBuf,
    /// Names of blocks; all if none is said.
    pub(crate) blocks: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Dump {
    /// First time, in milliseconds.
    #[arg(long, default_value_t = i64::MIN, allow_negative_numbers = true)]
    pub(crate) min_time: i64,
    /// Last time, in milliseconds.
    #[arg(long, default_value_t = i64::MAX, allow_negative_numbers = true)]
    pub(crate) max_time: i64,
    /// Selector of series; may be given more than once.
    #[arg(long = "match", value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
    /// Data directory.
    #[arg(default_value = "data/")]
    pub(crate) path: PathBuf,
}

/// What is told of blocks that were made.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print times and sizes for people.
    #[arg(short = 'r', long)]
    pub(crate) human_readable: bool,
    /// Do not print the blocks.
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct FromOpenMetrics {
    #[command(flatten)]
    pub(crate) output_flags: Output,
    /// The text.
    pub(crate) input: PathBuf,
    /// Where the blocks go.
    #[arg(default_value = "data/")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct FromRules {
    #[command(flatten)]
    pub(crate) output_flags: Output,
    /// The server that has the data.
    #[arg(long, default_value = "http://localhost:9090")]
    pub(crate) url: String,
    /// First time: RFC 3339, or Unix seconds.
    #[arg(long)]
    pub(crate) start: String,
    /// Last time; three hours ago if not said.
    #[arg(long)]
    pub(crate) end: Option<String>,
    /// Where the blocks go.
    #[arg(long, default_value = "data/")]
    pub(crate) output_dir: PathBuf,
    /// How often groups are evaluated that do not say it.
    #[arg(long, default_value = "60s")]
    pub(crate) eval_interval: String,
    /// Files of rules. Alerts in them are left out.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
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
    &["query"],
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
