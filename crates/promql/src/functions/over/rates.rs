//! `rate`, `increase` and `delta` of a whole series of floats at once.
//!
//! What stretches the change of a step to its range depends on times alone, unless a counter would
//! have to fall below zero. So it is found once for all series with the same times, and what is left
//! for a series is one subtraction and one product a step; samples between the ends of a range are
//! looked at only if the counter was reset anywhere.

use headwater_model::Timestamp;

use super::Slope;
use crate::exec::samples::{Ranges, Samples};
use crate::exec::spans::{Span, Spans};

/// Computes one series after the other for the same steps.
#[derive(Debug)]
pub(crate) struct Rates {
    is_counter: bool,
    /// Seconds by which changes are divided.
    divisor: f64,
    steps: Vec<Stretch>,
    /// Samples that are less than those before them.
    resets: Vec<u32>,
}

impl Rates {
    pub(crate) fn new(slope: Slope, ranges: &Ranges) -> Self {
        let divisor = match slope {
            Slope::Rate => ranges.window as f64 / 1000.0,
            Slope::Increase | Slope::Delta => 1.0,
        };
        Self {
            is_counter: slope.is_counter(),
            divisor,
            steps: Vec::new(),
            resets: Vec::new(),
        }
    }

    /// Bytes that so many steps take.
    pub(crate) const fn size_bytes(steps: usize) -> u64 {
        (steps * size_of::<Stretch>()) as u64
    }

    /// The times of the series are others than those of the one before.
    pub(crate) fn look_at_times(&mut self, times: &[Timestamp], spans: &Spans, ranges: &Ranges) {
        self.steps.clear();
        let mut last = (0, 0, 0, Stretch::default());
        for (step, span) in spans.steps().iter().enumerate() {
            if span.len() >= 2 {
                let (first, end) = (times[span.low as usize], times[span.high as usize - 1]);
                let range_end = ranges.edge(step);
                let (sampled, to_end) = (end - first, range_end - end);
                if (sampled, to_end, span.len()) != (last.0, last.1, last.2) {
                    let range_start = range_end.saturating_sub(ranges.window);
                    let gaps = (first - range_start, to_end);
                    let stretch = Stretch::new(sampled, gaps, span.len() - 1, self.divisor);
                    last = (sampled, to_end, span.len(), stretch);
                }
            }
            self.steps.push(last.3);
        }
    }

    /// Writes the value of each step that has one.
    pub(crate) fn evaluate(&mut self, samples: &Samples, spans: &Spans, into: &mut [f64]) {
        let values = &samples.values[..];
        if !self.is_counter {
            return self.each(values, spans, into, |stretch, change, _| {
                change * stretch.factor
            });
        }
        let divisor = self.divisor;
        let counter =
            move |stretch: &Stretch, change, first| stretch.of_counter(change, first, divisor);
        if !samples.rising {
            self.resets.clear();
            let fell = |at: &u32| values[*at as usize] < values[*at as usize - 1];
            self.resets.extend((1..values.len() as u32).filter(fell));
            return self.with_resets(values, spans, into, counter);
        }
        self.each(values, spans, into, counter);
    }

    #[inline]
    fn each(
        &self,
        values: &[f64],
        spans: &Spans,
        into: &mut [f64],
        finish: impl Fn(&Stretch, f64, f64) -> f64,
    ) {
        for ((out, span), stretch) in into.iter_mut().zip(spans.steps()).zip(&self.steps) {
            if span.len() >= 2 {
                let (first, last) = ends(values, *span);
                *out = finish(stretch, last - first, first);
            }
        }
    }

    /// Adds what a counter lost with each reset in the range.
    fn with_resets(
        &self,
        values: &[f64],
        spans: &Spans,
        into: &mut [f64],
        finish: impl Fn(&Stretch, f64, f64) -> f64,
    ) {
        let mut resets = &self.resets[..];
        for ((out, span), stretch) in into.iter_mut().zip(spans.steps()).zip(&self.steps) {
            if span.len() < 2 {
                continue;
            }
            while let [reset, later @ ..] = resets
                && *reset <= span.low
            {
                resets = later;
            }
            let (first, last) = ends(values, *span);
            let lost = resets.iter().take_while(|reset| **reset < span.high);
            let change = lost.fold(last - first, |change, reset| {
                change + values[*reset as usize - 1]
            });
            *out = finish(stretch, change, first);
        }
    }
}

/// First and last value of a span.
#[inline]
fn ends(values: &[f64], span: Span) -> (f64, f64) {
    (values[span.low as usize], values[span.high as usize - 1])
}

/// What stretches the change of a step to its range. Times in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    /// From first to last sample.
    sampled: f64,
    /// What counts of the gaps between the samples and the ends of the range.
    to_start: f64,
    to_end: f64,
    /// By what the change is multiplied.
    factor: f64,
}

impl Stretch {
    fn new(sampled: i64, (to_start, to_end): (i64, i64), intervals: u32, divisor: f64) -> Self {
        let sampled = sampled as f64;
        let near = |gap: i64| near(gap as f64, sampled, f64::from(intervals));
        let (to_start, to_end) = (near(to_start), near(to_end));
        Self {
            sampled,
            to_start,
            to_end,
            factor: (sampled + to_start + to_end) / (sampled * divisor),
        }
    }

    /// The result for a counter, which is stretched no further back than to where one that rises would
    /// have been zero.
    #[inline]
    fn of_counter(&self, change: f64, first: f64, divisor: f64) -> f64 {
        // Numbers so large that products overflow are divided first.
        const LARGE: f64 = 1e290;
        let rises = change > 0.0 && first >= 0.0;
        let far = first < LARGE && change < LARGE && self.sampled * first >= self.to_start * change;
        if !rises || far {
            return change * self.factor;
        }
        let to_start = (self.sampled * (first / change)).min(self.to_start);
        change * ((self.sampled + to_start + self.to_end) / (self.sampled * divisor))
    }
}

/// What counts of a gap at an end of a range: if another sample should have been seen there, half a
/// distance between samples.
fn near(gap: f64, sampled: f64, intervals: f64) -> f64 {
    let distance = sampled / intervals;
    let threshold = distance * 1.1;
    // Near the threshold what counts is which side Prometheus's seconds are rounded to.
    let beyond = if (gap - threshold).abs() > gap * 1e-9 {
        gap >= threshold
    } else {
        gap / 1000.0 >= sampled / 1000.0 / intervals * 1.1
    };
    if beyond { distance / 2.0 } else { gap }
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;
    use headwater_query::{ABSENT, StepGrid, is_absent};
    use proptest::prelude::*;

    use super::*;
    use crate::annotation::Notes;
    use crate::exec::samples::slide;
    use crate::functions::over::{Out, OverContext, rate};
    use crate::syntax::ast::Extension;
    use crate::syntax::position::PosRange;

    /// One step after the other, by the function for single ranges.
    fn by_step(samples: &Samples, ranges: &Ranges, slope: Slope) -> Vec<f64> {
        let notes = Notes::default();
        let cx = OverContext {
            notes: &notes,
            place: PosRange::default(),
            window: ranges.window,
            extension: Extension::None,
            params: [0.0; 2],
        };
        let mut out = vec![ABSENT; ranges.grid.len()];
        slide(samples, &Labels::empty(), ranges, |step, window| {
            if let Out::Float(value) = rate::rate(&window, &cx, slope) {
                out[step] = value;
            }
            Ok::<_, ()>(())
        })
        .unwrap();
        out
    }

    fn alike(a: f64, b: f64) -> bool {
        a.to_bits() == b.to_bits() || (a - b).abs() <= a.abs() * 1e-12 || a.is_nan() && b.is_nan()
    }

    proptest! {
        #[test]
        fn all_at_once_is_as_one_by_one(
            series in proptest::collection::vec(
                proptest::collection::vec((prop_oneof![6 => Just(15_000i64), 1 => 1..60_000i64], prop_oneof![6 => 0.0..50.0, 1 => Just(-1e3), 1 => Just(f64::NAN)]), 0..60),
                1..3,
            ),
            step in 1..70_000i64,
            window in 1..150_000i64,
            slope in prop_oneof![Just(Slope::Rate), Just(Slope::Increase), Just(Slope::Delta)],
        ) {
            let ranges = Ranges {
                grid: StepGrid::new(0, step * 20, step).unwrap(),
                at: None,
                offset: 0,
                window,
                before: 0,
                after: 0,
            };
            let (mut spans, mut rates) = (Spans::default(), Rates::new(slope, &ranges));
            for steps in series {
                let mut samples = Samples::default();
                let (mut time, mut value) = (0, 0f64);
                for (gap, rise) in steps {
                    let rise: f64 = rise;
                    time += gap;
                    value = if value.is_nan() { 5.0 } else { (value + rise).max(0.0) };
                    samples.times.push(time);
                    samples.values.push(value);
                }
                if spans.find(&samples.times, &ranges) {
                    rates.look_at_times(&samples.times, &spans, &ranges);
                }
                let mut out = vec![ABSENT; ranges.grid.len()];
                rates.evaluate(&samples, &spans, &mut out);
                for (found, expected) in out.iter().zip(by_step(&samples, &ranges, slope)) {
                    prop_assert_eq!(is_absent(*found), is_absent(expected));
                    prop_assert!(alike(*found, expected), "{found} {expected}");
                }
            }
        }
    }
}
