//! What can be told about a pattern without running it.
//!
//! The findings only concern anchored patterns: which exact texts they match, and which
//! literals and gaps they consist of.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most texts that a product of alternatives may grow to, as `[ab][cd]` grows to four.
const MAX_PRODUCT: usize = 256;
/// Most texts of a set written out as alternatives.
const MAX_SET: usize = 16_384;

/// All texts that the pattern matches, sorted and without repetition, if it is a finite set
/// within the bounds above.
pub(crate) fn literal_set(hir: &Hir) -> Option<Vec<String>> {
    let mut set = texts(hir)?
        .into_iter()
        .map(String::from_utf8)
        .collect::<Result<Vec<_>, _>>()
        .ok()?;
    set.sort_unstable();
    set.dedup();
    Some(set)
}

fn texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![Vec::new()]),
        HirKind::Literal(literal) => Some(vec![literal.0.to_vec()]),
        HirKind::Class(Class::Unicode(class)) => {
            let count: usize = class.iter().map(|range| range.len()).sum();
            (count <= MAX_PRODUCT).then(|| {
                let chars = class.iter().flat_map(|range| range.start()..=range.end());
                chars.map(|c| c.to_string().into_bytes()).collect()
            })
        }
        HirKind::Capture(capture) => texts(&capture.sub),
        HirKind::Repetition(repetition) if (repetition.min, repetition.max) == (0, Some(1)) => {
            let mut found = texts(&repetition.sub)?;
            found.push(Vec::new());
            Some(found)
        }
        HirKind::Repetition(repetition) if repetition.max == Some(repetition.min) => {
            // Go allows a thousand repetitions, of which the product soon exceeds its bound.
            let sub = texts(&repetition.sub)?;
            (0..repetition.min).try_fold(vec![Vec::new()], |found, _| product(found, &sub))
        }
        HirKind::Concat(parts) => parts.iter().try_fold(vec![Vec::new()], |found, part| {
            product(found, &texts(part)?)
        }),
        HirKind::Alternation(branches) => {
            let mut found = Vec::new();
            for branch in branches {
                found.extend(texts(branch)?);
                if found.len() > MAX_SET {
                    return None;
                }
            }
            Some(found)
        }
        _ => None,
    }
}

/// Every text of `heads` followed by every one of `tails`.
fn product(mut heads: Vec<Vec<u8>>, tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if let [tail] = tails {
        heads.iter_mut().for_each(|head| head.extend(tail));
        return Some(heads);
    }
    if heads.len() * tails.len() > MAX_PRODUCT && heads.len() > 1 {
        return None;
    }
    Some(
        heads
            .iter()
            .flat_map(|head| {
                tails
                    .iter()
                    .map(move |tail| [head.as_slice(), tail].concat())
            })
            .collect(),
    )
}

/// One piece of a pattern that consists of literals and gaps only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Literal(Vec<u8>),
    /// `.*` or `.+`.
    Gap(Gap),
}

/// Any text, of at least one character if `min_one`; without line feeds unless `line_feeds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) min_one: bool,
    pub(crate) line_feeds: bool,
}

/// The pieces, if there is nothing else in the pattern.
pub(crate) fn pieces(hir: &Hir) -> Option<Vec<Piece>> {
    top_level(hir).into_iter().map(piece).collect()
}

fn piece(hir: &Hir) -> Option<Piece> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(Piece::Literal(literal.0.to_vec())),
        HirKind::Capture(capture) => piece(&capture.sub),
        _ => gap(hir).map(Piece::Gap),
    }
}

/// Recognises `.*` and `.+`, also within groups.
pub(crate) fn gap(hir: &Hir) -> Option<Gap> {
    match hir.kind() {
        HirKind::Capture(capture) => gap(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min <= 1 && repetition.max.is_none() => {
            Some(Gap {
                min_one: repetition.min == 1,
                line_feeds: dot(&repetition.sub)?,
            })
        }
        _ => None,
    }
}

/// Whether it is a dot, and then whether it matches a line feed.
fn dot(hir: &Hir) -> Option<bool> {
    let HirKind::Class(Class::Unicode(class)) = hir.kind() else {
        return None;
    };
    match class.ranges() {
        [all] => (all.start() == '\0' && all.end() == char::MAX).then_some(true),
        [low, high] => (low.start() == '\0'
            && low.end() == '\x09'
            && high.start() == '\x0b'
            && high.end() == char::MAX)
            .then_some(false),
        _ => None,
    }
}

/// The parts of a concatenation, or the pattern as its only part.
pub(crate) fn top_level(hir: &Hir) -> Vec<&Hir> {
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().collect(),
        HirKind::Capture(capture) => top_level(&capture.sub),
        HirKind::Empty => Vec::new(),
        _ => vec![hir],
    }
}

/// The literal that every match begins with.
pub(crate) fn prefix(hir: &Hir) -> Vec<u8> {
    let mut prefix = Vec::new();
    for part in top_level(hir) {
        match piece(part) {
            Some(Piece::Literal(literal)) => prefix.extend(literal),
            _ => break,
        }
    }
    prefix
}

/// The longest literal that stands in every match; empty if there is none.
pub(crate) fn required(hir: &Hir) -> Vec<u8> {
    let mut best = Vec::new();
    let mut keep = |found: &mut Vec<u8>| {
        if found.len() > best.len() {
            best = std::mem::take(found);
        }
        found.clear();
    };
    // Literals that follow each other are one.
    let mut run = Vec::new();
    for part in top_level(hir) {
        if let Some(Piece::Literal(literal)) = piece(part) {
            run.extend(literal);
            continue;
        }
        keep(&mut run);
        match part.kind() {
            HirKind::Repetition(repetition) if repetition.min > 0 => {
                keep(&mut required(&repetition.sub))
            }
            HirKind::Capture(capture) => keep(&mut required(&capture.sub)),
            _ => {}
        }
    }
    keep(&mut run);
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parser::{Flags, parse};

    fn hir(pattern: &str) -> Hir {
        parse(
            pattern,
            Flags {
                dot_nl: true,
                ..Flags::default()
            },
        )
        .expect(pattern)
        .hir
    }

    #[test]
    fn finite_patterns_are_sets() {
        for (pattern, set) in [
            ("", vec![""]),
            ("a", vec!["a"]),
            ("foo|bar|foo", vec!["bar", "foo"]),
            ("fo(o|a)|b[ax]r", vec!["bar", "bxr", "foa", "foo"]),
            ("ab?", vec!["a", "ab"]),
            ("x{3}", vec!["xxx"]),
            ("(?i)ab", vec!["AB", "Ab", "aB", "ab"]),
            (r"a\.b|\Qc*\E", vec!["a.b", "c*"]),
        ] {
            assert_eq!(
                literal_set(&hir(pattern)),
                Some(set.iter().map(|s| s.to_string()).collect()),
                "{pattern}"
            );
        }
    }

    #[test]
    fn endless_or_large_patterns_are_not() {
        for pattern in ["a*", "a.", "[a-z]{3}", r"\bfoo", "^a", "[^a]", "(ab|cd){9}"] {
            assert_eq!(literal_set(&hir(pattern)), None, "{pattern}");
        }
    }

    #[test]
    fn literals_and_gaps_are_pieces() {
        let any = Piece::Gap(Gap {
            min_one: false,
            line_feeds: true,
        });
        let some = Piece::Gap(Gap {
            min_one: true,
            line_feeds: true,
        });
        let literal = |text: &str| Piece::Literal(text.into());
        assert_eq!(
            pieces(&hir("foo.*bar")),
            Some(vec![literal("foo"), any.clone(), literal("bar")])
        );
        assert_eq!(
            pieces(&hir("(.*)x(.+?)")),
            Some(vec![any, literal("x"), some])
        );
        assert_eq!(
            pieces(&hir("(?-s:.*)")),
            Some(vec![Piece::Gap(Gap {
                min_one: false,
                line_feeds: false
            })])
        );
        assert_eq!(pieces(&hir("foo.")), None);
        assert_eq!(prefix(&hir("foo(bar)[xy].*")), b"foobar");
    }

    #[test]
    fn literals_that_every_match_holds() {
        for (pattern, literal) in [
            (
                "payment [0-9]+ refused: card (expired|stolen)",
                " refused: card ",
            ),
            ("abc", "abc"),
            ("a(bc)d[x]?e", "abcd"),
            ("x*(longer)+y", "longer"),
            ("(?i)abc", ""),
            ("abc|abd", ""),
            ("foo|bar", ""),
            ("(foo)?", ""),
            ("(x(inner)[0-9])", "xinner"),
            ("", ""),
        ] {
            let found = required(&hir(pattern));
            assert_eq!(String::from_utf8(found).unwrap(), literal, "{pattern}");
        }
    }
}
