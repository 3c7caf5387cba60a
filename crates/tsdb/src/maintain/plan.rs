//! Which blocks to merge: a decision from plain data.
//!
//! Overlapping blocks come first, because every query pays for them. Then
//! blocks that together fill a range of the next level: three of a level make
//! one of the next. The newest block is left alone, because what will join it
//! is still on its way. Source: Prometheus, `tsdb/compact.go`.

use headwater_model::Timestamp;

/// What the decision needs to know of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) min_time: Timestamp,
    /// The first millisecond behind the block.
    pub(super) max_time: Timestamp,
    /// A compaction of it has failed before.
    pub(super) failed: bool,
}

/// The spans of the levels: each three times as long as the one before.
pub(super) fn ranges(block_range: i64, max: i64) -> Vec<i64> {
    let mut out = vec![block_range];
    while let Some(next) = out.last().and_then(|last| last.checked_mul(3))
        && next <= max
    {
        out.push(next);
    }
    out
}

/// The positions of the blocks to merge, or nothing. `blocks` are sorted by
/// their first time.
pub(super) fn plan(blocks: &[Candidate], ranges: &[i64]) -> Vec<usize> {
    let overlapping = overlapping(blocks);
    if !overlapping.is_empty() {
        return overlapping;
    }
    let Some((_, older)) = blocks.split_last() else {
        return Vec::new();
    };
    let ends = older.iter().map(|block| block.max_time);
    let newest_start = ends.max().unwrap_or(Timestamp::MIN);
    ranges
        .iter()
        .skip(1)
        .find_map(|range| full_range(older, *range, newest_start))
        .unwrap_or_default()
}

/// The first run of blocks of which each overlaps those before it.
fn overlapping(blocks: &[Candidate]) -> Vec<usize> {
    let mut run: Vec<usize> = Vec::new();
    let mut end = Timestamp::MIN;
    for (at, block) in blocks.iter().enumerate() {
        if block.failed {
            continue;
        }
        if block.min_time < end {
            run.push(at);
        } else if run.len() > 1 {
            break;
        } else {
            run = vec![at];
        }
        end = end.max(block.max_time);
    }
    if run.len() > 1 { run } else { Vec::new() }
}

/// Two blocks or more in one range of this length which is full, or over. A block that failed does
/// not hold up the others: once it is mended it overlaps what they have become, and joins it.
fn full_range(blocks: &[Candidate], range: i64, newest: Timestamp) -> Option<Vec<usize>> {
    let group_of = |block: &Candidate| block.min_time.div_euclid(range);
    let mut at = 0;
    for group in blocks.chunk_by(|a, b| group_of(a) == group_of(b)) {
        let places = at..at + group.len();
        at += group.len();
        let (Some(first), Some(last)) = (group.first(), group.iter().map(|b| b.max_time).max())
        else {
            continue;
        };
        let start = group_of(first).saturating_mul(range);
        let end = start.saturating_add(range);
        let inside = last <= end;
        let whole = last.saturating_sub(first.min_time) == range;
        let complete = whole || newest >= end;
        let sound: Vec<usize> = places.filter(|at| !blocks[*at].failed).collect();
        if sound.len() > 1 && inside && complete {
            return Some(sound);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(spans: &[(i64, i64)]) -> Vec<Candidate> {
        let candidate = |&(min_time, max_time)| Candidate {
            min_time,
            max_time,
            failed: false,
        };
        spans.iter().map(candidate).collect()
    }

    #[test]
    fn levels_grow_threefold() {
        assert_eq!(ranges(2, 54), [2, 6, 18, 54]);
        assert_eq!(ranges(2, 53), [2, 6, 18]);
        assert_eq!(ranges(2, 1), [2]);
    }

    #[test]
    fn decisions() {
        let ranges = [20, 60, 180];
        type Spans<'a> = &'a [(i64, i64)];
        let cases: &[(Spans<'_>, &[usize])] = &[
            (&[], &[]),
            (&[(0, 20)], &[]),
            (&[(0, 20), (20, 40)], &[]),
            // Full, but the third is the newest.
            (&[(0, 20), (20, 40), (40, 60)], &[]),
            (&[(0, 20), (20, 40), (40, 60), (60, 80)], &[0, 1, 2]),
            // A gap is no hindrance once the range is over.
            (&[(0, 20), (40, 60), (60, 80)], &[0, 1]),
            (&[(0, 20), (20, 40), (60, 80), (80, 100)], &[0, 1]),
            (&[(20, 40), (60, 80), (80, 100)], &[]),
            (&[(0, 60), (60, 120), (120, 180), (180, 200)], &[0, 1, 2]),
            // Overlapping ones first, the newest too.
            (
                &[(0, 20), (20, 40), (30, 50), (40, 60), (60, 80)],
                &[1, 2, 3],
            ),
            (&[(0, 60), (0, 20)], &[0, 1]),
        ];
        for (spans, wanted) in cases {
            assert_eq!(plan(&blocks(spans), &ranges), *wanted, "{spans:?}");
        }
    }

    #[test]
    fn blocks_that_failed_are_left_alone_and_hold_up_nobody() {
        let mut all = blocks(&[(0, 20), (20, 40), (40, 60), (60, 80)]);
        all[1].failed = true;
        assert_eq!(plan(&all, &[20, 60]), [0, 2]);
        // What has become of the others waits for it, and does not try again.
        let mut all = blocks(&[(0, 60), (20, 40), (60, 80)]);
        all[1].failed = true;
        assert!(plan(&all, &[20, 60]).is_empty());
        // It is mended.
        all[1].failed = false;
        assert_eq!(plan(&all, &[20, 60]), [0, 1]);
        let mut all = blocks(&[(0, 60), (20, 40), (60, 120), (120, 180), (180, 200)]);
        all[1].failed = true;
        assert_eq!(plan(&all, &[20, 60, 180]), [0, 2, 3]);
    }
}
