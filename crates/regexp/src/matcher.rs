//! Ways to decide whether an anchored pattern matches, cheapest first.

use hashbrown::HashSet;
use memchr::memmem::Finder;

use crate::analysis::{Gap, Piece};

/// Up to so many texts are compared one by one; more go into a hash set.
const SMALL_SET: usize = 8;

/// A decision that needs no automaton.
#[derive(Debug)]
pub(crate) enum Fast {
    /// One of a few texts.
    FewTexts(Vec<String>),
    /// One of many texts, none longer than the second field says.
    ManyTexts(HashSet<String>, usize),
    /// Literals with gaps between them.
    Glob(Glob),
}

impl Fast {
    pub(crate) fn from_set(set: &[String]) -> Self {
        if set.len() <= SMALL_SET {
            return Self::FewTexts(set.to_vec());
        }
        let longest = set.iter().map(String::len).max().unwrap_or(0);
        Self::ManyTexts(set.iter().cloned().collect(), longest)
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::FewTexts(set) => set.iter().any(|s| s.as_bytes() == text),
            Self::ManyTexts(set, longest) => {
                text.len() <= *longest
                    && std::str::from_utf8(text).is_ok_and(|text| set.contains(text))
            }
            Self::Glob(glob) => glob.is_match(text),
        }
    }
}

/// A pattern such as `foo.*bar.+`: a prefix, literals anywhere in order, a suffix.
///
/// Taking each literal at its leftmost place is enough: whatever follows can only gain room.
#[derive(Debug)]
pub(crate) struct Glob {
    prefix: Vec<u8>,
    /// Each literal behind its least distance (in bytes) to what precedes it.
    middle: Vec<(usize, Finder<'static>)>,
    /// Least distance from the last literal to the suffix.
    tail_gap: usize,
    suffix: Vec<u8>,
}

impl Glob {
    /// `None` if there is no gap, or a gap that minds line feeds.
    pub(crate) fn from_pieces(pieces: &[Piece]) -> Option<Self> {
        let mut prefix = Vec::new();
        let mut middle = Vec::new();
        let mut gap = None;
        let mut literal = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Literal(bytes) => literal.extend_from_slice(bytes),
                Piece::Gap(Gap {
                    line_feeds: false, ..
                }) => return None,
                Piece::Gap(Gap { min_one, .. }) => {
                    let bytes = std::mem::take(&mut literal);
                    match gap.take() {
                        None => prefix = bytes,
                        Some(before) if bytes.is_empty() => {
                            gap = Some(before + usize::from(*min_one));
                            continue;
                        }
                        Some(before) => middle.push((before, Finder::new(&bytes).into_owned())),
                    }
                    gap = Some(usize::from(*min_one));
                }
            }
        }
        Some(Self {
            prefix,
            middle,
            tail_gap: gap?,
            suffix: literal,
        })
    }

    fn is_match(&self, text: &[u8]) -> bool {
        // An empty vector points nowhere, and comparing nothing with nowhere is slow on machines
        // whose memcmp loads through masks: some 200 ns instead of one.
        let mut text = text;
        if !self.prefix.is_empty() {
            let Some(rest) = text.strip_prefix(self.prefix.as_slice()) else {
                return false;
            };
            text = rest;
        }
        if !self.suffix.is_empty() {
            let Some(rest) = text.strip_suffix(self.suffix.as_slice()) else {
                return false;
            };
            text = rest;
        }
        for (gap, finder) in &self.middle {
            let Some(behind) = skip_chars(text, *gap) else {
                return false;
            };
            let Some(at) = finder.find(behind) else {
                return false;
            };
            text = &behind[at + finder.needle().len()..];
        }
        skip_chars(text, self.tail_gap).is_some()
    }
}

/// The text without its first `count` characters, if it has so many.
fn skip_chars(text: &[u8], count: usize) -> Option<&[u8]> {
    (0..count).try_fold(text, |text, _| {
        let continuation = text
            .get(1..)?
            .iter()
            .take_while(|b| (0x80..0xc0).contains(*b))
            .count();
        Some(&text[1 + continuation.min(3)..])
    })
}
