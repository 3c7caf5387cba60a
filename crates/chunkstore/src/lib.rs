#![doc = include_str!("../README.md")]

pub mod part;

pub use part::{Part, PartError, PartOptions, PartWriter};
