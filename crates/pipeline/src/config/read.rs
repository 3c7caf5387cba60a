//! Files of TOML to sections with positions.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::env::interpolate;
use super::error::{ConfigError, ConfigErrors, Source};
use super::fields::fields_of;
use super::keys::quote_keys;
use super::nearest;

/// The text of a configuration: one file, or all `*.toml` of a directory.
#[derive(Debug, Clone)]
pub struct Config {
    sources: Vec<Source>,
}

impl Config {
    /// Reads a file, or the files of a directory in the order of their
    /// names. Variables of the environment are replaced.
    ///
    /// # Errors
    ///
    /// Files that cannot be read, and bad `%ENV[]`.
    pub fn read(path: &Path) -> Result<Config, ConfigErrors> {
        Config::read_with(path, &|name| std::env::var(name).ok())
    }

    /// Like [`Config::read`] with another environment.
    ///
    /// # Errors
    ///
    /// As [`Config::read`].
    pub fn read_with(
        path: &Path,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Config, ConfigErrors> {
        let mut sources = Vec::new();
        let mut errors = Vec::new();
        for file in files(path)? {
            match fs::read_to_string(&file) {
                Ok(text) => match replaced(file, text, env) {
                    Ok(source) => sources.push(source),
                    Err(error) => errors.push(error),
                },
                Err(error) => errors.push(ConfigError::new(error.to_string()).of_file(&file)),
            }
        }
        if errors.is_empty() {
            Ok(Config { sources })
        } else {
            Err(ConfigErrors(errors))
        }
    }

    /// A configuration from text; `name` stands for the file in errors.
    ///
    /// # Errors
    ///
    /// Bad `%ENV[]`.
    pub fn from_text(name: &str, text: &str) -> Result<Config, ConfigErrors> {
        let env = |name: &str| std::env::var(name).ok();
        let source = replaced(PathBuf::from(name), text.to_owned(), &env)?;
        Ok(Config {
            sources: vec![source],
        })
    }

    pub(super) fn sources(&self) -> &[Source] {
        &self.sources
    }
}

fn replaced(
    path: PathBuf,
    text: String,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Source, ConfigError> {
    match interpolate(&text, env) {
        Ok(text) => Ok(Source {
            path,
            text: quote_keys(&text),
        }),
        Err(offset) => {
            let error =
                ConfigError::new("invalid characters in the name of a variable, or no ] behind it");
            Err(error.at(&Source { path, text }, offset))
        }
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |error: std::io::Error| ConfigError::new(error.to_string()).of_file(path);
    if !fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

/// One section, still as parsed, with the source it is from.
#[derive(Debug, Clone)]
pub(crate) struct SectionTable<'a> {
    pub(super) name: String,
    pub(super) source: &'a Source,
    pub(super) offset: usize,
    table: DeTable<'a>,
}

/// All sections of all files. A name that occurs twice is an error.
pub(super) fn sections(config: &Config) -> Result<Vec<SectionTable<'_>>, ConfigErrors> {
    let mut sections: Vec<SectionTable<'_>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut errors = Vec::new();
    for source in config.sources() {
        let table = match DeTable::parse(&source.text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                errors.push(toml_error(&error, source, 0));
                continue;
            }
        };
        let mut found: Vec<_> = table.into_iter().collect();
        found.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in found {
            let offset = key.span().start;
            let name = key.into_inner().into_owned();
            let DeValue::Table(table) = value.into_inner() else {
                let error = ConfigError::new(format!("{name} is not in a section"));
                errors.push(error.at(source, offset));
                continue;
            };
            let section = SectionTable {
                name,
                source,
                offset,
                table,
            };
            match places.get(&section.name) {
                Some(first) if section.name == "hekad" => {
                    merge_hekad(&mut sections[*first], section, &mut errors);
                }
                Some(first) => {
                    let before = sections[*first].source.path.display();
                    errors.push(section.error(format!("also defined in {before}")));
                }
                None => {
                    places.insert(section.name.clone(), sections.len());
                    sections.push(section);
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(sections)
    } else {
        Err(ConfigErrors(errors))
    }
}

/// `[hekad]` may be spread over files, each key once.
fn merge_hekad<'a>(
    first: &mut SectionTable<'a>,
    second: SectionTable<'a>,
    errors: &mut Vec<ConfigError>,
) {
    for (key, value) in second.table {
        if first.table.contains_key(&**key.get_ref()) {
            let error = ConfigError::new(format!("{} is set twice", key.get_ref()));
            errors.push(
                error
                    .in_section("hekad")
                    .at(second.source, key.span().start),
            );
        } else {
            first.table.insert(key, value);
        }
    }
}

pub(super) fn toml_error(error: &toml::de::Error, source: &Source, or_at: usize) -> ConfigError {
    let offset = error.span().map_or(or_at, |span| span.start);
    ConfigError::new(error.message()).at(source, offset)
}

impl<'a> SectionTable<'a> {
    pub(super) fn error(&self, message: impl Into<String>) -> ConfigError {
        ConfigError::new(message)
            .in_section(&self.name)
            .at(self.source, self.offset)
    }

    /// An error at the value of `key`.
    pub(super) fn error_at(&self, key: &str, message: impl Into<String>) -> ConfigError {
        let offset = self
            .table
            .get(key)
            .map_or(self.offset, |value| value.span().start);
        ConfigError::new(message)
            .in_section(&self.name)
            .at(self.source, offset)
    }

    /// The text of `key`, if it is a text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let (_, value) = self
            .table
            .iter()
            .find(|(name, _)| name.get_ref().eq_ignore_ascii_case(key))?;
        value.get_ref().as_str()
    }

    /// Spells the keys as `known` does, whose case does not matter, and
    /// finds those that are not known.
    pub(super) fn normalize(&mut self, known: &[&[&'static str]]) -> Vec<ConfigError> {
        let all = || known.iter().flat_map(|names| names.iter().copied());
        let mut errors = Vec::new();
        let mut table = DeTable::new();
        for (key, value) in std::mem::take(&mut self.table) {
            let spelled = all().find(|name| name.eq_ignore_ascii_case(key.get_ref()));
            if let Some(name) = spelled {
                table.insert(Spanned::new(key.span(), Cow::Borrowed(name)), value);
                continue;
            }
            let mut message = format!(
                "unknown config setting for '{}': {}",
                self.name,
                key.get_ref()
            );
            if let Some(hint) = hint(key.get_ref()) {
                message.push_str(&format!(" ({hint})"));
            } else if let Some(near) = nearest(key.get_ref(), all()) {
                message.push_str(&format!(" (did you mean {near}?)"));
            }
            let error = ConfigError::new(message).in_section(&self.name);
            errors.push(error.at(self.source, key.span().start));
        }
        self.table = table;
        errors
    }

    /// Whether there is a value at the end of these keys.
    pub(super) fn has(&self, path: &[&str]) -> bool {
        let Some((first, rest)) = path.split_first() else {
            return true;
        };
        let mut value = self.table.get(*first).map(Spanned::get_ref);
        for key in rest {
            value = match value {
                Some(DeValue::Table(table)) => table.get(*key).map(Spanned::get_ref),
                _ => None,
            };
        }
        value.is_some()
    }

    /// Reads those keys that `T` has into a `T`.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        let wanted = fields_of::<T>();
        let mut table = DeTable::new();
        for (key, value) in &self.table {
            if wanted.contains(&&**key.get_ref()) {
                table.insert(key.clone(), value.clone());
            }
        }
        let end = self.source.text.len();
        let value = Spanned::new(self.offset..end, DeValue::Table(table));
        T::deserialize(ValueDeserializer::from(value))
            .map_err(|error| toml_error(&error, self.source, self.offset).in_section(&self.name))
    }

    /// The content without positions, to compare sections with.
    pub(super) fn plain(&self) -> toml::Value {
        let value = Spanned::new(0..0, DeValue::Table(self.table.clone()));
        serde::Deserialize::deserialize(ValueDeserializer::from(value))
            .unwrap_or_else(|_| toml::Value::Table(toml::Table::new()))
    }
}

/// Keys of older versions of heka, and what took their place.
fn hint(key: &str) -> Option<&'static str> {
    Some(match key {
        "parser_type" | "delimiter" | "delimiter_location" => {
            "heka 0.9 moved this to a splitter: write a section with type = \"TokenSplitter\" or \
             \"RegexSplitter\" and name it in splitter"
        }
        "signer" => {
            "signers belong to the HekaFramingSplitter: write [HekaFramingSplitter.signer.name_0]"
        }
        "queue_max_buffer_size" => "this is max_buffer_size in the table buffering now",
        "queue_full_action" => "this is full_action in the table buffering now",
        "payload_only" => "give the output encoder = \"PayloadEncoder\" instead",
        _ => return None,
    })
}
