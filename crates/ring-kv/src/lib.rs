#![doc = include_str!("../README.md")]

mod error;
mod lifecycler;
mod memory;
mod store;

pub use error::KvError;
pub use lifecycler::{Lifecycler, LifecyclerHandle};
pub use memory::MemoryStore;
pub use store::{Change, RingStore, RingStoreExt};
