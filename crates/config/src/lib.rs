#![doc = include_str!("../README.md")]

mod alerting;
mod config;
mod environment;
mod global;
mod names;
mod otlp;
mod paths;
mod protocol;
mod relabel;
mod remote;
mod rules;
mod scrape;
mod sections;
mod storage;
mod tracing;

pub use alerting::{AlertingConfig, AlertmanagerApi, AlertmanagerConfig};
pub use config::{Config, Options};
pub use global::{GlobalConfig, RuntimeConfig};
pub use names::{Escaping, Scheme, Validation};
pub use otlp::{OtlpConfig, TranslationStrategy};
pub use paths::expand;
pub use protocol::{Protocols, ScrapeProtocol};
pub use relabel::{RelabelAction, RelabelConfig, RelabelConfigs};
pub use remote::{
    AzureAdConfig, AzureIdentity, AzureOAuth, AzureSdk, AzureWorkload, GoogleIamConfig,
    MetadataConfig, QueueConfig, RemoteReadConfig, RemoteWriteConfig, RemoteWriteMessage,
    SigV4Config,
};
pub use rules::{Rule, RuleChecks, RuleFile, RuleGroup, TextCheck};
pub use scrape::ScrapeConfig;
pub use sections::Sections;
pub use storage::{
    ChunkEncodingConfig, ExemplarsConfig, FloatEncoding, RetentionConfig, StorageConfig, TsdbConfig,
};
pub use tracing::{TracingClient, TracingCompression, TracingConfig};

pub use headwater_discovery::{DiscoveryConfigs, FileSdConfig, StaticConfig};
pub use headwater_http::{HttpClientConfig, TlsConfig, WebConfig};
pub use headwater_yaml::{Duration, Error, Placed, Position, Size};
