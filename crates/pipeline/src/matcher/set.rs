//! All matchers of a route table as one: which of them want this message?
//!
//! Most matchers demand a certain `Type`. Those are found with one look-up
//! and only they are evaluated, so an output that never matches costs next
//! to nothing.

use hashbrown::HashMap;

use crate::event::Event;

use super::Matcher;
use super::lex::{Op, TextVar};
use super::parse::{Expr, TextTest};

/// The indexes of the matchers that match a message, as a set of bits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hits(Vec<u64>);

impl Hits {
    /// Whether the matcher at `index` matched.
    pub fn contains(&self, index: usize) -> bool {
        self.0
            .get(index / 64)
            .is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// Whether none matched.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The matched indexes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < 64).then_some(at * 64 + bit as usize)
            })
        })
    }

    fn reset(&mut self, len: usize) {
        self.0.clear();
        self.0.resize(len.div_ceil(64), 0);
    }

    #[inline]
    fn insert(&mut self, index: u32) {
        self.0[index as usize / 64] |= 1 << (index % 64);
    }
}

#[derive(Debug)]
struct Entry {
    matcher: Matcher,
    signer: Option<Box<str>>,
    /// The demanded `Type`, or the constant TRUE, is all there is to check.
    decided: bool,
}

/// Matchers with their signers, compiled into one table.
#[derive(Debug, Default)]
pub struct MatcherSet {
    entries: Vec<Entry>,
    /// Matchers that demand this `Type`.
    by_kind: HashMap<Box<[u8]>, Vec<u32>>,
    /// Matchers to ask about every message.
    always: Vec<u32>,
}

impl MatcherSet {
    /// Compiles matchers, each with the signer it demands, if any
    /// (`message_signer`). Hits refer to them by their place in the list.
    pub fn new(matchers: impl IntoIterator<Item = (Matcher, Option<String>)>) -> MatcherSet {
        let mut set = MatcherSet::default();
        for (matcher, signer) in matchers {
            let index = set.entries.len() as u32;
            let demand = demand(&matcher.expr);
            match &demand {
                Demand::Never => {}
                Demand::Anything { .. } => set.always.push(index),
                Demand::Kinds { kinds, .. } => {
                    for kind in kinds {
                        let listed = set.by_kind.entry(kind.clone()).or_default();
                        if listed.last() != Some(&index) {
                            listed.push(index);
                        }
                    }
                }
            }
            set.entries.push(Entry {
                matcher,
                signer: signer.filter(|name| !name.is_empty()).map(Into::into),
                decided: demand.decides(),
            });
        }
        set
    }

    /// Number of matchers.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no matchers.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Fills `hits` with the matchers that match `event`.
    pub fn matches(&self, event: &Event, hits: &mut Hits) {
        hits.reset(self.entries.len());
        for &index in &self.always {
            self.ask(index, event, hits);
        }
        if !self.by_kind.is_empty()
            && let Some(listed) = self.by_kind.get(event.kind())
        {
            for &index in listed {
                self.ask(index, event, hits);
            }
        }
    }

    #[inline]
    fn ask(&self, index: u32, event: &Event, hits: &mut Hits) {
        let entry = &self.entries[index as usize];
        let signed = entry
            .signer
            .as_deref()
            .is_none_or(|name| event.signer() == Some(name));
        if signed && (entry.decided || entry.matcher.matches(event)) {
            hits.insert(index);
        }
    }
}

/// What an expression demands of a message's `Type`.
enum Demand {
    Never,
    Anything {
        exact: bool,
    },
    /// One of these. `exact`: and nothing else.
    Kinds {
        kinds: Vec<Box<[u8]>>,
        exact: bool,
    },
}

impl Demand {
    fn decides(&self) -> bool {
        matches!(
            self,
            Demand::Anything { exact: true } | Demand::Kinds { exact: true, .. }
        )
    }
}

fn demand(expr: &Expr) -> Demand {
    match expr {
        Expr::Const(true) => Demand::Anything { exact: true },
        Expr::Const(false) => Demand::Never,
        Expr::Text(TextVar::Type, TextTest::Compare(Op::Eq, kind)) => Demand::Kinds {
            kinds: vec![kind.clone()],
            exact: true,
        },
        // Any operand narrows an "and"; the first that names types does here.
        Expr::And(all) => {
            let mut found = Demand::Anything { exact: false };
            for part in all {
                match (demand(part), &found) {
                    (Demand::Never, _) => return Demand::Never,
                    (Demand::Kinds { kinds, .. }, Demand::Anything { .. }) => {
                        found = Demand::Kinds {
                            kinds,
                            exact: false,
                        };
                    }
                    _ => {}
                }
            }
            found
        }
        Expr::Or(any) => any.iter().map(demand).fold(Demand::Never, either),
        Expr::Text(..) | Expr::Number(..) | Expr::Field(..) | Expr::Not(_) => {
            Demand::Anything { exact: false }
        }
    }
}

fn either(a: Demand, b: Demand) -> Demand {
    match (a, b) {
        (Demand::Never, other) | (other, Demand::Never) => other,
        (
            Demand::Kinds { mut kinds, exact },
            Demand::Kinds {
                kinds: more,
                exact: both,
            },
        ) => {
            kinds.extend(more);
            Demand::Kinds {
                kinds,
                exact: exact && both,
            }
        }
        (Demand::Anything { exact: true }, _) | (_, Demand::Anything { exact: true }) => {
            Demand::Anything { exact: true }
        }
        _ => Demand::Anything { exact: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use proptest::prelude::*;
    use std::sync::Arc;

    const EXPRESSIONS: [&str; 12] = [
        "TRUE",
        "FALSE",
        "Type == 'a'",
        "Type == 'a' || Type == 'b'",
        "Type == 'a' && Severity == 1",
        "Severity == 1 && (Type == 'b' || Type == 'c')",
        "Type == 'a' || Severity == 2",
        "Type != 'a'",
        "!(Type == 'a')",
        "Type == 'a' && Type == 'b'",
        "FALSE && Type == 'a'",
        "TRUE || Type == 'a'",
    ];

    fn set() -> MatcherSet {
        MatcherSet::new(EXPRESSIONS.map(|text| (Matcher::parse(text).unwrap(), None)))
    }

    proptest! {
        #[test]
        fn the_set_agrees_with_each_matcher(kind in "[abcd]?", severity in 0..3) {
            let event = Event::from(Message {
                kind: Some(kind.into()),
                severity: Some(severity),
                ..Message::default()
            });
            let mut hits = Hits::default();
            set().matches(&event, &mut hits);
            for (index, text) in EXPRESSIONS.iter().enumerate() {
                let alone = Matcher::parse(text).unwrap().matches(&event);
                prop_assert_eq!(hits.contains(index), alone, "{}", text);
            }
            prop_assert_eq!(hits.iter().count(), EXPRESSIONS.len() - (0..EXPRESSIONS.len()).filter(|i| !hits.contains(*i)).count());
        }
    }

    #[test]
    fn a_demanded_signer_is_checked_first() {
        let set = MatcherSet::new([(Matcher::parse("TRUE").unwrap(), Some("ops".to_owned()))]);
        let mut hits = Hits::default();
        let event = Event::from(Message::default());
        set.matches(&event, &mut hits);
        assert!(hits.is_empty());
        set.matches(&event.signed_by(Some(Arc::from("ops"))), &mut hits);
        assert_eq!(hits.iter().collect::<Vec<_>>(), [0]);
    }
}
