//! The conformance suite, run by the stores of this crate.

use std::sync::Arc;

use headwater_storage::MemoryStore;
use headwater_storage::conformance::{CASES, Slow};

#[test]
fn the_memory_store_conforms() {
    for (name, case) in CASES {
        println!("{name}");
        case(&MemoryStore::new());
    }
}

#[test]
fn a_slow_remote_store_conforms() {
    for (name, case) in CASES {
        println!("{name}");
        case(&Slow(Arc::new(MemoryStore::new())));
    }
}
