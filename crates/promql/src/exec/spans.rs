//! Where the ranges of all steps lie among the samples of a series.
//!
//! Nothing but the times of the samples decides on this. Series of one target share their times, so
//! what was found for one series is used again as long as the next has the same times. Otherwise the
//! position of each step is guessed from the step before: samples mostly come at regular intervals.

use headwater_model::Timestamp;

use super::samples::{Ranges, gallop};

/// Positions of the first sample in a range, and of the first one behind it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl Span {
    /// Samples in the range.
    #[inline]
    pub(crate) const fn len(self) -> u32 {
        self.high - self.low
    }
}

/// The spans of all steps.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    /// The times for which they were found.
    times: Vec<Timestamp>,
    steps: Vec<Span>,
    looked: u64,
    read: u64,
    filled: u64,
}

impl Spans {
    /// Bytes that finding the spans of so many samples and steps takes.
    pub(crate) const fn size_bytes(samples: usize, steps: usize) -> u64 {
        (samples * size_of::<Timestamp>() + steps * size_of::<Span>()) as u64
    }

    /// Finds the spans; answers whether they are others than before. `ranges` must be the same each time.
    pub(crate) fn find(&mut self, times: &[Timestamp], ranges: &Ranges) -> bool {
        if self.times == times && !self.steps.is_empty() {
            return false;
        }
        self.times.clear();
        self.times.extend_from_slice(times);
        self.steps.clear();
        (self.looked, self.read, self.filled) = (0, 0, 0);
        let (mut low, mut high) = (Edge::default(), Edge::default());
        for step in 0..ranges.grid.len() {
            let end = ranges.edge(step);
            let before = high.at;
            high.advance(times, end);
            low.advance(times, end.saturating_sub(ranges.window));
            let from = low.at.min(high.at);
            self.looked += (high.at - from) as u64;
            self.read += (high.at - before.max(from)) as u64;
            self.filled += u64::from(from < high.at);
            self.steps.push(Span {
                low: from as u32,
                high: high.at as u32,
            });
        }
        true
    }

    /// One span a step.
    pub(crate) fn steps(&self) -> &[Span] {
        &self.steps
    }

    /// Steps that have a sample in their range.
    pub(crate) const fn filled(&self) -> u64 {
        self.filled
    }

    /// Samples in all ranges together, and without those that a range before had too.
    pub(crate) const fn totals(&self) -> (u64, u64) {
        (self.looked, self.read)
    }

    /// The same by step.
    pub(crate) fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let mut before = 0;
        self.steps.iter().map(move |span| {
            let read = span.high - span.low.max(before);
            before = span.high;
            (u64::from(span.len()), u64::from(read))
        })
    }
}

/// One end of the ranges.
#[derive(Default)]
struct Edge {
    at: usize,
    /// How far it moved with the step before.
    stride: usize,
}

impl Edge {
    /// Moves behind the times up to `limit`, which never lies before that of the last call.
    #[inline]
    fn advance(&mut self, times: &[Timestamp], limit: Timestamp) {
        let guess = (self.at + self.stride).min(times.len());
        let at = if guess > self.at && times[guess - 1] > limit {
            self.at + times[self.at..guess].partition_point(|time| *time <= limit)
        } else {
            gallop(times, guess, limit)
        };
        (self.stride, self.at) = (at - self.at, at);
    }
}

#[cfg(test)]
mod tests {
    use headwater_query::StepGrid;
    use proptest::prelude::*;

    use super::*;

    fn ranges(start: i64, step: i64, steps: i64, window: i64) -> Ranges {
        Ranges {
            grid: StepGrid::new(start, start + step * (steps - 1), step).unwrap(),
            at: None,
            offset: 0,
            window,
            before: 0,
            after: 0,
        }
    }

    proptest! {
        #[test]
        fn each_span_holds_its_range(
            gaps in proptest::collection::vec(prop_oneof![4 => Just(15), 1 => 1..200i64], 0..60),
            start in -50..300i64,
            step in 1..90i64,
            window in 0..150i64,
        ) {
            let times: Vec<i64> = gaps.iter().scan(0, |time, gap| { *time += gap; Some(*time) }).collect();
            let ranges = ranges(start, step, 30, window);
            let mut spans = Spans::default();
            prop_assert!(spans.find(&times, &ranges));
            let mut seen = 0;
            for (step, (span, counts)) in spans.steps().iter().zip(spans.counts()).enumerate() {
                let end = ranges.edge(step);
                let inside: Vec<usize> = (0..times.len()).filter(|at| times[*at] <= end && times[*at] > end - window).collect();
                let found: Vec<usize> = (span.low as usize..span.high as usize).collect();
                prop_assert_eq!(&found, &inside);
                let fresh = inside.iter().filter(|at| **at >= seen).count();
                seen = seen.max(span.high as usize);
                prop_assert_eq!(counts, (inside.len() as u64, fresh as u64));
            }
            let sum = spans.counts().fold((0, 0), |sum, new| (sum.0 + new.0, sum.1 + new.1));
            prop_assert_eq!(sum, spans.totals());
            prop_assert!(!spans.find(&times, &ranges));
        }
    }
}
