//! The store as its callers know it.

mod blocks;
mod broken;
mod cardinality;
mod chunk_snapshot;
mod conformance;
mod corpora;
mod crash;
mod deletes;
mod encodings;
mod faults;
mod flipped;
mod killed;
mod late;
mod memory;
mod mend;
mod model;
mod newest;
mod opening;
mod partial;
mod peers;
mod peers_snapshot;
mod reopen;
mod round_trip;
mod stale;
mod support;
mod together;
