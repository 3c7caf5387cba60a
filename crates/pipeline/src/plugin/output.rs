//! Sending messages away.

use std::time::Instant;

use crate::flow::Delivery;

use super::context::OutputContext;

/// What to do about messages that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Offer them again after a while.
    Retry,
    /// Drop them: trying again would not help.
    Refuse,
    /// The output is broken: keep them, start it anew.
    Exit,
}

/// Messages that could not be sent, and why.
#[derive(Debug)]
pub struct Undelivered {
    /// The messages; those passed over need not be sent again.
    pub delivery: Delivery,
    /// What to do about them.
    pub next: Next,
    /// What went wrong, for the log.
    pub reason: String,
}

impl Undelivered {
    /// To be offered again.
    pub fn retry(delivery: Delivery, reason: impl ToString) -> Undelivered {
        Undelivered {
            delivery,
            next: Next::Retry,
            reason: reason.to_string(),
        }
    }

    /// To be dropped.
    pub fn refuse(delivery: Delivery, reason: impl ToString) -> Undelivered {
        Undelivered {
            delivery,
            next: Next::Refuse,
            reason: reason.to_string(),
        }
    }
}

/// Sends messages somewhere.
///
/// # Contract
///
/// * Everything is called on one thread.
/// * A delivery is over when [`Delivery::done`] is called, and not before
///   the messages are safe at the other end: inputs acknowledge then. An
///   output may keep deliveries and finish them later, in
///   [`Output::wake`].
/// * Waiting longer than a moment is done with [`OutputContext::wait`], or
///   ends when [`OutputContext::aborted`] does, so that a dead peer cannot
///   keep the pipeline from stopping.
pub trait Output: Send {
    /// Sends the messages of a delivery.
    ///
    /// # Errors
    ///
    /// The delivery with the reason, and what to do about it.
    fn deliver(&mut self, delivery: Delivery, cx: &mut OutputContext) -> Result<(), Undelivered>;

    /// Called once before anything else.
    ///
    /// # Errors
    ///
    /// Why the output cannot start.
    fn start(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// When [`Output::wake`] wants to be called, if at all.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// Called at about [`Output::wake_at`], to flush what is due.
    ///
    /// # Errors
    ///
    /// Why the output cannot go on.
    fn wake(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// Called every `ticker_interval`.
    ///
    /// # Errors
    ///
    /// Why the output cannot go on.
    fn tick(&mut self, cx: &mut OutputContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// Opens anew what may have been moved away (a log file, on SIGHUP).
    fn reopen(&mut self, cx: &mut OutputContext) {
        let _ = cx;
    }

    /// Called once at the end: the last chance to flush.
    fn finish(&mut self, cx: &mut OutputContext) {
        let _ = cx;
    }
}
