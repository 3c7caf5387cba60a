//! `rate`, `increase`, `delta`: the change over a range, extrapolated to its ends.
//!
//! Source of the method: Prometheus. The change between first and last sample (with counter resets
//! added back) is stretched to the ends of the range, unless the next sample beyond an end should
//! have been seen, which is assumed of gaps over 1.1 times the mean distance of samples; then only
//! half a distance is added. Counters are not stretched below zero.

use headwater_model::{FloatHistogram, Labels, ResetHint, Timestamp};

use super::{Out, OverContext, extended};
use crate::annotation::{Note, Operation};
use crate::exec::samples::Window;
use crate::syntax::ast::Extension;

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slope {
    Rate,
    Increase,
    Delta,
}

impl Slope {
    pub(crate) const fn is_counter(self) -> bool {
        !matches!(self, Self::Delta)
    }
}

/// How far samples reach into a range.
#[derive(Clone, Copy)]
struct Reach {
    /// The first sample, or the moment at which a counter is known to have been zero.
    first: Timestamp,
    last: Timestamp,
    /// Mean distance of samples in seconds; 0 if there is only one.
    distance: f64,
}

/// What is known of where a counter was zero.
#[derive(Clone, Copy)]
enum Zero {
    Unknown,
    /// It began at the first sample's start timestamp.
    Start,
    /// Going back, it would have been zero after this share of the sampled time.
    Share(f64),
}

/// By what the change between first and last sample is multiplied.
fn stretch(reach: Reach, range_start: Timestamp, range_end: Timestamp, zero: Zero) -> f64 {
    let seconds = |from: Timestamp, to: Timestamp| (to - from) as f64 / 1000.0;
    let sampled = seconds(reach.first, reach.last);
    let threshold = reach.distance * 1.1;
    let near = |gap: f64| {
        if gap >= threshold {
            reach.distance / 2.0
        } else {
            gap
        }
    };
    let mut to_start = near(seconds(range_start, reach.first));
    match zero {
        Zero::Unknown => {}
        Zero::Start => to_start = 0.0,
        Zero::Share(share) if sampled * share < to_start => to_start = sampled * share,
        Zero::Share(_) => {}
    }
    (sampled + to_start + near(seconds(reach.last, range_end))) / sampled
}

/// Mean distance of samples in seconds.
fn distance(times: &[Timestamp]) -> f64 {
    match times {
        [first, .., last] => (last - first) as f64 / 1000.0 / (times.len() - 1) as f64,
        _ => 0.0,
    }
}

/// Whether start timestamps say that a counter was reset between two samples.
pub(super) fn start_says_reset(
    previous_start: Timestamp,
    previous: Timestamp,
    start: Timestamp,
    time: Timestamp,
) -> bool {
    if start == 0 || start >= time || start < previous {
        return false;
    }
    if start > previous {
        return true;
    }
    // It starts where the previous sample lies: a delta, unless the previous sample does not know
    // when it started, or claims to have started after itself; then it is a counter whose start is unknown.
    previous_start != 0 && previous_start < previous
}

/// The start timestamp of the first sample if it can stand for a sample of value zero in the range.
fn zero_sample(
    window: &Window<'_>,
    times: &[Timestamp],
    starts: &[Timestamp],
) -> Option<Timestamp> {
    let (&start, &first) = (starts.first()?, times.first()?);
    (start != 0 && start > window.range_start && start < first).then_some(start)
}

/// Whether a sample claims to have started before the one before it was taken. A start that stays
/// the same is that of one counter.
fn overlaps(times: &[Timestamp], starts: &[Timestamp]) -> bool {
    let overlaps =
        |at: usize| starts[at] != 0 && starts[at] < times[at - 1] && starts[at] != starts[at - 1];
    (1..starts.len()).any(overlaps)
}

pub(super) fn rate(window: &Window<'_>, cx: &OverContext<'_>, slope: Slope) -> Out {
    if cx.extension != Extension::None {
        return extended::rate(window, cx, slope);
    }
    if window.is_mixed() {
        cx.note(Note::MixedFloatsHistograms(window.metric()));
        return Out::None;
    }
    let divisor = if slope == Slope::Rate {
        cx.window as f64 / 1000.0
    } else {
        1.0
    };
    if window.hists.is_empty() {
        return match float_change(window, cx, slope.is_counter()) {
            Some((change, factor)) => Out::Float(change * (factor / divisor)),
            None => Out::None,
        };
    }
    match histogram_change(window, cx, slope.is_counter()) {
        Some((mut change, factor)) => {
            change.mul(factor / divisor);
            Out::hist(change)
        }
        None => Out::None,
    }
}

/// The change between first and last sample, and what stretches it to the range.
fn float_change(window: &Window<'_>, cx: &OverContext<'_>, counter: bool) -> Option<(f64, f64)> {
    let (times, values, starts) = (window.times, window.values, window.starts);
    if counter && overlaps(times, starts) {
        cx.note(Note::StartOverlap(window.metric()));
    }
    let zero_start = if counter {
        zero_sample(window, times, starts)
    } else {
        None
    };
    let count = values.len() + usize::from(zero_start.is_some());
    if count < 2 {
        return None;
    }
    let last = values.len() - 1;
    let mut change = values[last] - values[0];
    if counter {
        for at in 1..values.len() {
            let by_start = !starts.is_empty()
                && start_says_reset(starts[at - 1], times[at - 1], starts[at], times[at]);
            if values[at] < values[at - 1] || by_start {
                change += values[at - 1];
            }
        }
    }
    let mut reach = Reach {
        first: times[0],
        last: times[last],
        distance: distance(times),
    };
    let known = counter && change > 0.0 && values[0] >= 0.0;
    let mut zero = if known {
        Zero::Share(values[0] / change)
    } else {
        Zero::Unknown
    };
    if let Some(start) = zero_start {
        change += values[0];
        (reach.first, zero) = (start, Zero::Start);
    }
    let factor = stretch(reach, window.range_start, window.range_end, zero);
    Some((change, factor))
}

fn histogram_change(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    counter: bool,
) -> Option<(FloatHistogram, f64)> {
    let (times, hists, starts) = (window.hist_times, window.hists, window.hist_starts);
    let zero_start = if counter {
        zero_sample(window, times, starts)
    } else {
        None
    };
    let last = hists.len() - 1;
    let mut reach = Reach {
        first: times[0],
        last: times[last],
        distance: distance(times),
    };
    if last == 0 {
        // One histogram is all that happened since its start.
        reach.first = zero_start?;
        let factor = stretch(reach, window.range_start, window.range_end, Zero::Start);
        return Some(((*hists[0]).clone(), factor));
    }
    let mut change = histogram_difference(window, cx, counter)?;
    let known = counter && change.count > 0.0 && hists[0].count >= 0.0;
    let mut zero = if known {
        Zero::Share(hists[0].count / change.count)
    } else {
        Zero::Unknown
    };
    if let Some(start) = zero_start {
        match change.add(&hists[0]) {
            Ok(combined) if combined.bounds_reconciled => {
                cx.note(Note::BoundsReconciled(Operation::Addition));
            }
            Ok(_) => {}
            Err(_) => {
                cx.note(Note::MixedExponentialCustom(window.metric()));
                return None;
            }
        }
        (reach.first, zero) = (start, Zero::Start);
    }
    let factor = stretch(reach, window.range_start, window.range_end, zero);
    Some((change, factor))
}

/// The difference of last and first histogram with resets added back. If there is none, nothing is
/// said but why.
fn histogram_difference(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    counter: bool,
) -> Option<FloatHistogram> {
    let mut notes = Vec::new();
    let difference = difference(window, counter, &mut notes);
    if difference.is_none() {
        cx.note(Note::MixedExponentialCustom(window.metric()));
    }
    notes.into_iter().for_each(|note| cx.note(note));
    difference
}

fn difference<'a>(
    window: &Window<'a>,
    counter: bool,
    notes: &mut Vec<Note<'a>>,
) -> Option<FloatHistogram> {
    let (hists, starts, times) = (window.hists, window.hist_starts, window.hist_times);
    let metric = window.labels.metric_name().unwrap_or("");
    let is_gauge = |at: usize| hists[at].reset_hint == ResetHint::Gauge;
    let last = hists.len() - 1;
    let reset_at = |at: usize, previous: &FloatHistogram| {
        let by_start = !starts.is_empty()
            && start_says_reset(starts[at - 1], times[at - 1], starts[at], times[at]);
        by_start || hists[at].detect_reset(previous)
    };
    // If the second histogram begins anew, the layout of the first does not matter.
    let mut first = hists[0].clone();
    if counter && reset_at(1, &hists[0]) {
        let empty = FloatHistogram {
            schema: hists[1].schema,
            custom_values: hists[1].custom_values.clone(),
            ..FloatHistogram::default()
        };
        first = std::sync::Arc::new(empty);
    }
    let not_counter = Note::NativeNotCounter(metric);
    let custom = first.uses_custom_buckets();
    if hists[last].uses_custom_buckets() != custom {
        notes.extend((counter && (is_gauge(0) || is_gauge(last))).then_some(not_counter));
        return None;
    }
    let between = if counter { 1..last } else { 1..1 };
    let middle = &hists[between];
    if middle
        .iter()
        .any(|hist| hist.uses_custom_buckets() != custom)
    {
        return None;
    }
    let schema = middle
        .iter()
        .map(|hist| hist.schema)
        .fold(hists[last].schema.min(first.schema), i32::min);
    let mut change = hists[last].to_schema(schema);
    let mut reconciled = [change.sub(&first).ok()?.bounds_reconciled, false];
    if counter {
        let mut previous = first;
        for (at, hist) in hists.iter().enumerate().skip(1) {
            if reset_at(at, &previous) {
                reconciled[1] |= change.add(&previous).ok()?.bounds_reconciled;
            }
            previous = hist.clone();
        }
    }
    for (found, operation) in reconciled
        .iter()
        .zip([Operation::Subtraction, Operation::Addition])
    {
        notes.extend(found.then_some(Note::BoundsReconciled(operation)));
    }
    if counter {
        notes.extend((0..=last).any(is_gauge).then_some(not_counter));
        notes.extend(overlaps(times, starts).then_some(Note::StartOverlap(metric)));
    } else if !is_gauge(0) || !is_gauge(last) {
        notes.push(Note::NativeNotGauge(metric));
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}

/// Whether the name of a metric says that it is a counter; checked for `rate` and `increase`.
pub(crate) fn note_if_not_counter(labels: &Labels, cx: &OverContext<'_>, typed: bool) {
    let Some(metric) = labels.metric_name() else {
        return;
    };
    if typed {
        let found = labels.get("__type__").unwrap_or("");
        if !matches!(found, "counter" | "histogram") {
            cx.note(Note::NotCounterType { metric, found });
        }
        return;
    }
    if !["_total", "_sum", "_count", "_bucket"]
        .iter()
        .any(|suffix| metric.ends_with(suffix))
    {
        cx.note(Note::NotCounter(metric));
    }
}
