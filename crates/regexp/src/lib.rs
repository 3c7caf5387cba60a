#![doc = include_str!("../README.md")]

mod analysis;
mod captures;
mod class;
mod error;
mod escape;
mod matcher;
mod parser;
mod regex;
mod search;
mod template;

pub use captures::Captures;
pub use error::{Error, ErrorKind};
pub use escape::quote_meta;
pub use regex::{Groups, Limits, Regex};
