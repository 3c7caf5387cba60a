//! Sums, means and variances of a range, with compensation of rounding errors.

use headwater_model::histogram::{HistogramSum, kahan_add};
use headwater_model::{FloatHistogram, ResetHint};

use super::{Out, OverContext};
use crate::annotation::{Note, Operation};
use crate::exec::samples::Window;

/// Both kinds in one range cannot be added.
fn refuse_mixed(window: &Window<'_>, cx: &OverContext<'_>) -> bool {
    if window.is_mixed() {
        cx.note(Note::MixedFloatsHistograms(window.metric()));
    }
    window.is_mixed()
}

pub(super) fn sum(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    if refuse_mixed(window, cx) {
        return Out::None;
    }
    if !window.hists.is_empty() {
        return histograms(window, cx, false);
    }
    let (sum, lost) = window
        .values
        .iter()
        .fold((0.0, 0.0), |(sum, lost), &value| {
            kahan_add(value, sum, lost)
        });
    Out::Float(if f64::is_infinite(sum) {
        sum
    } else {
        sum + lost
    })
}

pub(super) fn avg(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    if refuse_mixed(window, cx) {
        return Out::None;
    }
    if !window.hists.is_empty() {
        return histograms(window, cx, true);
    }
    Out::Float(mean(window.values))
}

/// The mean: of the sum as long as that is finite, then step by step.
fn mean(values: &[f64]) -> f64 {
    let (mut sum, mut lost) = (values[0], 0.0);
    for (at, &value) in values.iter().enumerate().skip(1) {
        let (next, next_lost) = kahan_add(value, sum, lost);
        if next.is_infinite() {
            return incremental_mean(&values[at..], at as f64, sum / at as f64, lost / at as f64);
        }
        (sum, lost) = (next, next_lost);
    }
    let count = values.len() as f64;
    sum / count + lost / count
}

fn incremental_mean(values: &[f64], mut count: f64, mut mean: f64, mut lost: f64) -> f64 {
    for value in values {
        count += 1.0;
        let keep = (count - 1.0) / count;
        (mean, lost) = kahan_add(value / count, keep * mean, keep * lost);
    }
    mean + lost
}

fn histograms(window: &Window<'_>, cx: &OverContext<'_>, mean: bool) -> Out {
    let says = |hint: ResetHint| window.hists.iter().any(|hist| hist.reset_hint == hint);
    match add_up(window, cx, mean) {
        Some(result) => {
            if says(ResetHint::Reset) && says(ResetHint::NotReset) {
                cx.note(Note::ResetConflict(Operation::Aggregation));
            }
            Out::hist(result)
        }
        None => {
            cx.note(Note::MixedExponentialCustom(window.metric()));
            Out::None
        }
    }
}

/// Sum or mean; `None` if exponential and custom buckets meet.
fn add_up(window: &Window<'_>, cx: &OverContext<'_>, mean: bool) -> Option<FloatHistogram> {
    let mut sum = HistogramSum::new((*window.hists[0]).clone());
    let mut incremental = false;
    let mut reconciled = false;
    for (at, hist) in window.hists.iter().enumerate().skip(1) {
        let count = (at + 1) as f64;
        if mean && !incremental {
            let mut next = sum.clone();
            reconciled |= next.add(hist).ok()?.bounds_reconciled;
            if !next.has_overflow() {
                sum = next;
                continue;
            }
            incremental = true;
            sum.mul(1.0 / at as f64);
        }
        if incremental {
            sum.mul(at as f64 / count);
            let mut share = (**hist).clone();
            share.div(count);
            reconciled |= sum.add(&share).ok()?.bounds_reconciled;
        } else {
            reconciled |= sum.add(hist).ok()?.bounds_reconciled;
        }
    }
    if reconciled {
        cx.note(Note::BoundsReconciled(Operation::Aggregation));
    }
    let mut result = sum.finish();
    if mean && !incremental {
        result.div(window.hists.len() as f64);
    }
    Some(result)
}

pub(super) fn variance(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    finish: impl Fn(f64) -> f64,
) -> Out {
    if window.values.is_empty() {
        return Out::None;
    }
    cx.note_ignored(window);
    let (mut mean, mut mean_lost, mut squares, mut squares_lost) = (0.0, 0.0, 0.0, 0.0);
    for (at, &value) in window.values.iter().enumerate() {
        let distance = value - (mean + mean_lost);
        (mean, mean_lost) = kahan_add(distance / (at + 1) as f64, mean, mean_lost);
        (squares, squares_lost) = kahan_add(
            distance * (value - (mean + mean_lost)),
            squares,
            squares_lost,
        );
    }
    Out::Float(finish(
        (squares + squares_lost) / window.values.len() as f64,
    ))
}
