//! Decoders.

mod multi;
mod protobuf;
mod regex;
mod scribble;

pub use multi::{CascadeStrategy, MultiDecoder, MultiDecoderSettings};
pub use protobuf::ProtobufDecoder;
pub use regex::{PayloadRegexDecoder, PayloadRegexDecoderSettings};
pub use scribble::{ScribbleDecoder, ScribbleDecoderSettings};
