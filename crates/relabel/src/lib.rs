#![doc = include_str!("../README.md")]

mod config;
mod rule;

pub use config::{Action, Config, ConfigError, UnknownAction};
pub use rule::Rules;
