//! How an input hands over messages.

use std::sync::Arc;

use crate::event::Event;
use crate::flow::{Batch, Finalizer, Router, Scratch, Stopped};

use super::stats::Stats;

/// Hands batches to the router. Each thread of an input has its own.
#[derive(Debug)]
pub struct Emitter {
    router: Arc<Router>,
    scratch: Scratch,
    stats: Stats,
}

impl Emitter {
    pub(crate) fn new(router: Arc<Router>, stats: Stats) -> Emitter {
        Emitter {
            router,
            scratch: Scratch::default(),
            stats,
        }
    }

    /// Sends events as one batch; waits for room where a queue says so.
    /// `finalizer` learns what became of them, also if there are none.
    ///
    /// # Errors
    ///
    /// [`Stopped`] if the pipeline gives up on waiting.
    pub fn emit(
        &mut self,
        events: Vec<Event>,
        finalizer: Option<Finalizer>,
    ) -> Result<(), Stopped> {
        self.send(Batch::new(events, finalizer))
    }

    /// Like [`Emitter::emit`], for messages cut out of a buffer of `held`
    /// bytes, which counts against the bounds of queues as a whole.
    ///
    /// # Errors
    ///
    /// As [`Emitter::emit`].
    pub fn emit_from(
        &mut self,
        events: Vec<Event>,
        finalizer: Option<Finalizer>,
        held: usize,
    ) -> Result<(), Stopped> {
        self.send(Batch::new(events, finalizer).holding(held))
    }

    fn send(&mut self, batch: Batch) -> Result<(), Stopped> {
        self.stats.processed.add(batch.events().len() as u64);
        self.router.send(batch, &mut self.scratch)
    }

    /// The counters of the plugin.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
