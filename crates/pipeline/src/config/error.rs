//! Faults of a configuration, with their place.

use std::fmt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// One fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub struct ConfigError {
    /// The file, if the fault is in one.
    pub file: Option<PathBuf>,
    /// Line and column from 1, the column in characters.
    pub place: Option<(usize, usize)>,
    /// The plugin's section, if it is in one.
    pub section: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl ConfigError {
    pub(crate) fn new(message: impl Into<String>) -> ConfigError {
        ConfigError {
            file: None,
            place: None,
            section: None,
            message: message.into(),
        }
    }

    pub(crate) fn in_section(mut self, name: &str) -> ConfigError {
        self.section = Some(name.to_owned());
        self
    }

    pub(crate) fn at(mut self, source: &Source, offset: usize) -> ConfigError {
        self.file = Some(source.path.clone());
        self.place = Some(source.place(offset));
        self
    }

    pub(crate) fn of_file(mut self, path: &Path) -> ConfigError {
        self.file = Some(path.to_owned());
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}", file.display())?;
            if let Some((line, column)) = self.place {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if let Some(section) = &self.section {
            write!(f, "[{section}] ")?;
        }
        f.write_str(&self.message)
    }
}

/// All faults found. They are collected so that one run shows them all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> ConfigErrors {
        ConfigErrors(vec![error])
    }
}

/// A file of a configuration, variables replaced.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        (line, before[line_start..].chars().count() + 1)
    }
}
