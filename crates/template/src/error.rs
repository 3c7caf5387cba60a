//! Errors of parsing and executing, worded as Go words them.

/// Why a template could not be parsed or executed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a template: fix the text. Carries Go's message,
    /// `template: name:line: ...`.
    #[error("{0}")]
    Parse(String),
    /// The template failed on this data. Carries Go's message,
    /// `template: name:line:col: executing "name" at <...>: ...`.
    #[error("{0}")]
    Execute(String),
    /// A bound of [`Limits`](crate::Limits) was reached; says which one.
    #[error("{0}")]
    Limit(String),
}
