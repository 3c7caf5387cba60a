//! The store as its callers know it.

mod blocks;
mod conformance;
mod corpora;
mod crash;
mod encodings;
mod killed;
mod late;
mod model;
mod peers;
mod reopen;
mod support;
