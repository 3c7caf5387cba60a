//! Several decoders in a row.

use serde::Deserialize;

use crate::event::Event;
use crate::plugin::{BuildContext, BuildError, Decoder, Decoding, Incoming, Plugin};

/// When to stop asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CascadeStrategy {
    /// The first that can decode the message is the only one.
    #[default]
    FirstWins,
    /// All are asked; each gets what those before it made.
    All,
}

/// Settings of [`MultiDecoder`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MultiDecoderSettings {
    /// Sections of the decoders to ask, in order.
    pub subs: Vec<String>,
    /// When to stop.
    pub cascade_strategy: CascadeStrategy,
    /// Log what each of them says.
    pub log_sub_errors: bool,
}

/// Asks other decoders in turn.
#[derive(Debug)]
pub struct MultiDecoder {
    subs: Vec<(String, Box<dyn Decoder>)>,
    all: bool,
    log: bool,
}

impl Plugin for MultiDecoder {
    const TYPE: &'static str = "MultiDecoder";
    type Settings = MultiDecoderSettings;

    fn build(
        settings: &MultiDecoderSettings,
        cx: &BuildContext<'_>,
    ) -> Result<MultiDecoder, BuildError> {
        if settings.subs.is_empty() {
            return Err(BuildError::new(
                "at least one subdecoder must be specified in subs",
            ));
        }
        let inner = cx.nested()?;
        let build = |name: &String| Ok((name.clone(), inner.decoder(name)?));
        Ok(MultiDecoder {
            subs: settings
                .subs
                .iter()
                .map(build)
                .collect::<Result<_, BuildError>>()?,
            all: settings.cascade_strategy == CascadeStrategy::All,
            log: settings.log_sub_errors,
        })
    }
}

const ALL_FAILED: &str = "All subdecoders failed.";

impl Decoder for MultiDecoder {
    fn decode(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding {
        if self.all {
            return self.cascade(incoming, out);
        }
        let mut incoming = incoming;
        for place in 0..self.subs.len() {
            match self.ask(place, incoming, out) {
                None => return Decoding::Done,
                Some(back) => incoming = back,
            }
        }
        Decoding::Failed(incoming, ALL_FAILED.to_owned())
    }
}

impl MultiDecoder {
    /// `None` if the decoder took it, else what it handed back.
    fn ask(&mut self, place: usize, incoming: Incoming, out: &mut Vec<Event>) -> Option<Incoming> {
        let (name, decoder) = &mut self.subs[place];
        match decoder.decode(incoming, out) {
            Decoding::Done => None,
            Decoding::Skipped(incoming) => Some(incoming),
            Decoding::Failed(incoming, reason) => {
                if self.log {
                    tracing::warn!(decoder = %name, "subdecoder: {reason}");
                }
                Some(incoming)
            }
        }
    }

    /// Each decoder gets every message that those before it made.
    fn cascade(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding {
        let mut current = vec![incoming];
        let mut any = false;
        for place in 0..self.subs.len() {
            let mut next = Vec::new();
            for incoming in current {
                let mut made = Vec::new();
                match self.ask(place, incoming, &mut made) {
                    None => {
                        any = true;
                        next.extend(made.into_iter().map(Incoming::Event));
                    }
                    Some(back) => next.push(back),
                }
            }
            current = next;
        }
        if any {
            out.extend(current.into_iter().map(Incoming::into_event));
            return Decoding::Done;
        }
        match current.pop() {
            Some(incoming) => Decoding::Failed(incoming, ALL_FAILED.to_owned()),
            None => Decoding::Done,
        }
    }
}
