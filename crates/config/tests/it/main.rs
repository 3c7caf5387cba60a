//! Prometheus's own test files, read in place, and settings made up at random.

mod corpora;
mod exempt;
mod large;
mod print;
mod random;
