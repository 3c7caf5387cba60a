//! Standard output.

use std::io::Write;

use crate::flow::Delivery;
use crate::plugin::{
    BuildContext, BuildError, Defaults, NoSettings, Output, OutputContext, Plugin, Undelivered,
};

/// Writes encoded messages to standard output.
#[derive(Debug, Default)]
pub struct LogOutput {
    buffer: Vec<u8>,
}

impl Plugin for LogOutput {
    const TYPE: &'static str = "LogOutput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<LogOutput, BuildError> {
        Ok(LogOutput::default())
    }

    fn defaults() -> Defaults {
        Defaults {
            needs_encoder: true,
            ..Defaults::default()
        }
    }
}

impl Output for LogOutput {
    fn deliver(&mut self, delivery: Delivery, cx: &mut OutputContext) -> Result<(), Undelivered> {
        self.buffer.clear();
        for event in delivery.events() {
            cx.encode(event, &mut self.buffer);
        }
        let mut out = std::io::stdout().lock();
        match out.write_all(&self.buffer).and_then(|()| out.flush()) {
            Ok(()) => {
                delivery.done();
                Ok(())
            }
            Err(error) => Err(Undelivered::refuse(delivery, error)),
        }
    }
}
