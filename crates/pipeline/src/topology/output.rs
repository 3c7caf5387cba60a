//! The thread of an output.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::PlannedOutput;
use crate::flow::{Delivery, Pop, Queue};
use crate::plugin::{BuildContext, Next, Output, OutputContext, Parts, Undelivered};

use super::backoff::Backoff;
use super::ticker::Ticker;

/// First and longest wait before a delivery is offered again.
const RETRY_FIRST: Duration = Duration::from_millis(10);
const RETRY_LONGEST: Duration = Duration::from_secs(1);

/// How a runner ended.
pub(super) enum End {
    /// Nothing more will come, or the work goes to another runner.
    Done,
    /// The plugin failed and may not be started again.
    Failed(String),
}

/// Runs one output: takes deliveries from its queue, offers them again as
/// need be, calls it in time, starts it anew when it breaks.
pub(super) struct OutputRunner {
    pub(super) planned: PlannedOutput,
    pub(super) cx: OutputContext,
    pub(super) parts: Arc<Parts>,
    pub(super) queue: Arc<Queue>,
    /// Counts SIGHUPs.
    pub(super) reopens: Arc<AtomicU64>,
    /// Leave the queue to another runner.
    pub(super) hand_over: Arc<AtomicBool>,
    /// A delivery that broke the output and goes to its successor.
    pub(super) held: Option<Delivery>,
}

enum Step {
    GoOn,
    Ended,
    Broke(String),
}

impl OutputRunner {
    /// Builds and starts the plugin.
    pub(super) fn make(&mut self) -> Result<Box<dyn Output>, String> {
        let wants = &self.planned.wants;
        let cx = BuildContext::new(
            &self.planned.name,
            &self.cx.globals,
            &self.cx.services,
            &self.parts,
            wants.ticker,
        );
        let mut output = (self.planned.make)(&cx).map_err(|error| error.to_string())?;
        output.start(&mut self.cx)?;
        Ok(output)
    }

    /// Runs until there is nothing more to do.
    pub(super) fn run(&mut self, first: Box<dyn Output>) -> End {
        let mut backoff = Backoff::new(&self.planned.wants.retries);
        let mut output = Some(first);
        loop {
            let broke = match output.take() {
                Some(mut running) => match self.serve(&mut *running, &mut backoff) {
                    None => return End::Done,
                    Some(reason) => reason,
                },
                None => match self.make() {
                    Ok(made) => {
                        output = Some(made);
                        continue;
                    }
                    Err(reason) => reason,
                },
            };
            tracing::error!(output = %self.planned.name, "output failed: {broke}");
            let Some(wait) = backoff.next_wait() else {
                return End::Failed(broke);
            };
            if self.cx.stopping() || self.cx.wait(wait) {
                return End::Done;
            }
        }
    }

    /// Serves the queue until it ends (`None`) or the output breaks.
    fn serve(&mut self, output: &mut dyn Output, backoff: &mut Backoff) -> Option<String> {
        let mut ticker = Ticker::new(self.planned.wants.ticker);
        let mut reopened = self.reopens.load(Ordering::Relaxed);
        loop {
            let step = match self.held.take() {
                Some(delivery) => self.offer(output, delivery, backoff),
                None => self.next(output, &ticker, backoff),
            };
            match step {
                Step::GoOn => {}
                Step::Broke(reason) => return Some(reason),
                Step::Ended => {
                    output.finish(&mut self.cx);
                    return None;
                }
            }
            let reopens = self.reopens.load(Ordering::Relaxed);
            if std::mem::replace(&mut reopened, reopens) != reopens {
                output.reopen(&mut self.cx);
            }
            if let Err(reason) = self.timers(output, &mut ticker) {
                return Some(reason);
            }
        }
    }

    fn next(&mut self, output: &mut dyn Output, ticker: &Ticker, backoff: &mut Backoff) -> Step {
        if self.hand_over.load(Ordering::Acquire) {
            return Step::Ended;
        }
        let deadline = [ticker.at(), output.wake_at()].into_iter().flatten().min();
        match self.queue.pop(deadline) {
            Pop::Delivery(delivery) => self.offer(output, delivery, backoff),
            Pop::TimedOut => Step::GoOn,
            Pop::Closed => Step::Ended,
        }
    }

    fn timers(&mut self, output: &mut dyn Output, ticker: &mut Ticker) -> Result<(), String> {
        if output.wake_at().is_some_and(|at| at <= Instant::now()) {
            output.wake(&mut self.cx)?;
        }
        if ticker.is_due() {
            output.tick(&mut self.cx)?;
        }
        Ok(())
    }

    /// Offers a delivery until it is taken, refused, or the pipeline stops.
    fn offer(
        &mut self,
        output: &mut dyn Output,
        delivery: Delivery,
        backoff: &mut Backoff,
    ) -> Step {
        let mut delivery = delivery;
        let mut wait = RETRY_FIRST;
        loop {
            let count = delivery.len() as u64;
            let Undelivered {
                delivery: back,
                next,
                reason,
            } = match output.deliver(delivery, &mut self.cx) {
                Ok(()) => {
                    self.cx.stats.processed.add(count);
                    backoff.reset();
                    return Step::GoOn;
                }
                Err(undelivered) => undelivered,
            };
            self.cx.stats.failed.add(1);
            match next {
                Next::Refuse => {
                    tracing::warn!(output = %self.planned.name, "dropped {} messages: {reason}", back.len());
                    self.cx.stats.dropped.add(back.len() as u64);
                    back.refuse();
                    return Step::GoOn;
                }
                Next::Exit => {
                    self.held = Some(back);
                    return Step::Broke(reason);
                }
                Next::Retry => tracing::debug!(output = %self.planned.name, "retrying: {reason}"),
            }
            // A peer that fails while the pipeline stops is not waited for.
            if self.cx.stopping() || self.cx.wait(wait) {
                return Step::Ended;
            }
            if self.hand_over.load(Ordering::Acquire) {
                self.held = Some(back);
                return Step::Ended;
            }
            wait = (wait * 2).min(RETRY_LONGEST);
            delivery = back;
        }
    }
}
