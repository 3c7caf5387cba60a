//! Which series belong together in an aggregation.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};
use headwater_model::Labels;

use crate::plan::AggregateNode;

/// Finds the group of a series.
#[derive(Debug)]
pub(super) struct Grouping {
    by: Names,
    hasher: DefaultHashBuilder,
    /// Places in `groups`, by the hash of the labels that are kept.
    known: HashTable<usize>,
    groups: Vec<Labels>,
}

impl Grouping {
    pub(super) fn new(node: &AggregateNode) -> Self {
        Self::by(node.grouping.clone(), node.without)
    }

    pub(super) fn by(labels: Vec<String>, without: bool) -> Self {
        Self {
            by: Names { labels, without },
            hasher: DefaultHashBuilder::default(),
            known: HashTable::new(),
            groups: Vec::new(),
        }
    }

    /// The number of a series' group, counted in the order in which groups are first seen.
    pub(super) fn of(&mut self, series: &Labels) -> usize {
        let Self {
            by,
            hasher,
            known,
            groups,
        } = self;
        if by.are_none() {
            if groups.is_empty() {
                groups.push(Labels::empty());
            }
            return 0;
        }
        let hash = by.hash(series, hasher);
        let same = |group: &usize| groups[*group].iter().eq(by.kept(series));
        if let Some(group) = known.find(hash, same) {
            return *group;
        }
        let group = groups.len();
        groups.push(series.project(|name| by.keep(name)));
        known.insert_unique(hash, group, |group| by.hash(&groups[*group], hasher));
        group
    }

    pub(super) fn len(&self) -> usize {
        self.groups.len()
    }

    pub(super) fn into_labels(self) -> Vec<Labels> {
        self.groups
    }
}

/// The labels that make a group, or those that do not.
#[derive(Debug)]
struct Names {
    labels: Vec<String>,
    without: bool,
}

impl Names {
    /// There is one group.
    const fn are_none(&self) -> bool {
        self.labels.is_empty() && !self.without
    }

    fn keep(&self, name: &str) -> bool {
        let listed = self.labels.iter().any(|label| label == name);
        if self.without {
            !listed && name != "__name__"
        } else {
            listed
        }
    }

    fn kept<'a>(&'a self, series: &'a Labels) -> impl Iterator<Item = (&'a str, &'a str)> {
        series.iter().filter(|(name, _)| self.keep(name))
    }

    fn hash(&self, series: &Labels, hasher: &DefaultHashBuilder) -> u64 {
        let mut hasher = hasher.build_hasher();
        for (name, value) in self.kept(series) {
            hasher.write(name.as_bytes());
            hasher.write(value.as_bytes());
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_told_apart_by_their_labels() {
        let mut grouping = Grouping::by(vec!["a".to_owned()], false);
        let series =
            |a: &str, b: &str| Labels::from_pairs([("__name__", "up"), ("a", a), ("b", b)]);
        assert_eq!(grouping.of(&series("1", "x")), 0);
        assert_eq!(grouping.of(&series("2", "x")), 1);
        assert_eq!(grouping.of(&series("1", "y")), 0);
        assert_eq!(grouping.len(), 2);
        let mut without = Grouping::by(vec!["a".to_owned()], true);
        assert_eq!(without.of(&series("1", "x")), without.of(&series("2", "x")));
        assert_eq!(without.into_labels()[0].to_string(), "{b=\"x\"}");
    }

    #[test]
    fn many_groups_keep_their_numbers() {
        let mut grouping = Grouping::by(vec!["a".to_owned(), "b".to_owned()], false);
        let series = |at: usize| Labels::from_pairs([("a", at.to_string()), ("c", "x".to_owned())]);
        for at in (0..500).chain(0..500) {
            assert_eq!(grouping.of(&series(at)), at);
        }
        assert_eq!(grouping.of(&Labels::empty()), 500);
        let mut one = Grouping::by(Vec::new(), false);
        assert_eq!(
            (one.of(&series(1)), one.of(&series(2)), one.len()),
            (0, 0, 1)
        );
        assert_eq!(one.into_labels(), [Labels::empty()]);
    }
}
