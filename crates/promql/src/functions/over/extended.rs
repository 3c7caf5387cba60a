//! `anchored` and `smoothed` ranges: values exactly at the ends of the range instead of extrapolation.
//!
//! Anchored: the last sample at or before the start counts as lying on it, the last sample in the
//! range as lying on the end. Smoothed: values at both ends are interpolated between the samples around them.

use headwater_model::{FloatHistogram, ResetHint, Timestamp};

use super::{Out, OverContext, Slope};
use crate::annotation::{Note, Operation};
use crate::exec::samples::Window;
use crate::syntax::ast::Extension;

/// The first float and the first histogram to look at: the newest sample at or before the start of
/// the range stands on the start, older ones do not count. `None` if no sample lies in the range.
pub(super) fn anchors(window: &Window<'_>) -> Option<(usize, usize)> {
    let upto_start =
        |times: &[Timestamp]| times.partition_point(|time| *time <= window.range_start);
    let (floats, hists) = (upto_start(window.times), upto_start(window.hist_times));
    if floats == window.times.len() && hists == window.hist_times.len() {
        return None;
    }
    let float_anchor = floats.checked_sub(1).map(|at| window.times[at]);
    let hist_anchor = hists.checked_sub(1).map(|at| window.hist_times[at]);
    let anchor = float_anchor.max(hist_anchor);
    let with = |count: usize, time: Option<Timestamp>| {
        count - usize::from(time.is_some() && time == anchor)
    };
    Some((with(floats, float_anchor), with(hists, hist_anchor)))
}

/// Positions of the samples at both ends.
fn ends(window: &Window<'_>, times: &[Timestamp], smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last]
        .partition_point(|time| *time <= window.range_start)
        .saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|time| *time < window.range_end);
    }
    // Only samples before the range, or only samples after it, say nothing about it.
    let touches = times[last] > window.range_start && times[first] <= window.range_end;
    touches.then_some((first, last))
}

pub(super) fn rate(window: &Window<'_>, cx: &OverContext<'_>, slope: Slope) -> Out {
    let smoothed = cx.extension == Extension::Smoothed;
    // Samples outside the range count only as far as they stand at its ends.
    if window.is_mixed() {
        cx.note(Note::MixedFloatsHistograms(window.metric()));
        return Out::None;
    }
    let seconds = if slope == Slope::Rate {
        cx.window as f64 / 1000.0
    } else {
        1.0
    };
    if window.hists.is_empty() {
        return floats(window, slope.is_counter(), smoothed)
            .map_or(Out::None, |change| Out::Float(change / seconds));
    }
    match histograms(window, cx, slope.is_counter(), smoothed) {
        Some(mut change) => {
            change.div(seconds);
            Out::hist(change)
        }
        None => Out::None,
    }
}

fn floats(window: &Window<'_>, counter: bool, smoothed: bool) -> Option<f64> {
    let (times, values) = (window.times, window.values);
    let (first, last) = ends(window, times, smoothed)?;
    let between = |left: usize, right: usize, time: Timestamp| {
        let reset = counter && values[right] < values[left];
        let from = if reset { 0.0 } else { values[left] };
        from + (values[right] - from) * (time - times[left]) as f64
            / (times[right] - times[left]) as f64
    };
    let left = if smoothed && times[first] < window.range_start {
        between(first, first + 1, window.range_start)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.range_end {
        between(last - 1, last, window.range_end)
    } else {
        values[last]
    };
    let mut change = right - left;
    if counter {
        let from = first + usize::from(times[first] <= window.range_start);
        let to = last + usize::from(times[last] < window.range_end);
        let mut previous = left;
        for &value in values
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .chain([&right])
        {
            if value < previous {
                change += previous;
            }
            previous = value;
        }
    }
    Some(change)
}

fn histograms(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    counter: bool,
    smoothed: bool,
) -> Option<FloatHistogram> {
    let (times, hists) = (window.hist_times, window.hists);
    let (first, last) = ends(window, times, smoothed)?;
    let used = &hists[first..=last];
    let custom = used[0].uses_custom_buckets();
    if used.iter().any(|hist| hist.uses_custom_buckets() != custom) {
        cx.note(Note::MixedExponentialCustom(window.metric()));
        return None;
    }
    let is_gauge = |hist: &FloatHistogram| hist.reset_hint == ResetHint::Gauge;
    if counter && used.iter().any(|hist| is_gauge(hist)) {
        cx.note(Note::NativeNotCounter(window.metric()));
    }
    let note = |combined: headwater_model::histogram::Combined, operation| {
        if combined.bounds_reconciled {
            cx.note(Note::BoundsReconciled(operation));
        }
    };
    let between = |left: usize, right: usize, time: Timestamp| -> Option<FloatHistogram> {
        let fraction = (time - times[left]) as f64 / (times[right] - times[left]) as f64;
        if counter && hists[right].detect_reset(&hists[left]) {
            let mut out = (*hists[right]).clone();
            out.mul(fraction);
            return Some(out);
        }
        let mut rise = (*hists[right]).clone();
        note(rise.sub(&hists[left]).ok()?, Operation::Subtraction);
        rise.mul(fraction);
        let mut out = (*hists[left]).clone();
        note(out.add(&rise).ok()?, Operation::Addition);
        Some(out)
    };
    let left = if smoothed && times[first] < window.range_start {
        between(first, first + 1, window.range_start)?
    } else {
        (*hists[first]).clone()
    };
    let right = if smoothed && last > 0 && times[last] > window.range_end {
        between(last - 1, last, window.range_end)?
    } else {
        (*hists[last]).clone()
    };
    let gauges = is_gauge(&left) && is_gauge(&right);
    if !counter && !gauges {
        cx.note(Note::NativeNotGauge(window.metric()));
    }
    let mut change = right;
    note(change.sub(&left).ok()?, Operation::Subtraction);
    if counter {
        // A value at the start that was interpolated has taken account of a reset up to the next sample.
        let interpolated = smoothed && times[first] < window.range_start;
        let from = first + usize::from(interpolated);
        for at in from + 1..=last {
            if hists[at].detect_reset(&hists[at - 1]) {
                note(change.add(&hists[at - 1]).ok()?, Operation::Addition);
            }
        }
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;

    use super::*;

    #[test]
    fn the_newest_sample_before_the_start_is_the_anchor() {
        let labels = Labels::empty();
        let window = |times: &'static [i64], hist_times: &'static [i64]| Window {
            times,
            values: &[],
            starts: &[],
            hist_times,
            hists: &[],
            hist_starts: &[],
            range_start: 15,
            range_end: 35,
            now: 35,
            labels: &labels,
        };
        assert_eq!(anchors(&window(&[0, 10, 20, 30], &[])), Some((1, 0)));
        assert_eq!(anchors(&window(&[0, 20], &[5, 10])), Some((1, 1)));
        assert_eq!(anchors(&window(&[20, 30], &[])), Some((0, 0)));
        assert_eq!(anchors(&window(&[0, 10], &[])), None);
    }
}
