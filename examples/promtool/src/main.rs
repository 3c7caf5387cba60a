//! `promtool`: the commands of Prometheus's tool that concern its storage, on Headwater's crates.
//!
//! `flags` reads the command line and refuses what is not built by its name. Each command has a
//! file of its own.

mod bench_write;
mod failure;
mod flags;
mod go_text;

use std::process::ExitCode;

use crate::failure::Outcome;
use crate::flags::{Bench, Command, Tsdb};

/// The program chooses the allocator; libraries never do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match run(flags::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Tsdb(Tsdb::Bench(Bench::Write(options))) => bench_write::run(&options),
    }
}
