//! The plugins that come with this crate.

pub mod decoders;
pub mod encoders;
pub mod splitters;
mod template;

use crate::plugin::Registry;

/// A registry of all plugins of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .decoder::<decoders::MultiDecoder>()
        .decoder::<decoders::PayloadRegexDecoder>()
        .decoder::<decoders::ProtobufDecoder>()
        .decoder::<decoders::ScribbleDecoder>()
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
    registry
}

/// Plugins of heka that do not exist here yet.
const PLANNED: [&str; 35] = [
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
    "UdpOutput",
    "CarbonOutput",
    "HttpOutput",
    "TcpOutput",
];
