//! Golden tests: data directories that real Prometheus servers wrote.

mod blocks;
mod corpora;
mod head_chunks;
mod log;
mod peer;
mod size;
