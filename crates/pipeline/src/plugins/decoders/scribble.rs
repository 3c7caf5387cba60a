//! Writing constants into messages.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::Event;
use crate::plugin::{BuildContext, BuildError, Decoder, Decoding, Incoming, Plugin};
use crate::plugins::template::Template;

/// Settings of [`ScribbleDecoder`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ScribbleDecoderSettings {
    /// Headers to set and fields to add; `name|representation` for fields.
    pub message_fields: BTreeMap<String, String>,
}

/// Sets headers and adds fields with fixed values. Without any it takes
/// records as they are, which is how an input that expects encoded messages
/// is told to expect plain text.
#[derive(Debug)]
pub struct ScribbleDecoder {
    template: Template,
}

impl Plugin for ScribbleDecoder {
    const TYPE: &'static str = "ScribbleDecoder";
    type Settings = ScribbleDecoderSettings;

    fn build(
        settings: &ScribbleDecoderSettings,
        _: &BuildContext<'_>,
    ) -> Result<ScribbleDecoder, BuildError> {
        Ok(ScribbleDecoder {
            template: Template::new(&settings.message_fields, false),
        })
    }
}

impl Decoder for ScribbleDecoder {
    fn decode(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding {
        let before = incoming.into_event();
        if self.template.is_empty() {
            out.push(before);
            return Decoding::Done;
        }
        let mut event = before.clone();
        match self.template.apply(event.message_mut(), &|_| None) {
            Ok(()) => {
                out.push(event);
                Decoding::Done
            }
            Err(reason) => Decoding::Failed(Incoming::Event(before), reason),
        }
    }
}
