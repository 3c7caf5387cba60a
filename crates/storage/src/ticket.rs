//! Promises of durability: returned by a commit, kept by whoever syncs the log.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, ErrorKind, Result};

/// Resolves once a commit is durable. Wait for it on a thread or `.await` it; dropping it is fine,
/// the data is written all the same.
#[must_use = "a commit is visible but perhaps not durable until its ticket resolves"]
#[derive(Debug)]
pub struct Ticket {
    state: Option<Arc<State>>,
}

/// The other end of a [`Ticket`]. Dropping it unresolved fails the ticket.
#[derive(Debug)]
pub struct TicketSender {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    slot: Mutex<Slot>,
    resolved: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    outcome: Option<Result<()>>,
    waker: Option<Waker>,
}

impl Ticket {
    /// A ticket for what is durable already, or never will be more durable than it is.
    pub const fn ready() -> Self {
        Self { state: None }
    }

    /// A ticket and the end that resolves it.
    pub fn pair() -> (TicketSender, Self) {
        let state = Arc::new(State::default());
        (
            TicketSender {
                state: state.clone(),
            },
            Self { state: Some(state) },
        )
    }

    /// Blocks this thread until the commit is durable.
    ///
    /// # Errors
    /// The log could not be made durable: the data may be lost in a crash.
    pub fn wait(self) -> Result<()> {
        let Some(state) = self.state else {
            return Ok(());
        };
        let mut slot = state.slot.lock();
        loop {
            if let Some(outcome) = slot.outcome.take() {
                return outcome;
            }
            state.resolved.wait(&mut slot);
        }
    }
}

impl Future for Ticket {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(state) = &self.state else {
            return Poll::Ready(Ok(()));
        };
        let mut slot = state.slot.lock();
        match slot.outcome.take() {
            Some(outcome) => Poll::Ready(outcome),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl TicketSender {
    /// Resolves the ticket.
    pub fn resolve(self, outcome: Result<()>) {
        self.state.set(outcome);
    }
}

impl Drop for TicketSender {
    fn drop(&mut self) {
        self.state.set(Err(Error::new(
            ErrorKind::Internal,
            "the log ended before it answered for this commit",
        )));
    }
}

impl State {
    /// The first outcome counts.
    fn set(&self, outcome: Result<()>) {
        let mut slot = self.slot.lock();
        // A ticket that was polled to its end has no outcome left and no waker either; setting it again is harmless.
        if slot.outcome.is_none() {
            slot.outcome = Some(outcome);
        }
        if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
        self.resolved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;

    #[test]
    fn resolves_across_threads() {
        let (sender, ticket) = Ticket::pair();
        let waiter = std::thread::spawn(move || ticket.wait());
        sender.resolve(Ok(()));
        waiter.join().unwrap().unwrap();

        let (sender, ticket) = Ticket::pair();
        let waiter = std::thread::spawn(move || block_on(ticket));
        sender.resolve(Err(Error::new(ErrorKind::NoSpace, "disk full")));
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            ErrorKind::NoSpace
        );
    }

    #[test]
    fn a_sender_that_vanishes_fails_the_ticket() {
        let (sender, ticket) = Ticket::pair();
        drop(sender);
        assert!(ticket.wait().is_err());
        Ticket::ready().wait().unwrap();
    }
}
