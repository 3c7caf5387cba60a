//! The language as text and as trees: lexer, parser, type check, printers.

pub mod ast;
mod check;
pub mod error;
pub mod json;
mod lex;
pub mod parse;
pub mod position;
pub mod pretty;
mod print;
mod token;
