//! The five ways to cut a stream into records.

mod framing;
mod grouping;
mod null;
mod regex;
mod token;

pub use framing::{HekaFramingSplitter, HekaFramingSplitterSettings, SignerKey};
pub use grouping::{PatternGroupingSplitter, PatternGroupingSplitterSettings};
pub use null::NullSplitter;
pub use regex::{RegexSplitter, RegexSplitterSettings};
pub use token::{TokenSplitter, TokenSplitterSettings};
