#![doc = include_str!("../README.md")]

pub mod config;
mod event;
pub mod flow;
pub mod matcher;
pub mod message;
pub mod plugin;
pub mod plugins;
pub mod stat;
pub mod timefmt;
pub mod topology;

pub use event::{Body, Event};

#[cfg(feature = "golden")]
pub mod golden;
