//! A Loki server, composed of Headwater's crates.
//!
//! `flags` reads the command line, `settings` the file; `modules` builds the parts in the order of
//! their needs and joins them: it reads as the path that a line takes. `host` is what operators see.

mod face;
mod flags;
mod host;
mod modules;
mod settings;
mod states;

use std::process::ExitCode;

use headwater_service::{LogSettings, Logging};

use crate::flags::Flags;
use crate::settings::Source;

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
    fn of_user(error: impl ToString) -> Self {
        Self {
            code: 2,
            message: error.to_string(),
        }
    }

    fn of_machine(error: impl ToString) -> Self {
        Self {
            code: 1,
            message: error.to_string(),
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, message }) => {
            eprintln!("error: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(words: &[String]) -> Result<(), Failure> {
    let flags = Flags::read(words).map_err(Failure::of_user)?;
    if flags.on("help") || flags.on("h") {
        println!("{}", Flags::help());
        return Ok(());
    }
    if flags.on("version") {
        println!("loki, version {} (headwater)", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    if flags.on("list-targets") {
        modules::TARGETS
            .iter()
            .for_each(|target| println!("{target}"));
        return Ok(());
    }
    let source = Source::load(&flags).map_err(Failure::of_user)?;
    if flags.on("print-config-stderr") {
        eprintln!("{}", source.settings.shown());
    }
    if flags.on("verify-config") {
        println!("config is valid");
        return Ok(());
    }
    let server = &source.settings.server;
    let level = server.log_level.parse().map_err(Failure::of_user)?;
    let format = server.log_format.parse().map_err(Failure::of_user)?;
    let logging = Logging::start(&LogSettings::new(level, format, "loki"))
        .map_err(|error| Failure::of_machine(format!("logging: {error}")))?;
    source
        .settings
        .warnings()
        .iter()
        .for_each(|warning| tracing::warn!("{warning}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::of_machine(format!("cannot start threads: {error}")))?;
    runtime.block_on(modules::serve(source, logging))
}
