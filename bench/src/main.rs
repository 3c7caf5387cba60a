//! `compare`: our server and a peer do the same work in one run, seen only from outside.
//!
//! `cargo run --release -p headwater-bench --bin compare -- metrics` builds our Prometheus, finds
//! Debian's, lets both scrape the same bodies and answer the same queries, and prints what each
//! spent: CPU seconds, peak memory, bytes on disk, latency. Times are medians.

mod feed;
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
    }
}
