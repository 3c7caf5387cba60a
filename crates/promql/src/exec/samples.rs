//! Samples of one series as range functions see them, and windows on them.

use std::sync::Arc;

use headwater_model::{Labels, ResetHint, SeriesColumns, Timestamp, is_stale_nan};
use headwater_query::{StepGrid, is_present};

use super::column::{Column, Hist};

/// All samples of a series that any window needs, stale markers taken out.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    pub(crate) times: Vec<Timestamp>,
    pub(crate) values: Vec<f64>,
    /// No value is less than the one before, and none is NaN.
    pub(crate) rising: bool,
    /// Start timestamps; empty if there are none.
    pub(crate) starts: Vec<Timestamp>,
    pub(crate) hist_times: Vec<Timestamp>,
    pub(crate) hists: Vec<Hist>,
    pub(crate) hist_starts: Vec<Timestamp>,
}

impl Samples {
    fn clear(&mut self) {
        self.times.clear();
        self.values.clear();
        self.rising = false;
        self.starts.clear();
        self.hist_times.clear();
        self.hists.clear();
        self.hist_starts.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty() && self.hists.is_empty()
    }

    /// Takes the samples of a store, whose columns become scratch.
    pub(crate) fn fill(&mut self, columns: &mut SeriesColumns, use_starts: bool, stats_only: bool) {
        self.clear();
        let floats = &mut columns.floats;
        std::mem::swap(&mut self.times, &mut floats.times);
        std::mem::swap(&mut self.values, &mut floats.values);
        if use_starts {
            std::mem::swap(&mut self.starts, &mut floats.starts);
        }
        self.rising = rises(&self.values);
        if !self.rising
            && has_nan(&self.values)
            && self.values.iter().any(|value| is_stale_nan(*value))
        {
            self.drop_stale();
        }
        if !columns.histograms.is_empty() {
            self.fill_histograms(columns, use_starts);
            if stats_only {
                find_resets(self.hists.iter_mut());
            }
        }
    }

    fn drop_stale(&mut self) {
        let mut kept = 0;
        for at in 0..self.values.len() {
            if is_stale_nan(self.values[at]) {
                continue;
            }
            self.values[kept] = self.values[at];
            self.times[kept] = self.times[at];
            if !self.starts.is_empty() {
                self.starts[kept] = self.starts[at];
            }
            kept += 1;
        }
        self.values.truncate(kept);
        self.times.truncate(kept);
        self.starts.truncate(kept);
    }

    fn fill_histograms(&mut self, columns: &SeriesColumns, use_starts: bool) {
        let column = &columns.histograms;
        for (at, time) in column.times().iter().enumerate() {
            if !column.get(at).is_stale() {
                self.hist_times.push(*time);
                self.hists.push(column.float(at));
                if use_starts {
                    self.hist_starts.push(column.start(at));
                }
            }
        }
    }

    /// Takes the values that a subquery has at its steps.
    pub(crate) fn fill_from_steps(&mut self, column: &Column, grid: StepGrid) {
        self.clear();
        for (step, value) in column
            .floats
            .iter()
            .enumerate()
            .filter(|(_, value)| is_present(**value))
        {
            self.times.push(grid.time(step));
            self.values.push(*value);
        }
        for (step, hist) in &column.hists {
            self.hist_times.push(grid.time(*step as usize));
            self.hists.push(without_reset_hint(hist));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.times.len() + self.hists.len()
    }
}

/// Whether values are numbers, none of them less than the one before: so it is with nearly all
/// counters, and with hardly anything else beyond the first few values.
fn rises(values: &[f64]) -> bool {
    /// Values that are looked at without a branch.
    const RUN: usize = 64;
    let mut rest = values;
    while let [_, later @ ..] = rest {
        let run = later.len().min(RUN);
        let neighbours = rest.iter().zip(&later[..run]);
        if !neighbours.fold(true, |rises, (before, now)| rises & (before <= now)) {
            return false;
        }
        if run == 0 {
            break;
        }
        rest = &rest[run..];
    }
    values.first().is_none_or(|first| !first.is_nan())
}

/// Whether any value is not a number; without a branch, so that several are looked at at once.
pub(crate) fn has_nan(values: &[f64]) -> bool {
    values
        .iter()
        .fold(false, |found, value| found | value.is_nan())
}

/// Gives histograms that do not know whether they follow a reset a hint that says so.
pub(crate) fn find_resets<'a>(hists: impl Iterator<Item = &'a mut Hist>) {
    let mut previous: Option<Hist> = None;
    for hist in hists {
        let before = previous.replace(hist.clone());
        if let (ResetHint::Unknown, Some(before)) = (hist.reset_hint, before) {
            let reset = hist.detect_reset(&before);
            Arc::make_mut(hist).reset_hint = if reset {
                ResetHint::Reset
            } else {
                ResetHint::NotReset
            };
        }
    }
}

/// A subquery may return a sample several times or skip some, so what was known of resets is not known any more.
fn without_reset_hint(hist: &Hist) -> Hist {
    match hist.reset_hint {
        ResetHint::Reset | ResetHint::NotReset => {
            let mut copy = (**hist).clone();
            copy.reset_hint = ResetHint::Unknown;
            Arc::new(copy)
        }
        _ => hist.clone(),
    }
}

/// The samples of one step's range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) times: &'a [Timestamp],
    pub(crate) values: &'a [f64],
    /// As long as `values`, or empty.
    pub(crate) starts: &'a [Timestamp],
    pub(crate) hist_times: &'a [Timestamp],
    pub(crate) hists: &'a [Hist],
    /// As long as `hists`, or empty.
    pub(crate) hist_starts: &'a [Timestamp],
    /// The range is open on this side.
    pub(crate) range_start: Timestamp,
    /// The range is closed on this side.
    pub(crate) range_end: Timestamp,
    /// Time of the step.
    pub(crate) now: Timestamp,
    /// The series.
    pub(crate) labels: &'a Labels,
}

impl Window<'_> {
    pub(crate) fn metric(&self) -> &str {
        self.labels.metric_name().unwrap_or("")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.hists.is_empty()
    }

    /// Both kinds of samples are there.
    pub(crate) fn is_mixed(&self) -> bool {
        !self.values.is_empty() && !self.hists.is_empty()
    }
}

/// Where the range of each step lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ranges {
    pub(crate) grid: StepGrid,
    pub(crate) at: Option<Timestamp>,
    pub(crate) offset: i64,
    pub(crate) window: i64,
    /// How much more is read before and after the range (`anchored`, `smoothed`).
    pub(crate) before: i64,
    pub(crate) after: i64,
}

impl Ranges {
    /// The right end of the range of a step.
    pub(crate) fn edge(&self, step: usize) -> Timestamp {
        self.at.unwrap_or_else(|| self.grid.time(step)) - self.offset
    }
}

/// Slides over the samples: calls `visit` for each step that has samples in its range.
pub(crate) fn slide<'a, E>(
    samples: &'a Samples,
    labels: &'a Labels,
    ranges: &Ranges,
    mut visit: impl FnMut(usize, Window<'a>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut floats, mut hists) = (Span::default(), Span::default());
    for step in 0..ranges.grid.len() {
        let range_end = ranges.edge(step);
        let range_start = range_end.saturating_sub(ranges.window);
        let (from, to) = (
            range_start.saturating_sub(ranges.before),
            range_end.saturating_add(ranges.after),
        );
        floats.advance(&samples.times, from, to);
        hists.advance(&samples.hist_times, from, to);
        let cut = |starts: &'a [Timestamp], span: Span| {
            if starts.is_empty() {
                starts
            } else {
                &starts[span.low..span.high]
            }
        };
        let window = Window {
            times: &samples.times[floats.low..floats.high],
            values: &samples.values[floats.low..floats.high],
            starts: cut(&samples.starts, floats),
            hist_times: &samples.hist_times[hists.low..hists.high],
            hists: &samples.hists[hists.low..hists.high],
            hist_starts: cut(&samples.hist_starts, hists),
            range_start,
            range_end,
            now: ranges.grid.time(step),
            labels,
        };
        if !window.is_empty() {
            visit(step, window)?;
        }
    }
    Ok(())
}

/// A moving pair of positions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    pub(crate) low: usize,
    pub(crate) high: usize,
}

impl Span {
    /// Moves to the times in `(from, to]`, which never lie before those of the step before.
    #[inline]
    pub(crate) fn advance(&mut self, times: &[Timestamp], from: Timestamp, to: Timestamp) {
        self.high = gallop(times, self.high, to);
        self.low = gallop(times, self.low, from).min(self.high);
    }
}

/// The first position at or after `start` whose time is beyond `limit`.
#[inline]
pub(crate) fn gallop(times: &[Timestamp], start: usize, limit: Timestamp) -> usize {
    let rest = &times[start..];
    let near = rest.len().min(8);
    match rest[..near].iter().position(|time| *time > limit) {
        Some(at) => start + at,
        None if near == rest.len() => times.len(),
        None => start + near + rest[near..].partition_point(|time| *time <= limit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_open_on_the_left() {
        let samples = Samples {
            times: vec![0, 10, 20, 30],
            values: vec![0.0, 1.0, 2.0, 3.0],
            ..Samples::default()
        };
        let grid = StepGrid::new(20, 60, 10).unwrap();
        let ranges = Ranges {
            grid,
            at: None,
            offset: 0,
            window: 20,
            before: 0,
            after: 0,
        };
        let mut seen = Vec::new();
        slide(&samples, &Labels::empty(), &ranges, |step, window| {
            seen.push((step, window.values.to_vec()));
            Ok::<_, ()>(())
        })
        .unwrap();
        assert_eq!(
            seen,
            [(0, vec![1.0, 2.0]), (1, vec![2.0, 3.0]), (2, vec![3.0])]
        );
    }

    #[test]
    fn rising_values_are_recognised() {
        let up: Vec<f64> = (0..200).map(|at| f64::from(at / 3)).collect();
        for len in [0, 1, 2, 64, 65, 66, 128, 129, 200] {
            assert!(rises(&up[..len]), "{len}");
            for at in 1..len {
                for odd in [-1.0, f64::NAN] {
                    let mut values = up[..len].to_vec();
                    values[at] = odd;
                    assert!(!rises(&values), "{odd} at {at} of {len}");
                }
            }
        }
        assert!(!rises(&[f64::NAN]) && !rises(&[f64::NAN, 1.0]));
    }

    #[test]
    fn stale_markers_are_taken_out() {
        let mut columns = SeriesColumns::default();
        for (time, value) in [(1, 1.0), (2, headwater_model::stale_nan()), (3, 3.0)] {
            columns.floats.push(time, value);
        }
        let mut samples = Samples::default();
        samples.fill(&mut columns, true, false);
        assert_eq!(
            (samples.times, samples.values),
            (vec![1, 3], vec![1.0, 3.0])
        );
    }
}
