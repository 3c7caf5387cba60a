//! heka's own messages.

use crate::event::Event;
use crate::plugin::{BuildContext, BuildError, Encoder, NoSettings, Plugin};

/// Writes messages as they came in, or encodes those made here.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProtobufEncoder;

impl Plugin for ProtobufEncoder {
    const TYPE: &'static str = "ProtobufEncoder";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<ProtobufEncoder, BuildError> {
        Ok(ProtobufEncoder)
    }
}

impl Encoder for ProtobufEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        event.encode(out);
        Ok(())
    }

    fn writes_messages(&self) -> bool {
        true
    }
}
