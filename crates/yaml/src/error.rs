//! Where in a file, and what is wrong there.

use std::fmt;
use std::path::{Path, PathBuf};

/// What is wrong with a document, and where. The person who wrote the file can mend it.
#[derive(Debug)]
pub struct Error {
    path: Option<PathBuf>,
    position: Option<Position>,
    message: String,
    source: Option<std::io::Error>,
}

/// A place in a text, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The character in the line.
    pub column: u64,
}

impl Error {
    /// An error about the document as a whole.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            path: None,
            position: None,
            message: message.into(),
            source: None,
        }
    }

    /// The file could not be read.
    #[must_use]
    pub fn unreadable(path: &Path, source: std::io::Error) -> Self {
        let mut error = Self::new(format!("cannot be read: {source}")).in_file(path);
        error.source = Some(source);
        error
    }

    /// Adds the file the document came from, if none is known yet.
    #[must_use]
    pub fn in_file(mut self, path: &Path) -> Self {
        self.path.get_or_insert_with(|| path.to_path_buf());
        self
    }

    /// The same place, other words.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    pub(crate) fn at(mut self, position: Option<Position>) -> Self {
        self.position = position;
        self
    }

    /// The file, if the document came from one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The place in the text, if the error has one.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.display())?;
        }
        if let Some(Position { line, column }) = self.position {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
