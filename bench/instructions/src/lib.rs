#![doc = include_str!("../README.md")]

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig};

/// A bench fails when it executes more `instructions` than this.
pub fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut tool = Callgrind::default();
    tool.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(tool);
    config
}
