//! The plugins that come with this crate.

pub mod decoders;
pub mod encoders;
pub mod filters;
pub mod inputs;
mod net;
pub mod outputs;
pub mod splitters;
mod template;
mod text;

pub use net::TlsSettings;

use crate::plugin::Registry;

/// A registry of all plugins of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .decoder::<decoders::MultiDecoder>()
        .decoder::<decoders::PayloadRegexDecoder>()
        .decoder::<decoders::ProtobufDecoder>()
        .decoder::<decoders::ScribbleDecoder>()
        .filter::<filters::CounterFilter>()
        .filter::<filters::StatFilter>()
        .input::<inputs::LogstreamerInput>()
        .input::<inputs::StatAccumInput>()
        .input::<inputs::StatsdInput>()
        .input::<inputs::TcpInput>()
        .input::<inputs::UdpInput>()
        .output::<outputs::CarbonOutput>()
        .output::<outputs::FileOutput>()
        .output::<outputs::LogOutput>()
        .output::<outputs::TcpOutput>()
        .output::<outputs::UdpOutput>()
        .encoder::<encoders::ESJsonEncoder>()
        .encoder::<encoders::ESLogstashV0Encoder>()
        .encoder::<encoders::PayloadEncoder>()
        .encoder::<encoders::ProtobufEncoder>()
        .encoder::<encoders::RstEncoder>()
        .splitter::<splitters::HekaFramingSplitter>()
        .splitter::<splitters::NullSplitter>()
        .splitter::<splitters::PatternGroupingSplitter>()
        .splitter::<splitters::RegexSplitter>()
        .splitter::<splitters::TokenSplitter>()
        .planned(&PLANNED);
    #[cfg(feature = "http")]
    registry
        .input::<inputs::HttpListenInput>()
        .output::<outputs::HttpOutput>()
        .output::<outputs::MetricsOutput>();
    registry
}

/// Plugins of heka that do not exist here yet.
const PLANNED: [&str; 31] = [
    "AMQPInput",
    "AMQPOutput",
    "DashboardOutput",
    "DockerEventInput",
    "DockerLogInput",
    "DockerStatsInput",
    "ElasticSearchOutput",
    "FilePollingInput",
    "GeoIpDecoder",
    "HttpInput",
    "IrcOutput",
    "KafkaInput",
    "KafkaOutput",
    "NagiosOutput",
    "PayloadXmlDecoder",
    "ProcessDirectoryInput",
    "ProcessInput",
    "SandboxDecoder",
    "SandboxEncoder",
    "SandboxFilter",
    "SandboxInput",
    "SandboxManagerFilter",
    "SandboxOutput",
    "SmtpOutput",
    "StatsToFieldsDecoder",
    "WhisperOutput",
    "HttpSimpleInput",
    "CloudwatchInput",
    "CloudwatchOutput",
    "S3SplitFileInput",
    "S3OffsetInput",
];
