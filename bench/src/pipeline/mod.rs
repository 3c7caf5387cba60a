//! `compare pipeline`: messages and log lines through our hekad, Debian's
//! rsyslog where it can do the same, and any other hekad.
//!
//! Every case is the same bytes in and the same bytes out for everyone. What
//! counts is CPU time a message, user and kernel, and the most memory; both
//! are read from the system.

mod cases;
mod contender;
mod latency;
mod load;
mod memory;
mod sink;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::metrics::contender::build;
use crate::metrics::table::Table;

use cases::{CASES, Case};
use contender::Contender;
use load::Load;

/// What is compared, and how much of it.
#[derive(Debug, Parser)]
pub(crate) struct PipelineOptions {
    /// Our hekad; built in release mode if not given.
    #[arg(long)]
    ours: Option<PathBuf>,
    /// A further peer that reads hekad's configurations. May be repeated.
    #[arg(long)]
    hekad: Vec<PathBuf>,
    /// rsyslog's binary; Debian's if not given.
    #[arg(long)]
    rsyslog: Option<PathBuf>,
    /// Build our hekad without optimisation: to try the comparison itself.
    #[arg(long)]
    debug: bool,
    /// Leave rsyslog out.
    #[arg(long)]
    alone: bool,
    /// Only cases whose names contain this.
    #[arg(long, default_value = "")]
    only: String,
    /// Messages a case.
    #[arg(long, default_value_t = 1_000_000)]
    messages: usize,
    /// How often each case runs; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages whose latency through an idle disk queue is measured; 0 leaves it out.
    #[arg(long, default_value_t = 200)]
    probes: usize,
    /// Messages over which memory has to stay flat; 0 leaves it out.
    #[arg(long, default_value_t = 10_000_000)]
    memory_messages: usize,
    /// Write the figures to this file as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) fn compare(options: &PipelineOptions) -> ExitCode {
    let ours = options.ours.clone();
    let ours = ours.unwrap_or_else(|| build("hekad", options.debug));
    let mut contenders = vec![Contender::hekad("headwater", ours)];
    if !options.alone {
        contenders.extend(Contender::rsyslog(options.rsyslog.as_deref()));
    }
    contenders.extend(
        options
            .hekad
            .iter()
            .map(|path| Contender::hekad("peer hekad", path.clone())),
    );
    let mut table = Table::new(contenders.iter().map(|c| c.name.clone()).collect());
    let load = Load::new(options.messages);
    println!(
        "{} messages of {} bytes framed, or lines of {} bytes",
        load.count(),
        load.frame_bytes(),
        load.line_bytes()
    );
    let wanted = |what: &str| what.contains(&options.only);
    for case in CASES.iter().filter(|case| wanted(case.what)) {
        run(case, &contenders, &load, options.rounds, &mut table);
    }
    for (at, contender) in contenders.iter().enumerate().filter(|(_, c)| c.is_hekad()) {
        if options.probes > 0 && wanted(latency::WHAT) {
            latency::measure(at, contender, options.probes, &mut table);
        }
        if options.memory_messages > 0 && wanted(memory::WHAT) {
            memory::measure(at, contender, options.memory_messages, &mut table);
        }
    }
    table.print();
    if let Some(path) = &options.json
        && let Err(error) = std::fs::write(path, table.json().to_string())
    {
        eprintln!("compare: {}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Runs a case for everyone who can do it, in turns.
fn run(case: &Case, contenders: &[Contender], load: &Load, rounds: usize, table: &mut Table) {
    let mut spent: Vec<Vec<cases::Spent>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds.max(1) {
        for (at, contender) in contenders.iter().enumerate() {
            spent[at].extend(case.run(contender, load));
        }
    }
    for (at, mut runs) in spent
        .into_iter()
        .enumerate()
        .filter(|(_, runs)| !runs.is_empty())
    {
        runs.sort_by(|a, b| a.cpu_nanos.total_cmp(&b.cpu_nanos));
        let peak = runs.iter().map(|run| run.peak_mib).fold(0.0, f64::max);
        table.note(
            at,
            format!("{}: CPU a message", case.what),
            "ns",
            runs[runs.len() / 2].cpu_nanos,
        );
        table.note(at, format!("{}: peak memory", case.what), "MiB", peak);
    }
}
