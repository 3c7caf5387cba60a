//! Functions over the samples of a range: which steps see a sample, and what
//! a step makes of those it sees.

use headwater_query::{ABSENT, StepGrid};

use crate::ast::RangeOp;

/// The grid of steps with the range that each of them looks back on: the step
/// at `t` sees the samples after `t - offset - range` up to `t - offset`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    grid: StepGrid,
    range: i64,
    offset: i64,
}

/// A stretch of time in which all samples are seen by the same steps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    /// Samples after this time.
    after: i64,
    /// Samples up to this time.
    until: i64,
    /// First step that sees them.
    pub(crate) first: usize,
    /// First step behind that does not.
    pub(crate) end: usize,
}

impl Cell {
    /// A cell that holds no time.
    pub(crate) const NONE: Self = Self {
        after: i64::MAX,
        until: i64::MIN,
        first: 0,
        end: 0,
    };

    /// Whether samples of this time belong to the cell.
    pub(crate) const fn holds(&self, time: i64) -> bool {
        self.after < time && time <= self.until
    }
}

impl Windows {
    /// Times in nanoseconds.
    pub(crate) const fn new(grid: StepGrid, range: i64, offset: i64) -> Self {
        Self {
            grid,
            range,
            offset,
        }
    }

    pub(crate) const fn steps(&self) -> usize {
        self.grid.len()
    }

    /// Samples that any step sees: after the first number, up to the second.
    pub(crate) fn span(&self) -> (i64, i64) {
        let first = self.grid.first().saturating_sub(self.offset);
        let last = self.grid.last().saturating_sub(self.offset);
        (first.saturating_sub(self.range), last)
    }

    /// The steps that see samples of this time, for it and its neighbours.
    pub(crate) fn cell(&self, time: i64) -> Cell {
        let moved = time.saturating_add(self.offset);
        let first = self.grid.first_at_or_after(moved);
        let end = self
            .grid
            .first_at_or_after(moved.saturating_add(self.range));
        let at = |index: usize| self.grid.time(index).saturating_sub(self.offset);
        let below = |index: usize, by: i64| match index {
            0 => i64::MIN,
            index => at(index - 1).saturating_sub(by),
        };
        let above = |index: usize, by: i64| match index < self.grid.len() {
            true => at(index).saturating_sub(by),
            false => i64::MAX,
        };
        Cell {
            after: below(first, 0).max(below(end, self.range)),
            until: above(first, 0).min(above(end, self.range)),
            first,
            end,
        }
    }

    /// The length of the range in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.range as f64 / 1e9
    }

    /// Calls `step` with every step that sees samples, and the samples it
    /// sees, which must be in order of time.
    fn each(&self, samples: &[(i64, f64)], mut step: impl FnMut(usize, &[(i64, f64)])) {
        let (mut low, mut high) = (0, 0);
        for index in 0..self.grid.len() {
            let until = self.grid.time(index).saturating_sub(self.offset);
            let after = until.saturating_sub(self.range);
            while high < samples.len() && samples[high].0 <= until {
                high += 1;
            }
            while low < high && samples[low].0 <= after {
                low += 1;
            }
            if low < high {
                step(index, &samples[low..high]);
            }
        }
    }

    /// The values of a function at every step.
    pub(crate) fn apply(&self, op: RangeOp, param: f64, samples: &mut [(i64, f64)]) -> Vec<f64> {
        if !samples.is_sorted_by_key(|s| s.0) {
            samples.sort_by_key(|s| s.0);
        }
        let mut values = vec![ABSENT; self.grid.len()];
        let mut scratch = Vec::new();
        self.each(samples, |index, seen| {
            let until = self.grid.time(index).saturating_sub(self.offset);
            values[index] = self.value(op, param, seen, until, &mut scratch);
        });
        values
    }

    /// The value of a function over the samples that the step at `until` sees.
    fn value(
        &self,
        op: RangeOp,
        param: f64,
        seen: &[(i64, f64)],
        until: i64,
        scratch: &mut Vec<f64>,
    ) -> f64 {
        let all = || seen.iter().map(|s| s.1);
        let sum = || all().sum::<f64>();
        match op {
            RangeOp::Count => seen.len() as f64,
            RangeOp::Sum | RangeOp::Bytes => sum(),
            RangeOp::Rate | RangeOp::BytesRate => sum() / self.seconds(),
            RangeOp::RateCounter => counter_rate(seen, until.saturating_sub(self.range), until),
            RangeOp::Avg => mean(seen),
            RangeOp::Min => all().fold(f64::NAN, |a, b| if b < a || a.is_nan() { b } else { a }),
            RangeOp::Max => all().fold(f64::NAN, |a, b| if b > a || a.is_nan() { b } else { a }),
            RangeOp::Stdvar => variance(seen),
            RangeOp::Stddev => variance(seen).sqrt(),
            RangeOp::Quantile => {
                scratch.clear();
                scratch.extend(all());
                quantile(param, scratch)
            }
            RangeOp::First => seen[0].1,
            RangeOp::Last => seen[seen.len() - 1].1,
            RangeOp::Absent => 1.0,
        }
    }
}

fn mean(seen: &[(i64, f64)]) -> f64 {
    let mut mean = 0.0;
    for (count, (_, value)) in (1..).map(f64::from).zip(seen) {
        if f64::is_infinite(mean) && (value.is_infinite() || !value.is_nan()) {
            if value.is_infinite() && mean.signum() != value.signum() {
                return f64::NAN;
            }
            continue;
        }
        mean += value / count - mean / count;
    }
    mean
}

/// Welford's method; of the whole population.
fn variance(seen: &[(i64, f64)]) -> f64 {
    let (mut mean, mut squares, mut count) = (0.0, 0.0, 0.0);
    for (_, value) in seen {
        count += 1.0;
        let distance = value - mean;
        mean += distance / count;
        squares += distance * (value - mean);
    }
    squares / count
}

/// Linear between ranks; not a number sorts lowest.
fn quantile(q: f64, values: &mut [f64]) -> f64 {
    match q {
        q if q.is_nan() => return f64::NAN,
        q if q < 0.0 => return f64::NEG_INFINITY,
        q if q > 1.0 => return f64::INFINITY,
        _ => {}
    }
    values.sort_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.total_cmp(b),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    });
    let rank = q * (values.len() - 1) as f64;
    let low = rank.floor().max(0.0) as usize;
    let high = (low + 1).min(values.len() - 1);
    let weight = rank - rank.floor();
    values[low] * (1.0 - weight) + values[high] * weight
}

/// Increase per second of a counter that may start anew, extrapolated to the
/// ends of the range as Prometheus does: half a distance of samples further
/// at most where a sample lies far from the end, and never below zero.
fn counter_rate(seen: &[(i64, f64)], after: i64, until: i64) -> f64 {
    if seen.len() < 2 {
        return 0.0;
    }
    let (first, last) = (seen[0], seen[seen.len() - 1]);
    let mut increase = last.1 - first.1;
    let mut before = 0.0;
    for (_, value) in seen {
        if *value < before {
            increase += before;
        }
        before = *value;
    }
    let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1e9;
    let sampled = seconds(first.0, last.0);
    let between = sampled / (seen.len() - 1) as f64;
    let capped = |distance: f64| match distance >= between * 1.1 {
        true => between / 2.0,
        false => distance,
    };
    let mut to_start = capped(seconds(after, first.0));
    if increase > 0.0 && first.1 >= 0.0 {
        to_start = to_start.min(sampled * (first.1 / increase));
    }
    let reach = sampled + to_start + capped(seconds(last.0, until));
    increase * (reach / sampled) / seconds(after, until)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_open_below_and_closed_above() {
        let grid = StepGrid::new(60, 120, 15).expect("a grid");
        let windows = Windows::new(grid, 30, 0);
        assert_eq!(windows.span(), (30, 120));
        let mut samples: Vec<(i64, f64)> = (0..13).map(|i| (i * 10, 1.0)).collect();
        let counts = windows.apply(RangeOp::Count, 0.0, &mut samples);
        assert_eq!(counts, [3.0, 3.0, 3.0, 3.0, 3.0]);
        for (time, _) in samples {
            let cell = windows.cell(time);
            for step in 0..5 {
                let until = grid.time(step);
                let seen = until - 30 < time && time <= until;
                assert_eq!(
                    (cell.first..cell.end).contains(&step),
                    seen,
                    "{time} {step}"
                );
            }
            assert!(cell.holds(time) || cell.first == cell.end);
        }
    }

    #[test]
    fn cells_hold_times_of_the_same_steps() {
        let grid = StepGrid::new(100, 200, 10).expect("a grid");
        for (range, offset) in [(25, 0), (10, 7), (3, -4)] {
            let windows = Windows::new(grid, range, offset);
            for time in 50..230 {
                let cell = windows.cell(time);
                for near in [time - 1, time + 1] {
                    if cell.holds(near) {
                        let other = windows.cell(near);
                        assert_eq!((cell.first, cell.end), (other.first, other.end));
                    }
                }
            }
        }
    }

    #[test]
    fn kernels() {
        let seen: Vec<(i64, f64)> = [1.0, 2.0, 3.0, 4.0]
            .into_iter()
            .enumerate()
            .map(|(i, v)| (i as i64, v))
            .collect();
        assert_eq!(mean(&seen), 2.5);
        assert_eq!(variance(&seen), 1.25);
        let mut values = vec![4.0, 1.0, 3.0, 2.0];
        assert_eq!(quantile(0.5, &mut values), 2.5);
        assert_eq!(quantile(1.5, &mut values), f64::INFINITY);
    }
}
