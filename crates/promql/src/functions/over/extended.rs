//! `anchored` and `smoothed` ranges: values exactly at the ends of the range instead of extrapolation.
//!
//! Anchored: the last sample at or before the start counts as lying on it, the last sample in the
//! range as lying on the end. Smoothed: values at both ends are interpolated between the samples around them.

use headwater_model::{FloatHistogram, ResetHint, Timestamp};

use super::{Out, OverContext, Slope};
use crate::annotation::{Note, Operation};
use crate::exec::samples::Window;
use crate::syntax::ast::Extension;

/// The first sample to look at: the last one at or before the start of the range, if there is one.
/// `None` if no sample lies in the range.
pub(super) fn anchor(times: &[Timestamp], range_start: Timestamp) -> Option<usize> {
    if times.last().is_none_or(|last| *last <= range_start) {
        return None;
    }
    Some(
        times
            .partition_point(|time| *time <= range_start)
            .saturating_sub(1),
    )
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
    (times[last] > window.range_start).then_some((first, last))
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
    if !counter && used.iter().any(|hist| !is_gauge(hist)) {
        cx.note(Note::NativeNotGauge(window.metric()));
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
    let mut change = right.clone();
    note(change.sub(&left).ok()?, Operation::Subtraction);
    if counter {
        let from = first + usize::from(times[first] <= window.range_start);
        let to = last + usize::from(times[last] < window.range_end);
        let mut previous = &left;
        for hist in hists.get(from..to).unwrap_or_default() {
            if hist.detect_reset(previous) {
                note(change.add(previous).ok()?, Operation::Addition);
            }
            previous = hist;
        }
        if to <= last && right.count < previous.count {
            note(change.add(previous).ok()?, Operation::Addition);
        }
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anchor_lies_at_or_before_the_start() {
        assert_eq!(anchor(&[0, 10, 20, 30], 15), Some(1));
        assert_eq!(anchor(&[20, 30], 15), Some(0));
        assert_eq!(anchor(&[0, 10], 15), None);
    }
}
