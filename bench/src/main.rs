//! `compare`: our server and a peer do the same work in one run, seen only from outside.
//!
//! `cargo run --release -p headwater-bench --bin compare -- metrics` builds our Prometheus, finds
//! Debian's, lets both scrape the same bodies and answer the same queries, and prints what each
//! spent: CPU seconds, peak memory, bytes on disk, latency. Times are medians.
//!
//! `-- logs` pushes a gigabyte of lines to our Loki, and to a peer if one is named, and asks nine questions
//! whose answers it checks. `--megabytes 50` is a quick run.

mod feed;
mod logs;
mod measure;
mod metrics;
mod report;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Compares Headwater with a peer on this machine.
#[derive(Debug, Parser)]
enum Command {
    /// A Prometheus server: scraping, disk, restart, queries.
    Metrics(MetricsOptions),
    /// A Loki server: pushing, disk, nine questions.
    Logs(LogsOptions),
}

/// How many lines there are, and who takes them.
#[derive(Debug, Parser)]
pub(crate) struct LogsOptions {
    /// A binary with Loki's flags that does the same work.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Our binary; built in release mode if not given.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// Build our binary without optimisation: to try the comparison itself.
    #[arg(long)]
    debug: bool,
    /// Megabytes of lines; 1074 as in the published baselines.
    #[arg(long, default_value_t = 1074)]
    megabytes: usize,
    /// How often each question is asked.
    #[arg(long, default_value_t = 5)]
    repeat: usize,
    /// Clients that push at once.
    #[arg(long, default_value_t = 2)]
    pushers: usize,
}

/// How much work is done.
#[derive(Debug, Parser)]
pub(crate) struct MetricsOptions {
    /// The peer's binary; Debian's `prometheus` if not given.
    #[arg(long)]
    peer: Option<PathBuf>,
    /// Our binary; built in release mode if not given.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// Number of targets; each has 100 series.
    #[arg(long, default_value_t = 100)]
    targets: usize,
    /// Samples of every series, 15 s apart.
    #[arg(long, default_value_t = 360)]
    samples: usize,
    /// How often each query is asked.
    #[arg(long, default_value_t = 7)]
    repeat: usize,
}

fn main() -> ExitCode {
    match Command::parse() {
        Command::Metrics(options) => metrics::compare(&options),
        Command::Logs(options) => logs::compare(&options),
    }
}
