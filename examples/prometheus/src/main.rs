//! A Prometheus server, composed of Headwater's crates.
//!
//! `flags` reads the command line, `assemble` builds the parts and joins them: it reads as the path
//! that a sample takes. `settings` are the files a user writes, `jobs` translates them; `process`,
//! `views` and `metrics` are what operators see.

mod assemble;
mod face;
mod features;
mod flags;
mod host;
mod jobs;
mod metrics;
mod process;
mod reload;
mod settings;
mod store;
mod views;

use std::process::ExitCode;

use headwater_service::{LogSettings, Logging};

use crate::flags::Flags;

/// The program chooses the allocator; libraries never do.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why the program ends before its time.
#[derive(Debug)]
struct Failure {
    /// 1 for what the machine refuses, 2 for what the user wrote.
    code: u8,
    message: String,
}

impl Failure {
    fn of_user(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    fn of_machine(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }
}

fn main() -> ExitCode {
    match run(Flags::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(flags: Flags) -> Result<(), Failure> {
    let log = |name: &str| flags.text(name).to_owned();
    let level = log("log.level").parse().map_err(Failure::of_user)?;
    let format = log("log.format").parse().map_err(Failure::of_user)?;
    let logging = Logging::start(&LogSettings::new(level, format, "prometheus"))
        .map_err(|error| Failure::of_machine(format!("logging: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of_machine(format!("cannot start threads: {error}")))?;
    runtime.block_on(assemble::serve(flags, logging))
}
