//! Exemplars: the newest ones of all series, in one ring.

use std::collections::VecDeque;

use hashbrown::HashMap;
use headwater_model::{Exemplar, Labels, TimeRange, Timestamp};
use headwater_storage::{AppendError, ExemplarSeries};

/// The newest exemplars, at most `capacity` of them.
#[derive(Debug)]
pub(crate) struct ExemplarRing {
    capacity: usize,
    entries: VecDeque<Entry>,
    /// The newest exemplar of each series that has one in the ring.
    newest: HashMap<Labels, Newest>,
}

#[derive(Debug)]
struct Entry {
    series: Labels,
    exemplar: Exemplar,
}

#[derive(Debug)]
struct Newest {
    exemplar: Exemplar,
    /// How many exemplars of the series are in the ring.
    count: usize,
}

/// The time of an exemplar that went through `Appender::exemplar`.
fn time_of(exemplar: &Exemplar) -> Timestamp {
    exemplar.time.unwrap_or_default()
}

/// Whether `new` may follow `newest`. Repetitions are told apart from
/// exemplars that are late, because exporters expose the same one for long.
pub(crate) fn admit(newest: &Exemplar, new: &Exemplar) -> Result<(), AppendError> {
    if newest == new {
        return Err(AppendError::ExemplarDuplicate);
    }
    match time_of(new) <= time_of(newest) {
        true => Err(AppendError::ExemplarOutOfOrder),
        false => Ok(()),
    }
}

impl ExemplarRing {
    pub(crate) fn new(capacity: usize) -> ExemplarRing {
        ExemplarRing {
            capacity,
            entries: VecDeque::new(),
            newest: HashMap::new(),
        }
    }

    /// Whether exemplars are kept at all.
    pub(crate) fn is_enabled(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) fn newest(&self, series: &Labels) -> Option<&Exemplar> {
        self.newest.get(series).map(|newest| &newest.exemplar)
    }

    /// Adds an exemplar, unless it may not follow the newest of its series.
    pub(crate) fn push(&mut self, series: &Labels, exemplar: Exemplar) -> bool {
        let late = |newest: &Exemplar| admit(newest, &exemplar).is_err();
        if self.capacity == 0 || self.newest(series).is_some_and(late) {
            return false;
        }
        if self.entries.len() >= self.capacity {
            self.drop_oldest();
        }
        let newest = self.newest.entry_ref(series).or_insert_with(|| Newest {
            exemplar: exemplar.clone(),
            count: 0,
        });
        newest.exemplar = exemplar.clone();
        newest.count += 1;
        let series = series.clone();
        self.entries.push_back(Entry { series, exemplar });
        true
    }

    /// All of them with the labels of their series, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Labels, &Exemplar)> {
        self.entries.iter().map(|e| (&e.series, &e.exemplar))
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.entries.pop_front() else {
            return;
        };
        if let Some(newest) = self.newest.get_mut(&oldest.series) {
            newest.count -= 1;
            if newest.count == 0 {
                self.newest.remove(&oldest.series);
            }
        }
    }

    /// The exemplars in `range` of the series that are `wanted`, by series.
    pub(crate) fn select(
        &self,
        range: TimeRange,
        wanted: impl Fn(&Labels) -> bool,
    ) -> Vec<ExemplarSeries> {
        let mut found: HashMap<&Labels, Vec<Exemplar>> = HashMap::new();
        for entry in &self.entries {
            if range.contains(time_of(&entry.exemplar)) && wanted(&entry.series) {
                let exemplars = found.entry(&entry.series).or_default();
                exemplars.push(entry.exemplar.clone());
            }
        }
        let mut out: Vec<ExemplarSeries> = found
            .into_iter()
            .map(|(labels, exemplars)| ExemplarSeries {
                labels: labels.clone(),
                exemplars,
            })
            .collect();
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(time: i64) -> Exemplar {
        Exemplar {
            labels: Labels::from_pairs([("trace_id", time.to_string())]),
            value: 1.0,
            time: Some(time),
        }
    }

    #[test]
    fn the_oldest_make_room_for_the_newest() {
        let mut ring = ExemplarRing::new(3);
        let (a, b) = (
            Labels::from_pairs([("n", "a")]),
            Labels::from_pairs([("n", "b")]),
        );
        assert!(ring.push(&a, exemplar(1)));
        assert!(!ring.push(&a, exemplar(1)), "the same again");
        assert!(!ring.push(&a, exemplar(0)), "late");
        for time in 2..5 {
            assert!(ring.push(&b, exemplar(time)));
        }
        assert!(ring.newest(&a).is_none());
        let found = ring.select(TimeRange::new(3, 9), |labels| *labels == b);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].exemplars, [exemplar(3), exemplar(4)]);
    }

    #[test]
    fn a_ring_without_room_takes_nothing() {
        assert!(!ExemplarRing::new(0).push(&Labels::empty(), exemplar(1)));
    }
}
