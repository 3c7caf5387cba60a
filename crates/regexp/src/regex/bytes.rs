//! Matching bytes that may not be text, without allocating for each match.
//!
//! A byte that is not part of valid UTF-8 matches nothing here, not even a dot: offsets refer to
//! the bytes as they are. [`Regex::is_match_bytes`] has Go's reading of such bytes.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::util::captures;

use super::Regex;

/// Room for the groups of a match, made once by [`Regex::groups`] and filled again and again.
#[derive(Debug, Clone)]
pub struct Groups(captures::Captures);

impl Groups {
    /// Where a group matched. Group 0 is the whole match.
    pub fn range(&self, group: usize) -> Option<Range<usize>> {
        self.0.get_group(group).map(|span| span.start..span.end)
    }
}

impl Regex {
    /// Where the first match in `bytes` is.
    pub fn find_bytes(&self, bytes: &[u8]) -> Option<Range<usize>> {
        self.0.full().find(bytes).map(|found| found.range())
    }

    /// Room for the groups of a match of this pattern.
    pub fn groups(&self) -> Groups {
        Groups(self.0.full().create_captures())
    }

    /// Fills `groups`, made by [`Regex::groups`] of this pattern, with the first match in
    /// `bytes`. False if there is none.
    pub fn match_groups(&self, bytes: &[u8], groups: &mut Groups) -> bool {
        self.0
            .full()
            .search_captures(&Input::new(bytes), &mut groups.0);
        groups.0.is_match()
    }

    /// Whether all matches have one length and look at nothing around them, so that a match at
    /// the end of a stream's first bytes is the same whatever comes behind.
    pub fn is_fixed_length(&self) -> bool {
        let properties = self.0.hir.properties();
        properties.minimum_len() == properties.maximum_len() && properties.look_set().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_found_in_bytes_that_are_not_text() {
        let regex = Regex::new("(b+)(c)?").unwrap();
        let mut groups = regex.groups();
        assert!(regex.match_groups(b"\xffabb\xfe", &mut groups));
        assert_eq!(
            (groups.range(0), groups.range(1), groups.range(2)),
            (Some(2..4), Some(2..4), None)
        );
        assert!(!regex.match_groups(b"\xff", &mut groups));
        assert_eq!(regex.find_bytes(b"\xffb"), Some(1..2));
    }

    #[test]
    fn fixed_length_is_told_from_variable() {
        for (pattern, fixed) in [("\n", true), ("ab|cd", true), ("-+", false), ("a$", false)] {
            assert_eq!(
                Regex::new(pattern).unwrap().is_fixed_length(),
                fixed,
                "{pattern}"
            );
        }
    }
}
