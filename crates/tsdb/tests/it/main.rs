//! The store as its callers know it.

mod blocks;
mod chunk_snapshot;
mod conformance;
mod corpora;
mod crash;
mod encodings;
mod flipped;
mod killed;
mod late;
mod model;
mod peers;
mod reopen;
mod support;
