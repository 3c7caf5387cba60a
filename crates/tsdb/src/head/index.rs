//! The inverted index of the head: label name, value, series.

use hashbrown::HashMap;
use headwater_model::{Labels, MatchOp, Matcher};
use roaring::RoaringBitmap;

use super::postings::Postings;
use super::ranks::SharedRanks;

/// Which series have which labels.
#[derive(Debug, Default)]
pub(crate) struct Index {
    names: HashMap<Box<str>, Values>,
    all: RoaringBitmap,
    ranks: SharedRanks,
}

/// The values of one label name.
#[derive(Debug, Default)]
pub(crate) struct Values {
    values: HashMap<Box<str>, Postings>,
    /// Series that have the label at all.
    present: RoaringBitmap,
}

/// What a matcher asks of a series.
enum Condition<'i> {
    /// To be in one pair's postings.
    In(&'i Postings),
    /// To be in a set.
    InSet(RoaringBitmap),
    /// Not to be in a set.
    NotIn(RoaringBitmap),
    /// Nothing.
    Any,
}

impl Index {
    pub(crate) fn insert(&mut self, slot: u32, labels: &Labels) {
        self.all.insert(slot);
        for (name, value) in labels {
            match self.names.get_mut(name) {
                Some(values) => values.insert(slot, value),
                None => {
                    let mut values = Values::default();
                    values.insert(slot, value);
                    self.names.insert(name.into(), values);
                }
            }
        }
    }

    /// The same for many series.
    pub(crate) fn insert_all(&mut self, series: &[(u32, Labels)]) {
        for (slot, labels) in series {
            self.insert(*slot, labels);
        }
    }

    pub(crate) fn remove(&mut self, slot: u32, labels: &Labels) {
        self.all.remove(slot);
        self.ranks.lock().forget(slot);
        for (name, value) in labels {
            let Some(values) = self.names.get_mut(name) else {
                continue;
            };
            values.present.remove(slot);
            if values.values.get_mut(value).is_some_and(|p| p.remove(slot)) {
                values.values.remove(value);
            }
            if values.values.is_empty() {
                self.names.remove(name);
            }
        }
    }

    /// The slots of the series that fulfil all matchers.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> RoaringBitmap {
        let conditions = matchers.iter().map(|m| self.condition(m));
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for condition in conditions {
            match condition {
                Condition::NotIn(set) => unwanted.push(set),
                Condition::Any => {}
                other => wanted.push(other),
            }
        }
        // Smallest first: all later intersections are at most as large.
        wanted.sort_by_key(Condition::len);
        let mut wanted = wanted.into_iter();
        let mut found = wanted
            .next()
            .map_or_else(|| self.all.clone(), Condition::into_set);
        wanted.for_each(|condition| condition.keep_in(&mut found));
        unwanted.into_iter().for_each(|set| found -= set);
        found
    }

    fn condition(&self, matcher: &Matcher) -> Condition<'_> {
        if matcher.regex().is_some_and(|r| r.matches_everything()) {
            return match matcher.op {
                MatchOp::Regex => Condition::Any,
                _ => Condition::InSet(RoaringBitmap::new()),
            };
        }
        let empty_matches = matcher.matches_empty();
        let Some(values) = self.names.get(matcher.name.as_str()) else {
            return match empty_matches {
                true => Condition::Any,
                false => Condition::InSet(RoaringBitmap::new()),
            };
        };
        match empty_matches {
            // Series without the label fulfil the condition too, and those
            // with it are sorted out by the values that do not.
            true => Condition::NotIn(values.not_matching(matcher)),
            false => values.matching(matcher),
        }
    }

    /// The order of series that were sorted before.
    pub(crate) fn ranks(&self) -> &SharedRanks {
        &self.ranks
    }

    /// Names of labels that series have.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, &Values)> {
        self.names.iter().map(|(name, values)| (&**name, values))
    }

    pub(crate) fn values(&self, name: &str) -> Option<&Values> {
        self.names.get(name)
    }

    pub(crate) fn all(&self) -> &RoaringBitmap {
        &self.all
    }
}

impl Values {
    fn insert(&mut self, slot: u32, value: &str) {
        self.present.insert(slot);
        match self.values.get_mut(value) {
            Some(postings) => postings.insert(slot),
            None => {
                self.values.insert(value.into(), Postings::One(slot));
            }
        }
    }

    /// The series that have one of the matching values; the matcher does not
    /// match the empty value.
    fn matching(&self, matcher: &Matcher) -> Condition<'_> {
        let nothing = || Condition::InSet(RoaringBitmap::new());
        match matcher.op {
            MatchOp::Equal => self
                .values
                .get(matcher.value.as_str())
                .map_or_else(nothing, Condition::In),
            // Not equal to the empty value: present.
            MatchOp::NotEqual => Condition::InSet(self.present.clone()),
            MatchOp::Regex => Condition::InSet(self.union(matcher, true)),
            MatchOp::NotRegex => Condition::InSet(self.union(matcher, true)),
        }
    }

    /// The series that have one of the values which do not match; the matcher
    /// matches the empty value.
    fn not_matching(&self, matcher: &Matcher) -> RoaringBitmap {
        let mut out = RoaringBitmap::new();
        match matcher.op {
            // Equal to the empty value: absent.
            MatchOp::Equal => return self.present.clone(),
            MatchOp::NotEqual => {
                if let Some(postings) = self.values.get(matcher.value.as_str()) {
                    postings.add_to(&mut out);
                }
            }
            MatchOp::Regex | MatchOp::NotRegex => return self.union(matcher, false),
        }
        out
    }

    /// The series of all values whose match has this outcome.
    fn union(&self, matcher: &Matcher, outcome: bool) -> RoaringBitmap {
        let mut out = RoaringBitmap::new();
        let regex_outcome = outcome == (matcher.op == MatchOp::Regex);
        let set = matcher.regex().and_then(|regex| regex.literal_set());
        if let (Some(set), true) = (set, regex_outcome) {
            let found = set.iter().filter_map(|v| self.values.get(v.as_str()));
            found.for_each(|postings| postings.add_to(&mut out));
            return out;
        }
        let prefix = match regex_outcome {
            true => matcher.regex().map_or("", |regex| regex.prefix()),
            false => "",
        };
        for (value, postings) in &self.values {
            if value.starts_with(prefix) && matcher.matches(value) == outcome {
                postings.add_to(&mut out);
            }
        }
        out
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Postings)> {
        self.values.iter().map(|(value, set)| (&**value, set))
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn present(&self) -> &RoaringBitmap {
        &self.present
    }
}

impl Condition<'_> {
    fn len(&self) -> u64 {
        match self {
            Condition::In(postings) => postings.len(),
            Condition::InSet(set) => set.len(),
            Condition::NotIn(_) | Condition::Any => u64::MAX,
        }
    }

    fn into_set(self) -> RoaringBitmap {
        match self {
            Condition::In(postings) => {
                let mut out = RoaringBitmap::new();
                postings.add_to(&mut out);
                out
            }
            Condition::InSet(set) | Condition::NotIn(set) => set,
            Condition::Any => RoaringBitmap::new(),
        }
    }

    fn keep_in(self, found: &mut RoaringBitmap) {
        match self {
            Condition::In(postings) => postings.keep_in(found),
            Condition::InSet(set) => *found &= set,
            Condition::NotIn(set) => *found -= set,
            Condition::Any => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series() -> Vec<Labels> {
        let mut out = Vec::new();
        for job in ["api", "db", ""] {
            for n in 0..3 {
                let n = n.to_string();
                out.push(Labels::from_pairs([("job", job), ("n", n.as_str())]));
            }
        }
        out
    }

    /// Every operator and every kind of pattern finds what a walk over all
    /// series finds.
    #[test]
    fn the_index_agrees_with_a_walk() {
        let series = series();
        let mut index = Index::default();
        for (slot, labels) in series.iter().enumerate() {
            index.insert(slot as u32, labels);
        }
        let patterns = [
            "", "api", "api|db", "a.*", ".*", ".+", "|db", "(?i)DB", "x", "x|",
        ];
        let ops = [
            MatchOp::Equal,
            MatchOp::NotEqual,
            MatchOp::Regex,
            MatchOp::NotRegex,
        ];
        for name in ["job", "absent"] {
            for pattern in patterns {
                for op in ops {
                    let matcher = Matcher::new(op, name, pattern).unwrap();
                    let second = Matcher::new(MatchOp::NotEqual, "n", "1").unwrap();
                    let both = [matcher, second];
                    let fulfils = |labels: &Labels| {
                        both.iter()
                            .all(|m| m.matches(labels.get(&m.name).unwrap_or("")))
                    };
                    let wanted: Vec<u32> = (0..series.len() as u32)
                        .filter(|slot| fulfils(&series[*slot as usize]))
                        .collect();
                    let found: Vec<u32> = index.matching(&both).iter().collect();
                    assert_eq!(found, wanted, "{both:?}");
                }
            }
        }
    }

    #[test]
    fn removed_series_leave_nothing_behind() {
        let mut index = Index::default();
        for (slot, labels) in series().iter().enumerate() {
            index.insert(slot as u32, labels);
        }
        for (slot, labels) in series().iter().enumerate() {
            index.remove(slot as u32, labels);
        }
        assert!(index.names.is_empty());
        assert!(index.all.is_empty());
    }
}
