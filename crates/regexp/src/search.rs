//! A search whose program is built when it is first used.
//!
//! Most patterns of a server are read far more often than they are used: rules are parsed at each
//! reload, queries are formatted and taken apart for display. Building a program takes some hundred
//! microseconds and as many kilobytes, parsing a pattern takes one.

use std::sync::OnceLock;

use regex_automata::meta;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::Hir;

/// Patterns up to this length without counted repetition are certain to stay within any limit that
/// is not smaller than [`CERTAIN_BYTES`].
const CERTAIN_LENGTH: usize = 64;

/// A Unicode class is the largest program that a character of a pattern can stand for, and takes two
/// characters at least; this is room for a pattern of nothing else.
const CERTAIN_BYTES: usize = 8 << 20;

/// Searches for a pattern.
pub(crate) struct Search {
    hir: Option<Hir>,
    program: OnceLock<meta::Regex>,
}

impl Search {
    /// A search for `hir`, which was written as `pattern`; `None` if its program is larger than the limit.
    pub(crate) fn new(hir: Hir, pattern: &str, program_bytes: usize) -> Option<Self> {
        let certain = pattern.len() <= CERTAIN_LENGTH
            && !pattern.contains('{')
            && program_bytes >= CERTAIN_BYTES;
        if certain {
            return Some(Self {
                hir: Some(hir),
                program: OnceLock::new(),
            });
        }
        Some(Self {
            program: compile(&hir, Some(program_bytes))?.into(),
            hir: None,
        })
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        let program = self.program.get_or_init(|| {
            let built = self.hir.as_ref().and_then(|hir| compile(hir, None));
            built.unwrap_or_else(never)
        });
        program.is_match(Input::new(text).anchored(Anchored::No))
    }

    /// Whether the empty text matches; the shortest match says so unless there are assertions.
    pub(crate) fn matches_empty(&self) -> bool {
        match &self.hir {
            Some(hir) if hir.properties().minimum_len().is_some_and(|len| len > 0) => false,
            _ => self.is_match(b""),
        }
    }
}

/// The program of a pattern, if it is not larger than the limit.
pub(crate) fn compile(hir: &Hir, program_bytes: Option<usize>) -> Option<meta::Regex> {
    let config = meta::Config::new().nfa_size_limit(program_bytes);
    meta::Builder::new()
        .configure(config)
        .build_from_hir(hir)
        .ok()
}

/// A searcher that finds nothing: what is left when regex-automata refuses a program that is
/// larger than its own numbers can address.
pub(crate) fn never() -> meta::Regex {
    meta::Regex::builder()
        .build_many::<&str>(&[])
        .unwrap_or_else(|_| unreachable!("no pattern always compiles"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_classes_stay_within_the_limit() {
        for class in ["\\W", "\\pL", "\\PN", "[^a]"] {
            let pattern = class.repeat(CERTAIN_LENGTH / class.len());
            let hir = regex_syntax::parse(&pattern).unwrap();
            assert!(compile(&hir, Some(CERTAIN_BYTES)).is_some(), "{pattern}");
        }
    }

    #[test]
    fn programs_are_built_when_they_are_used() {
        let hir = regex_syntax::parse("^5..$").unwrap();
        let search = Search::new(hir, "5..", 16 << 20).unwrap();
        assert!(!search.matches_empty());
        assert!(search.program.get().is_none());
        assert!(search.is_match(b"503"));
        assert!(search.program.get().is_some());
    }
}
