#![doc = include_str!("../README.md")]

pub mod functions;
pub mod syntax;

pub use functions::{FUNCTIONS, Function, FunctionId, function};
pub use syntax::ast::Expr;
pub use syntax::error::ParseError;
pub use syntax::json::to_json;
pub use syntax::parse::{ParseOptions, parse, parse_selector};
pub use syntax::pretty::prettify;
