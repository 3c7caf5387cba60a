//! The thread of an input.

use crate::config::PlannedInput;
use crate::plugin::{BuildContext, Input, InputContext};

use super::backoff::Backoff;
use super::output::End;

/// Runs one input and starts it anew when it breaks.
pub(super) struct InputRunner {
    pub(super) planned: PlannedInput,
    pub(super) cx: InputContext,
}

impl InputRunner {
    pub(super) fn make(&mut self) -> Result<Box<dyn Input>, String> {
        let cx = BuildContext::new(
            &self.planned.name,
            &self.cx.globals,
            &self.cx.services,
            &self.cx.parts,
            self.cx.ticker(),
        );
        let mut input = (self.planned.make)(&cx).map_err(|error| error.to_string())?;
        input.start(&self.cx)?;
        Ok(input)
    }

    pub(super) fn run(&mut self, first: Box<dyn Input>) -> End {
        let mut backoff = Backoff::new(&self.planned.common.retries);
        let mut input = Some(first);
        loop {
            let broke = match input.take() {
                Some(mut running) => match running.run(&self.cx) {
                    Ok(()) => return End::Done,
                    Err(reason) => reason,
                },
                None => match self.make() {
                    Ok(made) => {
                        input = Some(made);
                        continue;
                    }
                    Err(reason) => reason,
                },
            };
            if self.cx.stop().is_raised() {
                return End::Done;
            }
            tracing::error!(input = %self.planned.name, "input failed: {broke}");
            let Some(wait) = backoff.next_wait() else {
                return End::Failed(broke);
            };
            if self.cx.stop().wait(wait) {
                return End::Done;
            }
        }
    }
}
