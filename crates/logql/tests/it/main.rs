//! Everything that is tested from outside the crate.

mod answers;
mod corpus;
mod golden;
mod laws;
