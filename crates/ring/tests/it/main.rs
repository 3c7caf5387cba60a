//! The rules of the ring as text cases and as laws.

mod lifecycle;
mod merge;
mod quorum;
