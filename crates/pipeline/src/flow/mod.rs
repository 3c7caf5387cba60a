//! How messages move: batches, queues, routes, and the way back of
//! acknowledgements.

mod acks;
mod batch;
mod holder;
mod queue;
mod router;
mod signal;
mod spares;
mod spool;

pub use acks::Acks;
pub use batch::{Batch, Delivery, Finalizer, Outcome, Receipt};
pub use holder::{Holder, Holding};
pub use queue::{Pop, PushError, Queue, WhenFull};
pub use router::{Route, Router, Scratch, Stopped};
pub use signal::{HookGuard, Signal};
pub(crate) use spares::Spares;
pub use spool::{Spool, SpoolError, SpoolFull, SpoolSettings};
