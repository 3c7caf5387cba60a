//! Whatever one read brings is a record.

use crate::plugin::{BuildContext, BuildError, Found, NoSettings, Plugin, Splitter};

/// Takes all bytes there are as one record: for datagrams and whole bodies.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullSplitter;

impl Plugin for NullSplitter {
    const TYPE: &'static str = "NullSplitter";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<NullSplitter, BuildError> {
        Ok(NullSplitter)
    }
}

impl Splitter for NullSplitter {
    fn find(&mut self, bytes: &[u8], _: bool) -> Found {
        Found::Record {
            start: 0,
            end: bytes.len(),
            next: bytes.len(),
        }
    }
}
