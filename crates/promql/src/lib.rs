#![doc = include_str!("../README.md")]

mod annotation;
#[cfg(feature = "corpus")]
pub mod corpus;
mod engine;
mod exec;
pub mod functions;
#[cfg(feature = "corpus")]
pub mod golden;
mod options;
mod plan;
mod query_log;
pub mod syntax;

pub use engine::Engine;
pub use functions::{FUNCTIONS, Function, FunctionId, function};
pub use options::EngineOptions;
pub use query_log::QueryLog;
pub use syntax::ast::Expr;
pub use syntax::error::ParseError;
pub use syntax::json::to_json;
pub use syntax::parse::{ParseOptions, parse, parse_selector};
pub use syntax::pretty::prettify;
