//! The daemon as a process: killed under load, given bad input, and watched
//! for its memory.

mod bad_input;
mod kill;
mod memory;
mod support;
