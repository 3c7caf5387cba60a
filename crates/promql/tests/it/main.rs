//! Tests of the crate from outside.

mod answers;
mod corpora;
mod parse;
#[cfg(feature = "corpus")]
mod promqltest;
mod properties;
mod random;
mod stack;
