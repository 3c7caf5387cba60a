#![doc = include_str!("../README.md")]

pub mod ast;
mod check;
#[cfg(feature = "corpus")]
pub mod corpus;
mod error;
mod exec;
mod lex;
mod parse;
mod pipeline;
mod pretty;
mod print;
mod units;

pub use ast::Expr;
pub use error::ParseError;
pub use exec::{
    Engine, EngineLimits, Entry, LineSample, LogAnswer, LogQuery, LogStats, LogValue, Pairs,
    SampleSeries, Stream, Tail,
};
pub use parse::{parse, parse_selector, parse_unchecked};
