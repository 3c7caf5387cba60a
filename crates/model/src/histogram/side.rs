//! One side of a histogram as a sorted list of buckets: the form in which layouts are reconciled.

use super::{Span, bucket_bound, spans_indexes};

/// Bucket counts by ascending index.
pub(super) type Side = Vec<(i32, f64)>;

/// The buckets that spans and counts describe.
pub(super) fn unpack(spans: &[Span], counts: &[f64]) -> Side {
    spans_indexes(spans).zip(counts.iter().copied()).collect()
}

/// The buckets that are not empty as spans and counts.
pub(super) fn pack(side: &[(i32, f64)]) -> (Vec<Span>, Vec<f64>) {
    let mut spans: Vec<Span> = Vec::new();
    let mut counts = Vec::with_capacity(side.len());
    let mut next = 0i32;
    for &(index, count) in side.iter().filter(|(_, count)| *count != 0.0) {
        counts.push(count);
        match spans.last_mut() {
            Some(span) if index == next => span.length += 1,
            _ => spans.push(Span {
                offset: index.wrapping_sub(next),
                length: 1,
            }),
        }
        next = index.wrapping_add(1);
    }
    (spans, counts)
}

/// The index of the coarser bucket that holds bucket `index`, `steps` schemas down.
pub(super) fn coarser_index(index: i32, steps: u32) -> i32 {
    ((index.wrapping_sub(1)) >> steps.min(31)).wrapping_add(1)
}

/// Joins buckets to those of a schema that is `steps` lower.
pub(super) fn coarsen(side: &mut Side, steps: u32) {
    if steps == 0 {
        return;
    }
    reindex(side, |index| coarser_index(index, steps));
}

/// Gives buckets new indexes, in the same order, and joins those that became one.
pub(super) fn reindex(side: &mut Side, map: impl Fn(i32) -> i32) {
    let mut kept = 0;
    for at in 0..side.len() {
        let (index, count) = (map(side[at].0), side[at].1);
        if kept > 0 && side[kept - 1].0 == index {
            side[kept - 1].1 += count;
        } else {
            side[kept] = (index, count);
            kept += 1;
        }
    }
    side.truncate(kept);
}

/// Drops buckets that lie within the zero bucket, at least in part.
pub(super) fn drop_below(side: &mut Side, schema: i32, threshold: f64) {
    if threshold > 0.0 {
        side.retain(|(index, _)| bucket_bound(index - 1, schema, &[]) >= threshold);
    }
}

/// Walks over two sides at once: for every index in either, its counts.
pub(super) fn zip(left: &[(i32, f64)], right: &[(i32, f64)], mut visit: impl FnMut(i32, f64, f64)) {
    let (mut l, mut r) = (0, 0);
    loop {
        match (left.get(l), right.get(r)) {
            (Some(&(i, a)), Some(&(j, b))) if i == j => {
                visit(i, a, b);
                l += 1;
                r += 1;
            }
            (Some(&(i, a)), other) if other.is_none_or(|(j, _)| i < *j) => {
                visit(i, a, 0.0);
                l += 1;
            }
            (_, Some(&(j, b))) => {
                visit(j, 0.0, b);
                r += 1;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_what_it_unpacked() {
        let spans = [
            Span {
                offset: -2,
                length: 2,
            },
            Span {
                offset: 3,
                length: 1,
            },
        ];
        let side = unpack(&spans, &[1.0, 2.0, 3.0]);
        assert_eq!(side, [(-2, 1.0), (-1, 2.0), (3, 3.0)]);
        assert_eq!(pack(&side), (spans.to_vec(), vec![1.0, 2.0, 3.0]));
    }

    #[test]
    fn coarser_buckets_hold_pairs() {
        let mut side = vec![(-1, 1.0), (0, 2.0), (1, 4.0), (2, 8.0), (3, 16.0)];
        coarsen(&mut side, 1);
        assert_eq!(side, [(0, 3.0), (1, 12.0), (2, 16.0)]);
    }
}
