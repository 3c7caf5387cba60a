#![doc = include_str!("../README.md")]

pub mod config;
mod event;
pub mod matcher;
pub mod message;

pub use event::{Body, Event};

#[cfg(feature = "golden")]
pub mod golden;
