//! Settings.

mod nearest;

pub use nearest::nearest;
