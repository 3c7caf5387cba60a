//! Records between matches of a regular expression.

use headwater_regexp::{Groups, Regex};
use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Found, Plugin, Splitter};

/// Settings of [`RegexSplitter`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RegexSplitterSettings {
    /// What lies between records. Without a group it belongs to none.
    pub delimiter: String,
    /// Whether the group ends the record before it or starts the next one.
    pub delimiter_eol: bool,
}

impl Default for RegexSplitterSettings {
    fn default() -> RegexSplitterSettings {
        RegexSplitterSettings {
            delimiter: "\n".to_owned(),
            delimiter_eol: true,
        }
    }
}

/// Cuts at matches of a regular expression. What its group matches stays
/// with the record before or behind it.
///
/// A match that more bytes could make longer is not believed until they are
/// there or the stream ends or pauses.
#[derive(Debug)]
pub struct RegexSplitter {
    delimiter: Regex,
    eol: bool,
    /// Every match has the same length and looks at nothing behind itself,
    /// so it is final when found.
    fixed: bool,
    groups: Groups,
}

impl Plugin for RegexSplitter {
    const TYPE: &'static str = "RegexSplitter";
    type Settings = RegexSplitterSettings;

    fn build(
        settings: &RegexSplitterSettings,
        _: &BuildContext<'_>,
    ) -> Result<RegexSplitter, BuildError> {
        let delimiter = Regex::new(&settings.delimiter).map_err(BuildError::new)?;
        if delimiter.group_count() > 2 {
            let text = format!(
                "regex must not contain more than one capture group: {}",
                settings.delimiter
            );
            return Err(BuildError::new(text));
        }
        Ok(RegexSplitter {
            fixed: delimiter.is_fixed_length(),
            groups: delimiter.groups(),
            delimiter,
            eol: settings.delimiter_eol,
        })
    }
}

impl RegexSplitter {
    /// Where the delimiter and its group lie.
    fn delimiter(&mut self, bytes: &[u8]) -> Option<Delimiter> {
        if !self.delimiter.match_groups(bytes, &mut self.groups) {
            return None;
        }
        let whole = self.groups.range(0)?;
        Some(Delimiter {
            start: whole.start,
            end: whole.end,
            kept: self.groups.range(1),
        })
    }

    /// Whether more bytes could still change a match that ends at `stop`.
    fn is_open(&self, stop: usize, bytes: &[u8], end: bool) -> bool {
        stop == bytes.len() && !end && !self.fixed
    }

    /// The record starts with the `own` bytes of its delimiter: it ends with
    /// the next one.
    fn behind_own(&mut self, bytes: &[u8], own: usize, end: bool) -> Found {
        let rest = &bytes[own..];
        match self.delimiter(rest) {
            Some(next) if next.end > 0 && !self.is_open(next.end, rest, end) => Found::Record {
                start: 0,
                end: own + next.start,
                next: own + next.kept.map_or(next.end, |kept| kept.start),
            },
            _ => Found::More { discard: 0 },
        }
    }
}

impl Splitter for RegexSplitter {
    fn find(&mut self, bytes: &[u8], end: bool) -> Found {
        let Some(found) = self.delimiter(bytes) else {
            return Found::More { discard: 0 };
        };
        // An empty match at the start says nothing.
        if found.end == 0 || self.is_open(found.end, bytes, end) {
            return Found::More { discard: 0 };
        }
        let record = |end, next| Found::Record {
            start: 0,
            end,
            next,
        };
        match found.kept {
            None => record(found.start, found.end),
            Some(kept) if self.eol => record(kept.end, found.end),
            Some(kept) if kept.start > 0 => record(found.start, kept.start),
            Some(kept) => self.behind_own(bytes, kept.end, end),
        }
    }
}

/// Where a delimiter lies, and the part of it that stays with a record.
struct Delimiter {
    start: usize,
    end: usize,
    kept: Option<std::ops::Range<usize>>,
}
