#![doc = include_str!("../README.md")]

pub mod ast;
mod check;
mod error;
mod exec;
mod lex;
mod parse;
mod pretty;
mod print;
mod units;

pub use ast::Expr;
pub use error::ParseError;
pub use parse::{parse, parse_selector, parse_unchecked};
