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
    // Huge pages make the memory of a small process look large and gain a
    // stream of bytes nothing. Where they cannot be turned off, so be it.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
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
