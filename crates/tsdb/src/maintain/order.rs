//! Series in the order of their labels.
//!
//! Comparing labels text by text is what takes most of the time of sorting
//! them. So the texts are numbered in their order first, each once, and series
//! are compared by numbers, by which an index wants them anyway.

use hashbrown::HashMap;
use headwater_model::Labels;

/// Numbers of names and values.
pub(super) type Pairs = [(u32, u32)];

/// The order of some series.
#[derive(Debug)]
pub(super) struct Order<'l> {
    /// All texts of labels, ascending.
    pub(super) symbols: Vec<&'l str>,
    /// The labels of all series as numbers of symbols.
    pairs: Vec<(u32, u32)>,
    /// Where those of each series end.
    ends: Vec<usize>,
    order: Vec<u32>,
}

impl<'l> Order<'l> {
    pub(super) fn of(series: impl ExactSizeIterator<Item = &'l Labels>) -> Order<'l> {
        let mut texts = Texts::default();
        let mut pairs = Vec::new();
        let mut ends = Vec::with_capacity(series.len());
        // Neighbours have most of their labels in common.
        let mut before = 0;
        for labels in series {
            let start = pairs.len();
            for (at, (name, value)) in labels.iter().enumerate() {
                let like: Option<(u32, u32)> = pairs.get(before + at).copied();
                let like = like.filter(|_| before + at < start);
                let name = texts.number(name, like.map(|pair| pair.0));
                let value = texts.number(value, like.map(|pair| pair.1));
                pairs.push((name, value));
            }
            before = start;
            ends.push(pairs.len());
        }
        let (symbols, ranks) = texts.sorted();
        for (name, value) in &mut pairs {
            (*name, *value) = (ranks[*name as usize], ranks[*value as usize]);
        }
        let mut out = Order {
            symbols,
            order: (0..ends.len() as u32).collect(),
            pairs,
            ends,
        };
        let mut order = std::mem::take(&mut out.order);
        order.sort_unstable_by_key(|at| out.pairs_of(*at as usize));
        out.order = order;
        out
    }

    fn pairs_of(&self, at: usize) -> &Pairs {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.pairs[start..self.ends[at]]
    }

    /// The series in order: the place of each among those that were given, and
    /// its labels.
    pub(super) fn series(&self) -> impl Iterator<Item = (usize, &Pairs)> {
        let order = self.order.iter().map(|at| *at as usize);
        order.map(|at| (at, self.pairs_of(at)))
    }
}

/// Texts, numbered as they come.
#[derive(Debug, Default)]
struct Texts<'l> {
    numbers: HashMap<&'l str, u32>,
    texts: Vec<&'l str>,
}

impl<'l> Texts<'l> {
    /// The number of a text, which may be that of `like`.
    fn number(&mut self, text: &'l str, like: Option<u32>) -> u32 {
        if let Some(like) = like
            && self.texts[like as usize] == text
        {
            return like;
        }
        let next = self.texts.len() as u32;
        let number = *self.numbers.entry(text).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        number
    }

    /// The texts in order, and for each number the place of its text there.
    fn sorted(self) -> (Vec<&'l str>, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.texts.len() as u32).collect();
        order.sort_unstable_by_key(|number| self.texts[*number as usize]);
        let mut ranks = vec![0; order.len()];
        for (rank, number) in order.iter().enumerate() {
            ranks[*number as usize] = rank as u32;
        }
        let symbols = order.iter().map(|number| self.texts[*number as usize]);
        (symbols.collect(), ranks)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn series_come_in_the_order_of_their_labels(
            series in proptest::collection::vec(
                proptest::collection::vec(("[a-c]{1,3}", "[a-c]{1,3}"), 1..5), 0..40)
        ) {
            let all: Vec<Labels> = series.into_iter().map(Labels::from_pairs).collect();
            let order = Order::of(all.iter());
            prop_assert!(order.symbols.is_sorted_by(|a, b| a < b));
            let found: Vec<&Labels> = order.series().map(|(at, _)| &all[at]).collect();
            let mut wanted: Vec<&Labels> = all.iter().collect();
            wanted.sort();
            prop_assert_eq!(found, wanted);
            for (at, pairs) in order.series() {
                let text = |number: u32| order.symbols[number as usize];
                let pairs: Vec<_> = pairs.iter().map(|p| (text(p.0), text(p.1))).collect();
                prop_assert_eq!(pairs, all[at].iter().collect::<Vec<_>>());
            }
        }
    }
}
