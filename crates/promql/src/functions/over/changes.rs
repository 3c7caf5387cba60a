//! `changes` and `resets`: how often values changed, or fell.

use super::{Out, OverContext, extended, rate::start_says_reset};
use crate::exec::column::Hist;
use crate::exec::samples::{Samples, Window};
use crate::exec::spans::Spans;
use crate::functions::FunctionId;
use crate::syntax::ast::Extension;

#[derive(Clone, Copy)]
enum Sample<'a> {
    Float(f64),
    Hist(&'a Hist),
}

struct Pair<'a> {
    before: Sample<'a>,
    now: Sample<'a>,
    /// Start timestamps say that a counter was reset in between.
    by_start: bool,
}

/// Counts the neighbours of which `differ` says so.
fn count(window: &Window<'_>, cx: &OverContext<'_>, differ: impl Fn(&Pair<'_>) -> bool) -> Out {
    let (mut float, mut hist) = (0, 0);
    if cx.extension == Extension::Anchored {
        match extended::anchors(window) {
            Some(anchors) => (float, hist) = anchors,
            None => return Out::None,
        }
    }
    let mut found = 0u32;
    let mut before = None;
    let start = |starts: &[i64], at: usize| starts.get(at).copied().unwrap_or(0);
    loop {
        let next_float = window.times.get(float);
        let next_hist = window.hist_times.get(hist);
        let (now, time, start) = match (next_float, next_hist) {
            (None, None) => return Out::Float(f64::from(found)),
            (Some(time), other) if other.is_none_or(|other| time < other) => {
                float += 1;
                (
                    Sample::Float(window.values[float - 1]),
                    *time,
                    start(window.starts, float - 1),
                )
            }
            (_, Some(time)) => {
                hist += 1;
                (
                    Sample::Hist(&window.hists[hist - 1]),
                    *time,
                    start(window.hist_starts, hist - 1),
                )
            }
            (Some(_), None) => {
                unreachable!("a float without a histogram beside it was taken above")
            }
        };
        if let Some((before, previous, previous_start)) = before {
            let by_start = start_says_reset(previous_start, previous, start, time);
            found += u32::from(differ(&Pair {
                before,
                now,
                by_start,
            }));
        }
        before = Some((now, time, start));
    }
}

fn has_changed(before: f64, now: f64) -> bool {
    now != before && !(now.is_nan() && before.is_nan())
}

fn has_fallen(before: f64, now: f64) -> bool {
    now < before
}

/// What `function` counts between floats, if it counts.
pub(crate) fn float_turns(function: FunctionId) -> Option<fn(f64, f64) -> bool> {
    match function {
        FunctionId::Changes => Some(has_changed),
        FunctionId::Resets => Some(has_fallen),
        _ => None,
    }
}

/// The whole series at once, for floats without start timestamps: turns are counted once, and what
/// lies in a window is the difference of two counts.
pub(crate) fn count_turns(
    samples: &Samples,
    spans: &Spans,
    turned: fn(f64, f64) -> bool,
    into: &mut [f64],
) {
    let mut found = 0u32;
    let neighbours = samples.values.iter().zip(&samples.values[1..]);
    let upto: Vec<u32> = std::iter::once(0)
        .chain(neighbours.map(|(before, now)| {
            found += u32::from(turned(*before, *now));
            found
        }))
        .collect();
    for (out, span) in into.iter_mut().zip(spans.steps()) {
        if span.len() > 0 {
            *out = f64::from(upto[span.high as usize - 1] - upto[span.low as usize]);
        }
    }
}

pub(super) fn changes(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    count(window, cx, |pair| match (pair.before, pair.now) {
        (Sample::Float(before), Sample::Float(now)) => has_changed(before, now),
        (Sample::Hist(before), Sample::Hist(now)) => !now.same_as(before),
        _ => true,
    })
}

pub(super) fn resets(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    count(window, cx, |pair| match (pair.before, pair.now) {
        (Sample::Float(before), Sample::Float(now)) => has_fallen(before, now) || pair.by_start,
        (Sample::Hist(before), Sample::Hist(now)) => pair.by_start || now.detect_reset(before),
        _ => true,
    })
}
