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
        let (bytes, start, signer) = match incoming {
            Incoming::Encoded {
                bytes,
                start,
                signer,
            } => (bytes, start, signer),
            // Of a plain record the payload is the encoded message.
            Incoming::Event(event) => return decode_payload(event, out),
        };
        match RawMessage::index(bytes, start) {
            Ok(raw) => {
                out.push(Event::from(raw).signed_by(signer));
                Decoding::Done
            }
            Err((error, bytes)) => {
                let incoming = Incoming::Encoded {
                    bytes,
                    start,
                    signer,
                };
                Decoding::Failed(incoming, error.to_string())
            }
        }
    }
}

fn decode_payload(event: Event, out: &mut Vec<Event>) -> Decoding {
    let payload = event.to_message().payload.unwrap_or_default();
    match RawMessage::new(payload) {
        Ok(raw) => {
            out.push(raw.into());
            Decoding::Done
        }
        Err(error) => Decoding::Failed(Incoming::Event(event), error.to_string()),
    }
}
