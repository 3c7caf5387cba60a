//! Computing something from messages.

use crate::flow::Delivery;

use super::context::FilterContext;

/// Sees the messages it matches, one batch at a time, and may inject others.
///
/// # Contract
///
/// * Everything is called on one thread; per filter, messages come in the
///   order in which each input sent them.
/// * A filter never waits for the pipeline: what it injects goes to queues
///   with an allowance of their own, or is refused and counted.
/// * An error ends the filter; whether it is started again, the pipeline
///   goes on without it, or everything stops, is up to the settings.
pub trait Filter: Send {
    /// Looks at a batch. When this returns, the batch counts as arrived.
    ///
    /// # Errors
    ///
    /// Why the filter cannot go on.
    fn process(&mut self, delivery: &Delivery, cx: &mut FilterContext) -> Result<(), String>;

    /// Called once before anything else.
    ///
    /// # Errors
    ///
    /// Why the filter cannot start.
    fn start(&mut self, cx: &mut FilterContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// Called every `ticker_interval`.
    ///
    /// # Errors
    ///
    /// Why the filter cannot go on.
    fn tick(&mut self, cx: &mut FilterContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// Called once at the end, when no more messages will come.
    fn finish(&mut self, cx: &mut FilterContext) {
        let _ = cx;
    }
}
