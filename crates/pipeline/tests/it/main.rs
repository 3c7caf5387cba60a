//! Integration tests: recorded cases of the original, and whole pipelines.

#[cfg(feature = "golden")]
mod golden;
