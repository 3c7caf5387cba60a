//! The functions: their types, and one file a family with what they compute.

pub(crate) mod buckets;
pub(crate) mod date;
pub(crate) mod math;
pub(crate) mod over;
mod table;

pub use table::{FUNCTIONS, Function, FunctionId, function};
