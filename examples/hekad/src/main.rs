//! `hekad`: reads a configuration, runs the pipeline it describes, and stops
//! when told to.

mod args;
mod defaults;
mod run;

use std::process::ExitCode;

// Messages are made on one thread and dropped on another, which is what this
// allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match args::parse(std::env::args()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match run::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("hekad: {reason}");
            ExitCode::FAILURE
        }
    }
}
