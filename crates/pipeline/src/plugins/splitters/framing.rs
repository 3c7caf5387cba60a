//! heka's own frames.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;

use crate::message::{FrameHeader, RECORD_SEPARATOR, UNIT_SEPARATOR, Verdict, Verifier};
use crate::plugin::{BuildContext, BuildError, Content, Found, Plugin, Splitter};

/// Bytes of a frame that belong to neither header nor message.
const FRAMING: usize = 3;

/// Settings of [`HekaFramingSplitter`].
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HekaFramingSplitterSettings {
    /// Keys of signers, by `<name>_<version>`.
    pub signer: BTreeMap<String, SignerKey>,
    /// Do not look at signatures.
    pub skip_authentication: bool,
}

/// The key of one signer.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SignerKey {
    /// The key.
    pub hmac_key: String,
}

/// Finds heka's frames and checks their signatures. What is no frame is
/// skipped up to the next byte that may start one.
#[derive(Debug)]
pub struct HekaFramingSplitter {
    verifier: Verifier,
    message_max: usize,
    /// The last signer seen, so that its name is shared by its messages.
    signer: Option<Arc<str>>,
}

impl HekaFramingSplitter {
    /// A splitter for messages of at most `message_max` bytes.
    pub fn new(verifier: Verifier, message_max: usize) -> HekaFramingSplitter {
        HekaFramingSplitter {
            verifier,
            message_max,
            signer: None,
        }
    }

    /// The length of the frame at the start of `bytes`, if it is one;
    /// `Ok(None)` if there is too little to tell.
    fn frame(&self, bytes: &[u8]) -> Result<Option<usize>, NoFrame> {
        let Some(&header_len) = bytes.get(1) else {
            return Ok(None);
        };
        let body = usize::from(header_len) + FRAMING;
        if bytes.len() < body {
            return Ok(None);
        }
        if bytes[body - 1] != UNIT_SEPARATOR {
            return Err(NoFrame);
        }
        let header = FrameHeader::decode(&bytes[2..body - 1]).map_err(|_| NoFrame)?;
        let length = header.message_length as usize;
        if length > self.message_max {
            tracing::debug!(
                "frame of {length} bytes exceeds the maximum of {}",
                self.message_max
            );
            return Err(NoFrame);
        }
        Ok((bytes.len() >= body + length).then_some(body + length))
    }

    fn shared(&mut self, name: String) -> Arc<str> {
        match &self.signer {
            Some(known) if **known == *name => known.clone(),
            _ => self.signer.insert(name.into()).clone(),
        }
    }
}

struct NoFrame;

impl Plugin for HekaFramingSplitter {
    const TYPE: &'static str = "HekaFramingSplitter";
    type Settings = HekaFramingSplitterSettings;

    fn build(
        settings: &HekaFramingSplitterSettings,
        cx: &BuildContext<'_>,
    ) -> Result<HekaFramingSplitter, BuildError> {
        let verifier = if settings.skip_authentication {
            Verifier::skipping()
        } else {
            let keys = settings.signer.iter();
            Verifier::new(keys.map(|(name, key)| (name.clone(), key.hmac_key.clone().into_bytes())))
        };
        Ok(HekaFramingSplitter::new(
            verifier,
            cx.globals().max_message_size,
        ))
    }
}

impl Splitter for HekaFramingSplitter {
    fn find(&mut self, bytes: &[u8], _: bool) -> Found {
        let mut from = 0;
        while let Some(at) = memchr::memchr(RECORD_SEPARATOR, &bytes[from..]) {
            let start = from + at;
            match self.frame(&bytes[start..]) {
                Ok(Some(length)) => {
                    return Found::Record {
                        start,
                        end: start + length,
                        next: start + length,
                    };
                }
                Ok(None) => return Found::More { discard: start },
                Err(NoFrame) => from = start + 1,
            }
        }
        Found::More {
            discard: bytes.len(),
        }
    }

    fn content(&mut self, record: Bytes) -> Content {
        let start = FRAMING + usize::from(record[1]);
        let header_len = start - FRAMING;
        // Headers without room for a signature are not looked at.
        let verdict = if self.verifier.looks_at(header_len) {
            match FrameHeader::decode(&record[2..start - 1]) {
                Ok(header) => self.verifier.judge(&header, header_len, &record[start..]),
                Err(_) => Verdict::Rejected,
            }
        } else {
            Verdict::Unsigned
        };
        let signer = match verdict {
            Verdict::Rejected => return Content::Rejected,
            Verdict::Unsigned => None,
            Verdict::Signed(name) => Some(self.shared(name)),
        };
        Content::Message {
            bytes: record,
            start,
            signer,
        }
    }

    fn yields_messages(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::put_frame;

    fn splitter() -> HekaFramingSplitter {
        HekaFramingSplitter::new(Verifier::default(), 100)
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_frame(&mut out, body, None, 1000).unwrap();
        out
    }

    #[test]
    fn garbage_before_a_frame_is_skipped() {
        let mut bytes = b"junk\x1ejunk".to_vec();
        bytes[5] = 1;
        let start = bytes.len();
        bytes.extend(frame(b"body"));
        let found = splitter().find(&bytes, false);
        let end = bytes.len();
        assert_eq!(
            found,
            Found::Record {
                start,
                end,
                next: end
            }
        );
    }

    #[test]
    fn a_frame_over_the_limit_is_skipped() {
        let bytes = frame(&[b'x'; 101]);
        assert_eq!(
            splitter().find(&bytes, false),
            Found::More {
                discard: bytes.len()
            }
        );
    }

    #[test]
    fn the_start_of_a_frame_is_kept() {
        let bytes = frame(b"body");
        let found = splitter().find(&bytes[..5], false);
        assert_eq!(found, Found::More { discard: 0 });
    }
}
