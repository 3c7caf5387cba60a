//! Optimiser rule: an expression that stands in a query twice is evaluated once.
//!
//! Only expressions that read from the store are worth it, and only those that are the same to the
//! letter: warnings name places in the text, and must name all of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use headwater_query::StepGrid;

use super::{Counts, Kind, Node};
use crate::syntax::position::PosRange;

/// What makes two expressions the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sameness {
    text: String,
    first: i64,
    step: i64,
    steps: usize,
    stats_only: bool,
    inside: bool,
}

/// A place of the query that says the same as another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Alias {
    of: PosRange,
    /// Notes at the first character are those of the expression itself.
    own: bool,
    distance: i64,
}

impl Alias {
    /// Where something that was found at `start` stands the other time, if it is about this.
    pub(crate) fn other(&self, start: u32) -> Option<u32> {
        let inside = start > self.of.start || self.own && start == self.of.start;
        let other = i64::from(start) + self.distance;
        (inside && start < self.of.end)
            .then(|| u32::try_from(other).ok())
            .flatten()
    }
}

/// The expressions met so far.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The text of the query; empty if nothing is to be shared.
    query: String,
    known: HashMap<Sameness, Arc<Node>>,
    aliases: Vec<Alias>,
}

impl Shared {
    pub(super) fn new(query: &str) -> Self {
        Self {
            query: query.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn sameness(
        &self,
        place: PosRange,
        grid: StepGrid,
        stats_only: bool,
        inside: bool,
    ) -> Option<Sameness> {
        let text = self.query.get(place.start as usize..place.end as usize)?;
        Some(Sameness {
            text: text.to_owned(),
            first: grid.first(),
            step: grid.step(),
            steps: grid.len(),
            stats_only,
            inside,
        })
    }

    /// The operator of the same expression, if there was one.
    pub(super) fn find(&mut self, sameness: &Sameness, place: PosRange) -> Option<Arc<Node>> {
        let node = self.known.get(sameness)?.clone();
        node.shared.store(true, Ordering::Relaxed);
        self.aliases.push(Alias {
            of: node.place,
            own: !matches!(node.kind, Kind::Instant { .. } | Kind::Over { .. }),
            distance: i64::from(place.start) - i64::from(node.place.start),
        });
        Some(node)
    }

    pub(super) fn remember(&mut self, sameness: Sameness, node: &Arc<Node>) {
        if !node.is_scalar() && node.counts != Counts::Never {
            self.known.insert(sameness, node.clone());
        }
    }

    pub(super) fn into_aliases(self) -> Vec<Alias> {
        self.aliases
    }
}
