//! `compare`: our server and a peer do the same work in one run, seen only from outside.
//!
//! `cargo run --release -p headwater-bench --bin compare -- metrics` builds our Prometheus, finds
//! Debian's and its VictoriaMetrics, lets all take the same remote writes and answer the same
//! queries, and prints what each spent: CPU, peak memory, bytes on disk, latency. README.md tells
//! how to read it.
//!
//! `-- logs` pushes a gigabyte of lines to our Loki, and to a peer if one is named, and asks nine questions
//! whose answers it checks. `--megabytes 50` is a quick run.
//!
//! `-- pipeline` moves messages and log lines through our hekad and through rsyslog.

mod logs;
mod measure;
mod metrics;
mod pipeline;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::metrics::MetricsOptions;
use crate::pipeline::PipelineOptions;

/// Compares Headwater with a peer on this machine.
#[derive(Debug, Parser)]
enum Command {
    /// A Prometheus server: remote write and read, memory, queries, disk, restart, scraping.
    Metrics(MetricsOptions),
    /// A Loki server: pushing, disk, nine questions.
    Logs(LogsOptions),
    /// A hekad: messages and lines over TCP and files, patterns, disk queue, latency, memory.
    Pipeline(PipelineOptions),
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

fn main() -> ExitCode {
    match Command::parse() {
        Command::Metrics(options) => metrics::compare(&options),
        Command::Logs(options) => logs::compare(&options),
        Command::Pipeline(options) => pipeline::compare(&options),
    }
}
