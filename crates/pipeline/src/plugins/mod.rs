//! The plugins that come with this crate.

pub mod splitters;

use crate::plugin::Registry;

/// A registry of all plugins of this crate.
pub fn registry() -> Registry {
    let mut registry = Registry::new();
    registry
        .splitter::<splitters::HekaFramingSplitter>()
        .splitter::<splitters::NullSplitter>()
        .splitter::<splitters::PatternGroupingSplitter>()
        .splitter::<splitters::RegexSplitter>()
        .splitter::<splitters::TokenSplitter>()
        .planned(&PLANNED);
    registry
}

/// Plugins of heka that do not exist here yet.
const PLANNED: [&str; 36] = [
    "AMQPInput",
    "AMQPOutput",
    "DashboardOutput",
    "DockerEventInput",
    "DockerLogInput",
    "DockerStatsInput",
    "ElasticSearchOutput",
    "ESLogstashV0Encoder",
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
