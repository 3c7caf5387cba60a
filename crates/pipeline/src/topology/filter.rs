//! The thread of a filter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::config::PlannedFilter;
use crate::event::Event;
use crate::flow::{Pop, Queue, Signal};
use crate::plugin::{BuildContext, Filter, FilterContext, Parts, Stats};

use super::backoff::Backoff;
use super::output::End;
use super::ticker::Ticker;

/// Runs one filter: shows it batches and ticks, routes what it injects,
/// starts it anew when it breaks.
pub(super) struct FilterRunner {
    pub(super) planned: PlannedFilter,
    pub(super) cx: FilterContext,
    pub(super) parts: Arc<Parts>,
    pub(super) queue: Arc<Queue>,
    pub(super) stats: Stats,
    /// Raised when the pipeline gives up on waiting.
    pub(super) abort: Signal,
    /// Leave the queue to another runner.
    pub(super) hand_over: Arc<AtomicBool>,
}

impl FilterRunner {
    pub(super) fn make(&mut self) -> Result<Box<dyn Filter>, String> {
        let (globals, services) = (self.cx.globals().clone(), self.cx.services().clone());
        let wants = &self.planned.wants;
        let cx = BuildContext::new(
            &self.planned.name,
            &globals,
            &services,
            &self.parts,
            wants.ticker,
        );
        let mut filter = (self.planned.make)(&cx).map_err(|error| error.to_string())?;
        filter.start(&mut self.cx)?;
        Ok(filter)
    }

    pub(super) fn run(&mut self, first: Box<dyn Filter>) -> End {
        let mut backoff = Backoff::new(&self.planned.wants.retries);
        let mut filter = Some(first);
        loop {
            let broke = match filter.take() {
                Some(mut running) => match self.serve(&mut *running, &mut backoff) {
                    Ok(()) => return End::Done,
                    Err(reason) => reason,
                },
                None => match self.make() {
                    Ok(made) => {
                        filter = Some(made);
                        continue;
                    }
                    Err(reason) => reason,
                },
            };
            tracing::error!(filter = %self.planned.name, "filter failed: {broke}");
            let Some(wait) = backoff.next_wait() else {
                return End::Failed(broke);
            };
            if self.abort.wait(wait) {
                return End::Done;
            }
        }
    }

    fn serve(&mut self, filter: &mut dyn Filter, backoff: &mut Backoff) -> Result<(), String> {
        let mut ticker = Ticker::new(self.planned.wants.ticker);
        while !self.hand_over.load(Ordering::Acquire) {
            match self.queue.pop(ticker.at()) {
                Pop::Delivery(delivery) => {
                    let loops = delivery.events().map(Event::loops).max().unwrap_or(0);
                    self.cx.set_loops(loops);
                    self.stats.processed.add(delivery.len() as u64);
                    filter.process(&delivery, &mut self.cx)?;
                    delivery.done();
                    backoff.reset();
                }
                Pop::TimedOut => {}
                Pop::Closed => break,
            }
            if ticker.is_due() {
                self.cx.set_loops(0);
                filter.tick(&mut self.cx)?;
            }
            self.cx.flush();
        }
        filter.finish(&mut self.cx);
        self.cx.flush();
        Ok(())
    }
}
