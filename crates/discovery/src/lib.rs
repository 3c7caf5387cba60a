#![doc = include_str!("../README.md")]

mod config;

pub use config::{
    DiscoveryConfigs, DnsSdConfig, FileSdConfig, HttpSdConfig, NOT_BUILT, StaticConfig,
};
