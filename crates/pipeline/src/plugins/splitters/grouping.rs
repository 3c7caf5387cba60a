//! Lines, some of which belong together.

use headwater_regexp::Regex;
use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Found, Plugin, Splitter};

/// Settings of [`PatternGroupingSplitter`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PatternGroupingSplitterSettings {
    /// What ends a line; it stays part of it.
    pub delimiter: String,
    /// Lines that match belong to one record, if they follow each other.
    pub grouping: String,
    /// Most lines of a record.
    pub max_lines: usize,
}

impl Default for PatternGroupingSplitterSettings {
    fn default() -> PatternGroupingSplitterSettings {
        PatternGroupingSplitterSettings {
            delimiter: "\n".to_owned(),
            grouping: String::new(),
            max_lines: 99,
        }
    }
}

/// Joins consecutive lines that match a pattern into one record: the lines
/// of a stack trace.
///
/// A group ends with the first line that does not match, so it is returned
/// when that line has come, or when the stream ends or pauses.
#[derive(Debug)]
pub struct PatternGroupingSplitter {
    delimiter: Regex,
    grouping: Regex,
    max_lines: usize,
}

impl Plugin for PatternGroupingSplitter {
    const TYPE: &'static str = "PatternGroupingSplitter";
    type Settings = PatternGroupingSplitterSettings;

    fn build(
        settings: &PatternGroupingSplitterSettings,
        _: &BuildContext<'_>,
    ) -> Result<PatternGroupingSplitter, BuildError> {
        Ok(PatternGroupingSplitter {
            delimiter: Regex::new(&settings.delimiter).map_err(BuildError::new)?,
            grouping: Regex::new(&settings.grouping).map_err(BuildError::new)?,
            max_lines: settings.max_lines.max(1),
        })
    }
}

impl PatternGroupingSplitter {
    /// Where the line that starts at `from` ends, its delimiter included.
    fn line_end(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let found = self.delimiter.find_bytes(&bytes[from..])?;
        (found.end > 0).then_some(from + found.end)
    }
}

impl Splitter for PatternGroupingSplitter {
    fn find(&mut self, bytes: &[u8], end: bool) -> Found {
        let record = |end| Found::Record {
            start: 0,
            end,
            next: end,
        };
        let mut grouped = 0;
        for lines in 0.. {
            let Some(line_end) = self.line_end(bytes, grouped) else {
                // The group so far is whole if nothing more will come.
                return if end && grouped > 0 {
                    record(grouped)
                } else {
                    Found::More { discard: 0 }
                };
            };
            let belongs = self.grouping.is_match_bytes(&bytes[grouped..line_end]);
            match (belongs, lines) {
                (false, 0) => return record(line_end),
                (false, _) => return record(grouped),
                (true, _) if lines + 1 >= self.max_lines => return record(line_end),
                (true, _) => grouped = line_end,
            }
        }
        Found::More { discard: 0 }
    }
}
