//! `promtool`: commands of Prometheus's tool on Headwater's crates, above all those that
//! concern its storage.
//!
//! `flags` reads the command line and refuses what is not built by its name. Each command has a
//! file of its own.

mod analyze;
mod backfill;
mod bench_write;
mod check_metrics;
mod dump;
mod failure;
mod flags;
mod go_text;
mod list;
mod mend;
mod open;
mod progress;
mod rules;

use std::process::ExitCode;

use crate::dump::Form;
use crate::failure::Outcome;
use crate::flags::{Bench, Check, Command, CreateBlocksFrom, Tsdb};

/// The program chooses the allocator; libraries never do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(flags::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.tell();
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Check(Check::Metrics) => check_metrics::run(),
        Command::Tsdb(tsdb) => match tsdb {
            Tsdb::Bench(Bench::Write(options)) => bench_write::run(&options),
            Tsdb::Analyze(options) => analyze::run(&options),
            Tsdb::List(options) => list::run(&options),
            Tsdb::Mend(options) => mend::run(&options),
            Tsdb::Dump(options) => dump::run(&options, Form::Plain),
            Tsdb::DumpOpenmetrics(options) => dump::run(&options, Form::OpenMetrics),
            Tsdb::CreateBlocksFrom(CreateBlocksFrom::Openmetrics(options)) => {
                backfill::run(&options)
            }
            Tsdb::CreateBlocksFrom(CreateBlocksFrom::Rules(options)) => rules::run(&options),
        },
    }
}
