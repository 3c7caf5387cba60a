//! Prometheus's own test files, read in place, and settings made up at random.

mod corpora;
mod exempt;
mod print;
mod random;
