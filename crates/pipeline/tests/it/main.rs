//! Integration tests: recorded cases of the original, records that do not
//! depend on reads, and whole pipelines.

mod configs;
mod cuts;
#[cfg(feature = "golden")]
mod golden;
mod keys;
mod pipelines;
mod reports;
mod stops;
mod streams;
#[cfg(feature = "tls")]
mod tls;
