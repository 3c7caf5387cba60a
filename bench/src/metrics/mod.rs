//! `compare metrics`: phases, each the same work for every contender.

pub(crate) mod contender;
mod feed;
mod load;
mod queries;
mod read;
mod scrape;
pub(crate) mod table;
mod tools;
mod workload;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use contender::Contender;
use table::Table;

/// A part of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    /// Remote write: one sample a series a request.
    Write,
    /// The most memory while many series come in.
    Memory,
    /// The table of queries over six hours, kill and reopen, remote read, head to block.
    Queries,
    /// `tsdb bench write` of both promtools.
    Promtool,
    /// Scraping, disk, restart.
    Scrape,
}

/// What is compared, and how much of it.
#[derive(Debug, Parser)]
pub(crate) struct MetricsOptions {
    /// A further peer: a binary with Prometheus's or VictoriaMetrics's flags. May be repeated.
    #[arg(long)]
    peer: Vec<PathBuf>,
    /// Our server's binary; built in release mode if not given.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// Our promtool's binary; built in release mode if not given.
    #[arg(long)]
    our_promtool: Option<PathBuf>,
    /// Build our binaries without optimisation: to try the comparison itself.
    #[arg(long)]
    debug: bool,
    /// Leave Debian's binaries out.
    #[arg(long)]
    alone: bool,
    /// Phases to run; all if not given. May be repeated or separated by commas.
    #[arg(long, value_delimiter = ',')]
    phases: Vec<Phase>,
    /// The size of everything, in percent of what the baselines have.
    #[arg(long, default_value_t = 100.0)]
    percent: f64,
    /// CPU seconds that each query is repeated for at least.
    #[arg(long, default_value_t = 0.4)]
    query_seconds: f64,
    /// Write the figures to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

impl MetricsOptions {
    fn runs(&self, phase: Phase) -> bool {
        self.phases.is_empty() || self.phases.contains(&phase)
    }

    /// A share of `whole`, at least `least`.
    fn scaled(&self, whole: usize, least: usize) -> usize {
        ((whole as f64 * self.percent / 100.0) as usize).max(least)
    }
}

pub(crate) fn compare(options: &MetricsOptions) -> ExitCode {
    let mut contenders = Contender::all(options.ours.as_deref(), options.debug, &options.peer);
    if options.alone {
        contenders.truncate(1);
    }
    let mut table = Table::new(contenders.iter().map(|one| one.name.clone()).collect());
    for (at, contender) in contenders.iter().enumerate() {
        if options.runs(Phase::Write) {
            eprintln!("{}: remote write", contender.name);
            write::write(options, contender, at, &mut table);
        }
        if options.runs(Phase::Memory) {
            eprintln!("{}: memory of many series", contender.name);
            write::memory(options, contender, at, &mut table);
        }
        if options.runs(Phase::Queries) {
            eprintln!("{}: queries", contender.name);
            queries::queries(options, contender, at, &mut table);
        }
        if options.runs(Phase::Scrape) && contender.kind == contender::Kind::Prometheus {
            eprintln!("{}: scraping", contender.name);
            scrape::scrape(options, contender, at, &mut table);
        }
    }
    if options.runs(Phase::Promtool) {
        tools::bench_write(options, &mut table);
    }
    table.print();
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", table.json());
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("compare: {} cannot be written: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
