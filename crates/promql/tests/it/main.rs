//! Tests of the crate from outside.

mod answers;
mod corpora;
mod life;
mod memory;
mod parse;
mod plans;
#[cfg(feature = "corpus")]
mod promqltest;
mod properties;
mod random;
mod stack;
