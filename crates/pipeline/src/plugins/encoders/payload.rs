//! The text of a message.

use serde::Deserialize;

use crate::event::Event;
use crate::plugin::{BuildContext, BuildError, Encoder, Plugin, now_nanos};
use crate::timefmt::StrfTime;

/// Settings of [`PayloadEncoder`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PayloadEncoderSettings {
    /// A line feed behind each payload.
    pub append_newlines: bool,
    /// A time before each payload.
    pub prefix_ts: bool,
    /// The message's time, not that of the clock.
    pub ts_from_message: bool,
    /// How to write the time, with the letters of strftime.
    pub ts_format: String,
}

impl Default for PayloadEncoderSettings {
    fn default() -> PayloadEncoderSettings {
        PayloadEncoderSettings {
            append_newlines: true,
            prefix_ts: false,
            ts_from_message: true,
            ts_format: "[%Y/%b/%d:%H:%M:%S %z] ".to_owned(),
        }
    }
}

/// Writes the payload, with a time before it and a line feed behind it if so
/// configured.
#[derive(Debug)]
pub struct PayloadEncoder {
    newline: bool,
    prefix: Option<StrfTime>,
    from_message: bool,
}

impl Plugin for PayloadEncoder {
    const TYPE: &'static str = "PayloadEncoder";
    type Settings = PayloadEncoderSettings;

    fn build(
        settings: &PayloadEncoderSettings,
        _: &BuildContext<'_>,
    ) -> Result<PayloadEncoder, BuildError> {
        Ok(PayloadEncoder {
            newline: settings.append_newlines,
            prefix: settings
                .prefix_ts
                .then(|| StrfTime::new(&settings.ts_format)),
            from_message: settings.ts_from_message,
        })
    }
}

impl Encoder for PayloadEncoder {
    fn encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        if let Some(prefix) = &self.prefix {
            let time = if self.from_message {
                event.timestamp()
            } else {
                now_nanos()
            };
            out.extend_from_slice(prefix.format(time).as_bytes());
        }
        out.extend_from_slice(event.payload());
        if self.newline {
            out.push(b'\n');
        }
        Ok(())
    }
}
