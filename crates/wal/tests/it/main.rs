//! Promises of the log, on a disk that fails and on Prometheus's own files.

mod corpora;
mod durability;
mod following;
mod support;
