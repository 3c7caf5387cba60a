//! Encoders.

mod es;
mod payload;
mod protobuf;
mod rst;

pub use es::{
    ESJsonEncoder, ESJsonEncoderSettings, ESLogstashV0Encoder, ESLogstashV0EncoderSettings,
};
pub use payload::{PayloadEncoder, PayloadEncoderSettings};
pub use protobuf::ProtobufEncoder;
pub use rst::RstEncoder;
