//! Whether a histogram fits the buckets of a chunk, and what to do if it does not.

use headwater_model::histogram::spans_indexes;
use headwater_model::{ResetHint, Span, is_stale_nan};

use super::append::Cut;
use super::kind::{Bucket, Kind, Numbers};
use super::layout::{Layout, LayoutRef};
use super::read::State;
use super::track::Track;

/// A chunk that a histogram may fit.
pub(super) struct Chunk<'a, K: Kind> {
    /// What its header says.
    pub(super) reset: ResetHint,
    pub(super) layout: &'a Layout,
    /// Its last sample.
    pub(super) state: &'a State<K>,
    /// Whether its header cannot count another sample.
    pub(super) full: bool,
}

/// How a histogram fits.
#[derive(Debug, PartialEq)]
pub(super) enum Fit {
    /// It has the buckets of the chunk.
    AsItIs,
    /// Chunk, histogram or both need further buckets: positive, negative.
    Common([Common; 2]),
}

impl<K: Kind> Chunk<'_, K> {
    /// Whether a histogram that is no stale marker can share the chunk, and how.
    pub(super) fn fit(
        &self,
        hint: ResetHint,
        layout: &LayoutRef<'_>,
        numbers: &Numbers<'_, K>,
    ) -> Result<Fit, Cut> {
        let gauge = hint == ResetHint::Gauge;
        // What the next chunk says if counts have become less, and if that cannot be told.
        let (reset, unknown, same) = if gauge {
            (ResetHint::Gauge, ResetHint::Gauge, ResetHint::Gauge)
        } else {
            (ResetHint::Reset, ResetHint::Unknown, ResetHint::NotReset)
        };
        let cut = |reset| Err(Cut { reset });
        if gauge != (self.reset == ResetHint::Gauge) {
            return cut(unknown);
        }
        if hint == ResetHint::Reset {
            return cut(reset);
        }
        if is_stale_nan(self.state.sum.number()) {
            return cut(unknown);
        }
        if !gauge && numbers.count < self.state.count.number() {
            return cut(reset);
        }
        if layout.schema != self.layout.schema
            || layout.zero_threshold != self.layout.zero_threshold
        {
            return cut(unknown);
        }
        if *layout.custom_values != self.layout.custom_values {
            return cut(reset);
        }
        if !gauge && numbers.zero_count < self.state.zero_count.number() {
            return cut(reset);
        }
        match self.fit_buckets(layout, numbers, !gauge) {
            None => cut(reset),
            Some(_) if self.full => cut(same),
            Some(fit) => Ok(fit),
        }
    }

    /// `None` if a bucket of a counter has gone or shrunk.
    fn fit_buckets(
        &self,
        layout: &LayoutRef<'_>,
        numbers: &Numbers<'_, K>,
        counter: bool,
    ) -> Option<Fit> {
        if self.layout.positive == layout.positive && self.layout.negative == layout.negative {
            let shrinks = |tracks: &[K::Bucket], buckets| counter && shrinks::<K>(tracks, buckets);
            let less = shrinks(&self.state.positive, numbers.positive)
                || shrinks(&self.state.negative, numbers.negative);
            return (!less).then_some(Fit::AsItIs);
        }
        let side = |spans, tracks: &[K::Bucket], new_spans, new_buckets| {
            let old = Side::<K> {
                spans,
                buckets: &State::<K>::buckets(tracks),
            };
            common(
                old,
                Side {
                    spans: new_spans,
                    buckets: new_buckets,
                },
                counter,
            )
        };
        let positive = side(
            &self.layout.positive,
            &self.state.positive,
            layout.positive,
            numbers.positive,
        )?;
        let negative = side(
            &self.layout.negative,
            &self.state.negative,
            layout.negative,
            numbers.negative,
        )?;
        Some(Fit::Common([positive, negative]))
    }
}

/// Whether any of the buckets, which lie in the same places, has become less.
fn shrinks<K: Kind>(tracks: &[K::Bucket], buckets: &[Bucket<K>]) -> bool {
    let (mut before, mut now) = (Bucket::<K>::default(), Bucket::<K>::default());
    tracks.iter().zip(buckets).any(|(track, &bucket)| {
        before = K::absolute(before, track.number());
        now = K::absolute(now, bucket);
        before > now
    })
}

/// The spans that a chunk and the next sample need to have in common.
#[derive(Debug, PartialEq)]
pub(super) struct Common {
    pub(super) spans: Vec<Span>,
    pub(super) chunk_changes: bool,
    pub(super) sample_changes: bool,
}

/// Buckets of one side of a histogram.
#[derive(Clone, Copy)]
pub(super) struct Side<'a, K: Kind> {
    pub(super) spans: &'a [Span],
    pub(super) buckets: &'a [Bucket<K>],
}

/// The buckets that both sides need. If `counter` is set, `None` says that there was a reset:
/// a bucket of the chunk has gone or has shrunk.
pub(super) fn common<K: Kind>(
    chunk: Side<'_, K>,
    sample: Side<'_, K>,
    counter: bool,
) -> Option<Common> {
    let mut old = counts::<K>(chunk).peekable();
    let mut new = counts::<K>(sample).peekable();
    let mut merged = Merged::default();
    let (mut chunk_changes, mut sample_changes) = (false, false);
    loop {
        let (before, now) = (old.peek().copied(), new.peek().copied());
        let index = match (before, now) {
            (Some((was, _)), Some((is, _))) => was.min(is),
            (Some((index, _)), None) | (None, Some((index, _))) => index,
            (None, None) => break,
        };
        let before = before
            .filter(|&(at, _)| at == index)
            .map(|(_, count)| count);
        let now = now.filter(|&(at, _)| at == index).map(|(_, count)| count);
        if before.is_some() {
            old.next();
        }
        if now.is_some() {
            new.next();
        }
        let zero = Bucket::<K>::default();
        if counter && before.unwrap_or(zero) > now.unwrap_or(zero) {
            return None;
        }
        chunk_changes |= before.is_none();
        sample_changes |= now.is_none();
        merged.push(index);
    }
    let spans = match (chunk_changes, sample_changes) {
        (false, _) => chunk.spans.to_vec(),
        (true, false) => sample.spans.to_vec(),
        (true, true) => merged.spans,
    };
    Some(Common {
        spans,
        chunk_changes,
        sample_changes,
    })
}

/// Bucket indexes with their absolute counts.
fn counts<K: Kind>(side: Side<'_, K>) -> impl Iterator<Item = (i64, Bucket<K>)> {
    let mut count = Bucket::<K>::default();
    indexes(side.spans)
        .zip(side.buckets)
        .map(move |(index, &bucket)| {
            count = K::absolute(count, bucket);
            (index, count)
        })
}

fn indexes(spans: &[Span]) -> impl Iterator<Item = i64> {
    spans_indexes(spans).map(i64::from)
}

/// Spans that grow by one bucket at a time, in ascending order.
#[derive(Default)]
struct Merged {
    spans: Vec<Span>,
    next: i64,
}

impl Merged {
    fn push(&mut self, index: i64) {
        match self.spans.last_mut() {
            Some(last) if self.next == index => last.length += 1,
            _ => self.spans.push(Span {
                offset: (index - self.next) as i32,
                length: 1,
            }),
        }
        self.next = index + 1;
    }
}

/// `side` with the buckets of `to`, which has all of its own and perhaps more: those are empty.
pub(super) fn spread<K: Kind>(side: Side<'_, K>, to: &[Span]) -> Vec<Bucket<K>> {
    let mut from = counts::<K>(side).peekable();
    let mut before = Bucket::<K>::default();
    let stored = |index| {
        let count = from
            .next_if(|&(at, _)| at == index)
            .map_or(Bucket::<K>::default(), |(_, count)| count);
        let stored = K::stored(before, count);
        before = count;
        stored
    };
    indexes(to).map(stored).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Float, Integer};
    use super::*;

    fn spans(spans: &[(i32, u32)]) -> Vec<Span> {
        spans
            .iter()
            .map(|&(offset, length)| Span { offset, length })
            .collect()
    }

    fn side<'a>(spans: &'a [Span], buckets: &'a [f64]) -> Side<'a, Float> {
        Side { spans, buckets }
    }

    #[test]
    fn equal_buckets_change_nothing() {
        let one = spans(&[(0, 2), (1, 1)]);
        let same = spans(&[(0, 1), (0, 1), (1, 1)]);
        let common = common(
            side(&one, &[1.0, 2.0, 0.0]),
            side(&same, &[1.0, 2.0, 3.0]),
            true,
        )
        .unwrap();
        assert_eq!(
            common,
            Common {
                spans: one,
                chunk_changes: false,
                sample_changes: false
            }
        );
    }

    #[test]
    fn new_buckets_widen_the_chunk() {
        let (old, new) = (spans(&[(0, 2)]), spans(&[(-1, 5)]));
        let common = common(side(&old, &[1.0, 2.0]), side(&new, &[1.0; 5]), false).unwrap();
        assert_eq!(
            common,
            Common {
                spans: new,
                chunk_changes: true,
                sample_changes: false
            }
        );
    }

    #[test]
    fn both_may_lack_buckets() {
        let (old, new) = (spans(&[(0, 2), (3, 1)]), spans(&[(1, 3)]));
        let both = common(
            side(&old, &[0.0, 2.0, 0.0]),
            side(&new, &[2.0, 1.0, 1.0]),
            true,
        )
        .unwrap();
        assert_eq!(both.spans, spans(&[(0, 4), (1, 1)]));
        assert!(both.chunk_changes && both.sample_changes);
        assert_eq!(
            spread(side(&old, &[0.0, 2.0, 0.0]), &both.spans),
            [0.0, 2.0, 0.0, 0.0, 0.0]
        );
        assert_eq!(
            spread(side(&new, &[2.0, 1.0, 1.0]), &both.spans),
            [0.0, 2.0, 1.0, 1.0, 0.0]
        );
    }

    #[test]
    fn less_is_a_reset_for_counters_only() {
        let one = spans(&[(0, 1)]);
        assert_eq!(common(side(&one, &[2.0]), side(&one, &[1.0]), true), None);
        assert_eq!(common(side(&one, &[2.0]), side(&[], &[]), true), None);
        assert!(common(side(&one, &[2.0]), side(&one, &[1.0]), false).is_some());
    }

    #[test]
    fn integer_buckets_keep_their_counts() {
        let (from, to) = (spans(&[(0, 2), (1, 1)]), spans(&[(-1, 6)]));
        // Counts 3, 5 and 4 at indexes 0, 1 and 3.
        let side = Side::<Integer> {
            spans: &from,
            buckets: &[3, 2, -1],
        };
        assert_eq!(spread(side, &to), [0, 3, 2, -5, 4, -4]);
    }
}
