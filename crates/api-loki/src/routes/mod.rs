//! The routes, a file for each group.

pub(crate) mod detected_fields;
pub(crate) mod detected_labels;
pub(crate) mod format;
pub(crate) mod index;
pub(crate) mod labels;
pub(crate) mod operators;
pub(crate) mod patterns;
pub(crate) mod push;
pub(crate) mod query;
pub(crate) mod range;
pub(crate) mod ring;
pub(crate) mod tail;
