#![doc = include_str!("../README.md")]

mod config;
#[cfg(any(feature = "file", feature = "http"))]
mod groups;
mod manager;
mod mechanism;
mod metrics;
mod provider;
mod providers;
mod throttle;

pub use config::{
    DiscoveryConfigs, DnsSdConfig, FileSdConfig, HttpSdConfig, NOT_BUILT, StaticConfig,
};
pub use manager::{Driver, Manager, ManagerSettings, TargetSets};
pub use mechanism::{CustomMechanism, DiscoveryError, Mechanism};
pub use metrics::Metrics;
pub use provider::{Provider, Running, Updates};
#[cfg(feature = "file")]
pub use providers::FileProvider;
pub use providers::StaticProvider;
pub use providers::{Refresh, Refreshed};
