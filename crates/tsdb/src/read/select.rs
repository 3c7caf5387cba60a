//! Finding the series that fulfil matchers, in blocks and head.

use std::sync::Arc;

use headwater_model::{Labels, Matcher};
use headwater_storage::{Result, SelectHints};

use super::known::{Fresh, KnownSeries};
use super::names::read_labels;
use crate::block::{Block, Stones};
use crate::head::Head;
use crate::head::cursor::View;

/// The series of a select with the places where their samples are. Lists side by side: a select
/// may find a million series.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    sources: Vec<Source>,
    series: List,
}

/// A block with what is deleted of it.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) block: Arc<Block>,
    pub(crate) stones: Arc<Stones>,
}

/// Where samples of a series are.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Number of the block, or [`HEAD`].
    source: u32,
    /// Reference or slot.
    at: u32,
}

const HEAD: u32 = u32::MAX;

/// A place with its block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part<'s> {
    Head(u32),
    Block(&'s Source, u32),
}

/// Series in order, each with its places.
#[derive(Debug, Default)]
struct List {
    labels: Vec<Labels>,
    /// Where in `places` those of each series end.
    ends: Vec<u32>,
    /// Of each series by rank: what counts more stands first.
    places: Vec<Place>,
}

/// What is asked.
pub(crate) struct Question<'q> {
    pub(crate) matchers: &'q [Matcher],
    pub(crate) hints: &'q SelectHints,
}

/// Finds the series that fulfil the matchers in blocks and head, of which `slots` are known.
///
/// Where several parts have series they come sorted, as from Prometheus's merge of its parts: sums
/// over values near the ends of the floats show the order in which they were added. Each block has
/// its series in order already and the head remembers theirs, so that lists are merged.
pub(crate) fn find(
    blocks: &[Arc<Block>],
    known: &KnownSeries,
    (head, view, slots): (&Head, &View, &[u32]),
    question: &Question<'_>,
) -> (Selection, Vec<String>) {
    let mut warnings = Vec::new();
    let (mut sources, mut lists) = (Vec::new(), Vec::new());
    for block in blocks {
        let found = block.ask(&mut warnings, |block| {
            let list = list_block(block, known, head, question.matchers, sources.len())?;
            Ok((Arc::clone(block), list))
        });
        match found {
            Ok((_, list)) if list.labels.is_empty() => {}
            Ok((block, list)) => {
                let stones = block.stones();
                sources.push(Source { block, stones });
                lists.push(list);
            }
            // One damaged block must not hide what the others have.
            Err(error) => warnings.push(error.to_string()),
        }
    }
    let in_order = question.hints.sorted || !blocks.is_empty();
    lists.push(list_head(head, view, slots, in_order));
    let series = merged(lists);
    let mut selection = Selection { sources, series };
    selection.limit(view, question.hints.limit);
    (selection, warnings)
}

fn list_block(
    block: &Arc<Block>,
    known: &KnownSeries,
    head: &Head,
    matchers: &[Matcher],
    source: usize,
) -> Result<List> {
    let references: Vec<u32> = block.matching(matchers)?.iter().collect();
    let known_here = known.of(block);
    let mut labels = Vec::with_capacity(references.len());
    let missing = known_here.look_up(&references, &mut labels);
    let asked: Vec<u32> = missing.iter().map(|at| references[*at]).collect();
    let mut fresh = Vec::with_capacity(missing.len());
    for (at, read) in missing.iter().zip(read_labels(block, &asked)?) {
        let shared = head.labels_like(&read);
        let is_shared = shared.is_some();
        labels[*at] = shared.unwrap_or(read);
        fresh.push(Fresh {
            reference: references[*at],
            labels: labels[*at].clone(),
            is_shared,
        });
    }
    let is_new = !fresh.is_empty();
    let mut list = List::of(labels, source as u32, references);
    // Whoever writes an index does so in order. If that was not so, nothing of it is kept.
    if is_new && !list.labels.is_sorted() {
        list.sort();
    } else if is_new {
        known.keep(&known_here, fresh);
    }
    Ok(list)
}

fn list_head(head: &Head, view: &View, slots: &[u32], in_order: bool) -> List {
    let sorted;
    let slots = match in_order {
        true => {
            sorted = head.in_order(slots);
            &sorted
        }
        false => slots,
    };
    let (mut labels, mut alive) = (Vec::new(), Vec::new());
    labels.reserve_exact(slots.len());
    alive.reserve_exact(slots.len());
    for slot in slots {
        if let Some(found) = view.labels(*slot) {
            labels.push(found);
            alive.push(*slot);
        }
    }
    List::of(labels, HEAD, alive)
}

/// Merges two and two, so that a series is looked at as often as the number of lists has bits.
fn merged(mut lists: Vec<List>) -> List {
    while lists.len() > 1 {
        let mut pairs = lists.into_iter();
        let mut next = Vec::new();
        while let Some(first) = pairs.next() {
            next.push(match pairs.next() {
                Some(second) => first.merge(second),
                None => first,
            });
        }
        lists = next;
    }
    lists.pop().unwrap_or_default()
}

impl List {
    /// Series of one source.
    fn of(labels: Vec<Labels>, source: u32, at: Vec<u32>) -> List {
        List {
            ends: (1..=labels.len() as u32).collect(),
            places: at.into_iter().map(|at| Place { source, at }).collect(),
            labels,
        }
    }

    /// Puts series of one source in order.
    fn sort(&mut self) {
        let labels = std::mem::take(&mut self.labels);
        let mut pairs: Vec<_> = labels.into_iter().zip(self.places.drain(..)).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        (self.labels, self.places) = pairs.into_iter().unzip();
    }

    /// Both lists in order. What is the same mostly is the same memory.
    fn merge(self, other: List) -> List {
        if self.labels.is_empty() || other.labels.is_empty() {
            return if self.labels.is_empty() { other } else { self };
        }
        let mut out = List {
            labels: Vec::with_capacity(self.labels.len().max(other.labels.len())),
            ends: Vec::with_capacity(self.labels.len().max(other.labels.len())),
            places: Vec::with_capacity(self.places.len() + other.places.len()),
        };
        let (mut left, mut right) = (self.into_entries(), other.into_entries());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            if a == b {
                left.take_into(&mut out);
                right.add_into(&mut out);
            } else if a < b {
                left.take_into(&mut out);
            } else {
                right.take_into(&mut out);
            }
        }
        left.take_rest(&mut out);
        right.take_rest(&mut out);
        out
    }

    fn into_entries(self) -> Entries {
        Entries {
            labels: self.labels.into_iter(),
            ends: self.ends,
            places: self.places,
            at: 0,
            from: 0,
        }
    }

    fn places(&self, at: usize) -> &[Place] {
        let from = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.places[from as usize..self.ends[at] as usize]
    }
}

/// Walks over a list.
struct Entries {
    labels: std::vec::IntoIter<Labels>,
    ends: Vec<u32>,
    places: Vec<Place>,
    at: usize,
    from: u32,
}

impl Entries {
    fn peek(&self) -> Option<&Labels> {
        self.labels.as_slice().first()
    }

    fn take_into(&mut self, out: &mut List) {
        if let Some(labels) = self.labels.next() {
            out.labels.push(labels);
            self.move_places(out);
            out.ends.push(out.places.len() as u32);
        }
    }

    /// The last series of `out` is that of the next entry.
    fn add_into(&mut self, out: &mut List) {
        self.labels.next();
        self.move_places(out);
        if let Some(end) = out.ends.last_mut() {
            *end = out.places.len() as u32;
        }
    }

    fn move_places(&mut self, out: &mut List) {
        let end = self.ends[self.at];
        out.places
            .extend_from_slice(&self.places[self.from as usize..end as usize]);
        (self.at, self.from) = (self.at + 1, end);
    }

    fn take_rest(&mut self, out: &mut List) {
        while self.peek().is_some() {
            self.take_into(out);
        }
    }
}

impl Selection {
    pub(crate) fn len(&self) -> usize {
        self.series.labels.len()
    }

    pub(crate) fn labels(&self, at: usize) -> &Labels {
        &self.series.labels[at]
    }

    /// Where the samples of a series are, by rank.
    pub(crate) fn parts(&self, at: usize) -> impl DoubleEndedIterator<Item = Part<'_>> {
        self.series
            .places(at)
            .iter()
            .map(|place| match self.sources.get(place.source as usize) {
                Some(source) => Part::Block(source, place.at),
                None => Part::Head(place.at),
            })
    }

    /// The slot of a series, if there is such a series and the head has it.
    pub(crate) fn slot(&self, at: usize) -> Option<u32> {
        let end = *self.series.ends.get(at)?;
        let last = self.series.places.get((end as usize).checked_sub(1)?)?;
        (last.source == HEAD).then_some(last.at)
    }

    /// Keeps the first series that have samples in the range: as many as are needed.
    fn limit(&mut self, view: &View, limit: usize) {
        if limit == 0 {
            return;
        }
        let mut kept = Vec::new();
        let mut metas = Vec::new();
        for at in 0..self.len() {
            let mut has_samples = |part: Part<'_>| match part {
                Part::Head(_) => true,
                Part::Block(source, reference) => {
                    let read = source.block.chunks_of(reference, &mut metas);
                    let range = view.range();
                    read.is_err() || metas.iter().any(|meta| meta.range().overlaps(&range))
                }
            };
            let found = self.parts(at).any(&mut has_samples);
            if found {
                kept.push(at);
            }
            if kept.len() == limit {
                break;
            }
        }
        let mut series = List::default();
        for at in kept {
            series.labels.push(self.series.labels[at].clone());
            series.places.extend_from_slice(self.series.places(at));
            series.ends.push(series.places.len() as u32);
        }
        self.series = series;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(source: u32, names: &std::collections::BTreeSet<u32>) -> List {
        let labels = names
            .iter()
            .map(|name| Labels::from_pairs([("n", format!("{name:03}"))]));
        List::of(labels.collect(), source, names.iter().copied().collect())
    }

    proptest! {
        #[test]
        fn merged_lists_name_each_series_once(
            lists in proptest::collection::vec(proptest::collection::btree_set(0u32..40, 0..30), 0..7),
        ) {
            let all = lists.iter().enumerate();
            let found = merged(all.map(|(source, names)| list(source as u32, names)).collect());
            let names: std::collections::BTreeSet<u32> = lists.iter().flatten().copied().collect();
            prop_assert_eq!(found.labels.len(), names.len());
            for (at, name) in names.iter().enumerate() {
                let label = format!("{name:03}");
                prop_assert_eq!(found.labels[at].get("n"), Some(label.as_str()));
                let places: Vec<(u32, u32)> = found.places(at).iter().map(|p| (p.source, p.at)).collect();
                let with = (0..lists.len()).filter(|source| lists[*source].contains(name));
                let expected: Vec<(u32, u32)> = with.map(|source| (source as u32, *name)).collect();
                prop_assert_eq!(places, expected);
            }
        }
    }
}
