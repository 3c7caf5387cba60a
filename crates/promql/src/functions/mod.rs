//! The functions: their types, and one file a family with what they compute.

mod table;

pub use table::{FUNCTIONS, Function, FunctionId, function};
