//! Bringing messages in.

use super::context::InputContext;

/// Brings messages in, from a thread of its own.
///
/// # Contract
///
/// * [`Input::run`] returns `Ok` soon after [`InputContext::stop`] is raised
///   (a hook on it ends a wait for a socket), or when there is nothing more
///   to read. It must not return while threads it started still send.
/// * An error ends the input; whether it is started again, the pipeline goes
///   on without it, or everything stops, is up to the settings.
/// * Handing over a batch waits while a queue with policy `block` is full:
///   this is the back-pressure. It fails when the pipeline gives up.
/// * Who can have its peer send again (a file, a request, an acknowledging
///   connection) hands over batches with a finalizer and confirms to the
///   peer only when it was called.
pub trait Input: Send {
    /// Called once before [`Input::run`], to open what it listens on.
    ///
    /// # Errors
    ///
    /// Why the input cannot start.
    fn start(&mut self, cx: &InputContext) -> Result<(), String> {
        let _ = cx;
        Ok(())
    }

    /// Reads until told to stop.
    ///
    /// # Errors
    ///
    /// Why the input cannot go on.
    fn run(&mut self, cx: &InputContext) -> Result<(), String>;
}
