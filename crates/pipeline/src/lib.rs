#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! - [`message`]: heka's message and its frames, byte for byte.
//! - [`matcher`]: the language in which consumers say what they want.
//! - [`flow`]: batches, queues in memory and on disk, routes, and the way
//!   back of acknowledgements.
//! - [`plugin`]: the six traits, what plugins are given, the registry.
//! - [`config`]: TOML to a checked [`config::Plan`].
//! - [`topology`]: a plan that runs, reloads and stops.
//! - [`plugins`]: what comes with the crate; [`stat`] and [`timefmt`] are
//!   what several of them share.

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
