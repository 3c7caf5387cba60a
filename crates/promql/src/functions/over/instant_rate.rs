//! `irate` and `idelta`: the change between the last two samples of a range.

use headwater_model::{FloatHistogram, ResetHint, Timestamp};

use super::{Out, OverContext, rate::start_says_reset};
use crate::annotation::{Note, Operation};
use crate::exec::samples::Window;

#[derive(Clone, Copy)]
struct Sample<'a> {
    time: Timestamp,
    start: Timestamp,
    float: f64,
    hist: Option<&'a FloatHistogram>,
}

/// The last two samples of either kind, in order of time.
fn newest<'a>(window: &Window<'a>) -> Option<(Sample<'a>, Sample<'a>)> {
    let start = |starts: &[Timestamp], at: usize| starts.get(at).copied().unwrap_or(0);
    let floats = (window.values.len().saturating_sub(2)..window.values.len()).map(|at| Sample {
        time: window.times[at],
        start: start(window.starts, at),
        float: window.values[at],
        hist: None,
    });
    let hists = (window.hists.len().saturating_sub(2)..window.hists.len()).map(|at| Sample {
        time: window.hist_times[at],
        start: start(window.hist_starts, at),
        float: 0.0,
        hist: Some(&window.hists[at]),
    });
    let mut all: Vec<Sample<'a>> = floats.chain(hists).collect();
    all.sort_by_key(|sample| sample.time);
    let [.., earlier, later] = all[..] else {
        return None;
    };
    Some((earlier, later))
}

pub(super) fn last_two(window: &Window<'_>, cx: &OverContext<'_>, rate: bool) -> Out {
    let Some((earlier, later)) = newest(window) else {
        return Out::None;
    };
    let distance = later.time - earlier.time;
    if distance == 0 {
        return Out::None;
    }
    let by_start = start_says_reset(earlier.start, earlier.time, later.start, later.time);
    let seconds = if rate { distance as f64 / 1000.0 } else { 1.0 };
    match (earlier.hist, later.hist) {
        (None, None) => {
            let reset = rate && (later.float < earlier.float || by_start);
            let change = if reset {
                later.float
            } else {
                later.float - earlier.float
            };
            Out::Float(change / seconds)
        }
        (Some(earlier), Some(later)) => {
            match difference(window, cx, rate, by_start, earlier, later) {
                Some(mut change) => {
                    change.div(seconds);
                    Out::hist(change)
                }
                None => Out::None,
            }
        }
        _ => {
            cx.note(Note::MixedFloatsHistograms(window.metric()));
            Out::None
        }
    }
}

fn difference(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    rate: bool,
    by_start: bool,
    earlier: &FloatHistogram,
    later: &FloatHistogram,
) -> Option<FloatHistogram> {
    let gauges = [earlier, later].map(|hist| hist.reset_hint == ResetHint::Gauge);
    if rate && gauges.contains(&true) {
        cx.note(Note::NativeNotCounter(window.metric()));
    }
    if !rate && gauges.contains(&false) {
        cx.note(Note::NativeNotGauge(window.metric()));
    }
    let mut change = later.clone();
    if !rate || !(by_start || later.detect_reset(earlier)) {
        match change.sub(earlier) {
            Ok(combined) if combined.bounds_reconciled => {
                cx.note(Note::BoundsReconciled(Operation::Subtraction))
            }
            Ok(_) => {}
            Err(_) => {
                cx.note(Note::MixedExponentialCustom(window.metric()));
                return None;
            }
        }
    }
    change.reset_hint = ResetHint::Gauge;
    change.compact();
    Some(change)
}
