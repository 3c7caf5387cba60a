//! heka's own messages.

use crate::event::Event;
use crate::message::RawMessage;
use crate::plugin::{BuildContext, BuildError, Decoder, Decoding, Incoming, NoSettings, Plugin};

/// Checks and indexes encoded messages. They stay encoded, so that what only
/// passes through goes out as it came in.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProtobufDecoder;

impl Plugin for ProtobufDecoder {
    const TYPE: &'static str = "ProtobufDecoder";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<ProtobufDecoder, BuildError> {
        Ok(ProtobufDecoder)
    }
}

impl Decoder for ProtobufDecoder {
    fn decode(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding {
        let (bytes, start, signer) = match &incoming {
            Incoming::Encoded {
                bytes,
                start,
                signer,
            } => (bytes.clone(), *start, signer.clone()),
            // Of a plain record the payload is the encoded message.
            Incoming::Event(event) => (event.to_message().payload.unwrap_or_default(), 0, None),
        };
        match RawMessage::within(bytes, start) {
            Ok(raw) => {
                out.push(Event::from(raw).signed_by(signer));
                Decoding::Done
            }
            Err(error) => Decoding::Failed(incoming, error.to_string()),
        }
    }
}
