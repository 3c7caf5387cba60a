//! What is wrong with a pattern, in Go's words.

use std::fmt;

/// Why a pattern was refused.
///
/// The wording of each kind is the one of Go's `regexp/syntax`, because users and tests of
/// the systems Headwater stands in for know these texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// `[z-a]`, an unknown `[:name:]` or an unknown `\p{Name}`.
    InvalidCharRange,
    /// An escape that Go does not know, such as `\y` or `\C`.
    InvalidEscape,
    /// `(?P<name` without an end, or a name with other than word characters.
    InvalidNamedCapture,
    /// `(?=`, `(?!` and other Perl constructs outside RE2.
    InvalidPerlOp,
    /// `a**`: a repetition operator directly on another one.
    InvalidRepeatOp,
    /// A count above 1000, a reversed range, or nested counts whose product exceeds 1000.
    InvalidRepeatSize,
    /// The pattern is not valid UTF-8 (only from [`Regex::from_bytes`](crate::Regex::from_bytes)).
    InvalidUtf8,
    /// `[` without `]`.
    MissingBracket,
    /// `(` without `)`.
    MissingParen,
    /// `*` with nothing to repeat.
    MissingRepeatArgument,
    /// A backslash as last character.
    TrailingBackslash,
    /// `)` without `(`.
    UnexpectedParen,
    /// More than 1000 levels of nesting.
    NestingDepth,
    /// The compiled program exceeds [`Limits::program_bytes`](crate::Limits::program_bytes).
    TooLarge,
}

impl ErrorKind {
    /// Go's text for the kind.
    pub fn text(self) -> &'static str {
        match self {
            Self::InvalidCharRange => "invalid character class range",
            Self::InvalidEscape => "invalid escape sequence",
            Self::InvalidNamedCapture => "invalid named capture",
            Self::InvalidPerlOp => "invalid or unsupported Perl syntax",
            Self::InvalidRepeatOp => "invalid nested repetition operator",
            Self::InvalidRepeatSize => "invalid repeat count",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::MissingBracket => "missing closing ]",
            Self::MissingParen => "missing closing )",
            Self::MissingRepeatArgument => "missing argument to repetition operator",
            Self::TrailingBackslash => "trailing backslash at end of expression",
            Self::UnexpectedParen => "unexpected )",
            Self::NestingDepth => "expression nests too deeply",
            Self::TooLarge => "expression too large",
        }
    }
}

/// A pattern that cannot be used. The caller has to fix the pattern.
///
/// Displays exactly as Go does: ``error parsing regexp: missing closing ): `(a` ``.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    part: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, part: impl Into<String>) -> Self {
        Self {
            kind,
            part: part.into(),
        }
    }

    /// What kind of mistake it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The part of the pattern that is wrong, as Go quotes it.
    pub fn part(&self) -> &str {
        &self.part
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "error parsing regexp: {}: `{}`",
            self.kind.text(),
            self.part
        )
    }
}

impl std::error::Error for Error {}
