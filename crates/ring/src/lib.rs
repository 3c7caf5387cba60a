#![doc = include_str!("../README.md")]

pub mod instance;
pub mod lifecycle;
pub mod lookup;
pub mod merge;
pub mod operation;
pub mod quorum;
pub mod tokens;

pub use instance::{Desc, Instance, State};
pub use lifecycle::{Lifecycle, LifecycleConfig, LifecycleError, Step};
pub use lookup::{Ring, RingConfig};
pub use operation::Operation;
pub use quorum::{ReplicationSet, RingError};
