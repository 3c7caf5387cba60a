//! Finding series in a block.

use headwater_blockfmt::DecodeError;
use headwater_blockfmt::index::Postings;
use headwater_model::{MatchOp, Matcher};
use headwater_storage::{Error, ErrorKind, Result};
use roaring::RoaringBitmap;

use super::Block;

impl Block {
    /// The references of the series that fulfil all matchers.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Result<RoaringBitmap> {
        let found = self.find(matchers);
        found.map_err(|e| {
            let path = self.dir.join("index");
            let message = format!("{} is damaged: {e}", path.display());
            Error::new(ErrorKind::Corrupt, message).at_path(path)
        })
    }

    fn find(&self, matchers: &[Matcher]) -> Result<RoaringBitmap, DecodeError> {
        // Matchers that the empty value does not fulfil narrow the search,
        // so they come first; the others take away from what is found.
        let (absent, present): (Vec<&Matcher>, Vec<&Matcher>) =
            matchers.iter().partition(|m| m.matches_empty());
        let mut found: Option<RoaringBitmap> = None;
        for matcher in present {
            let set = self.with_values(matcher, true)?;
            found = Some(match found {
                Some(found) => found & set,
                None => set,
            });
            if found.as_ref().is_some_and(RoaringBitmap::is_empty) {
                return Ok(RoaringBitmap::new());
            }
        }
        let mut found = match found {
            Some(found) => found,
            None => collect(self.index.all_postings()?),
        };
        for matcher in absent {
            found -= self.with_values(matcher, false)?;
        }
        Ok(found)
    }

    /// The series with a value of the matcher's label whose match has this
    /// outcome.
    fn with_values(&self, matcher: &Matcher, outcome: bool) -> Result<RoaringBitmap, DecodeError> {
        let (name, value) = (matcher.name.as_str(), matcher.value.as_str());
        let equal = match matcher.op {
            MatchOp::Equal => outcome,
            MatchOp::NotEqual => !outcome,
            MatchOp::Regex | MatchOp::NotRegex => return self.with_regex(matcher, outcome),
        };
        match (equal, value.is_empty()) {
            (true, true) => Ok(RoaringBitmap::new()),
            (true, false) => Ok(collect(self.index.postings(name, value)?)),
            (false, _) => self.union(name, "", |candidate| candidate != value),
        }
    }

    fn with_regex(&self, matcher: &Matcher, outcome: bool) -> Result<RoaringBitmap, DecodeError> {
        let name = matcher.name.as_str();
        let Some(regex) = matcher.regex() else {
            return Ok(RoaringBitmap::new());
        };
        let wants_match = outcome == (matcher.op == MatchOp::Regex);
        match (regex.literal_set(), wants_match) {
            (Some(set), true) => {
                let mut out = RoaringBitmap::new();
                for value in set.iter().filter(|value| !value.is_empty()) {
                    out |= collect(self.index.postings(name, value)?);
                }
                Ok(out)
            }
            (None, true) => self.union(name, regex.prefix(), |value| regex.is_match(value)),
            (_, false) => self.union(name, "", |value| !regex.is_match(value)),
        }
    }

    /// The series with a value that starts with `prefix` and is wanted.
    fn union(
        &self,
        name: &str,
        prefix: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<RoaringBitmap, DecodeError> {
        let mut out = RoaringBitmap::new();
        let mut values = self.index.label_values_from(name, prefix);
        let mut past_prefix = false;
        loop {
            let next = values.next_postings_if(|value| {
                past_prefix = !value.starts_with(prefix);
                past_prefix || wanted(value)
            });
            match next {
                Some((_, postings)) if !past_prefix => out |= collect(postings?),
                _ => return Ok(out),
            }
        }
    }
}

pub(crate) fn collect(postings: Postings<'_>) -> RoaringBitmap {
    RoaringBitmap::from_sorted_iter(postings.iter()).unwrap_or_else(|_| postings.iter().collect())
}
