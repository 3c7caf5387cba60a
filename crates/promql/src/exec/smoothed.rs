//! `selector smoothed`: the value on the line between the samples around a step.

use headwater_model::{FloatHistogram, Labels, ResetHint, SeriesColumns, Timestamp, is_stale_nan};

use super::Exec;
use super::column::{Column, Hist};
use crate::annotation::{Note, Operation};
use crate::plan::{Node, SelectPlan};

/// A series as it lies in the store.
pub(super) struct Series<'a> {
    pub(super) columns: &'a SeriesColumns,
    /// Histograms by position; `None` for stale markers.
    pub(super) hists: &'a [Option<Hist>],
    pub(super) labels: &'a Labels,
}

/// Samples around a moment: the newest before it and the oldest at or after it.
struct Around<T> {
    before: Option<(Timestamp, T)>,
    next: Option<(Timestamp, T)>,
}

impl<T: Clone> Around<T> {
    fn find(samples: &[(Timestamp, T)], now: Timestamp, lookback: i64) -> Self {
        let near = |(time, _): &(Timestamp, T)| *time > now - lookback && *time <= now + lookback;
        let after = samples.partition_point(|(time, _)| *time < now);
        Self {
            before: after
                .checked_sub(1)
                .map(|at| samples[at].clone())
                .filter(near),
            next: samples.get(after).cloned().filter(near),
        }
    }

    fn is_empty(&self) -> bool {
        self.before.is_none() && self.next.is_none()
    }
}

/// Fills a column with values within the look-back on both sides of each step. Without a sample
/// after the step the newest one stands.
pub(super) fn fill(
    exec: &Exec,
    series: &Series<'_>,
    node: &Node,
    plan: &SelectPlan,
    into: &mut Column,
) {
    let floats = &series.columns.floats;
    let pairs = floats
        .times
        .iter()
        .copied()
        .zip(floats.values.iter().copied());
    let floats: Vec<(Timestamp, f64)> = pairs.filter(|(_, value)| !is_stale_nan(*value)).collect();
    let times = series.columns.histograms.times();
    let pairs = times.iter().copied().zip(series.hists);
    let hists: Vec<(Timestamp, &Hist)> = pairs
        .filter_map(|(time, hist)| Some((time, hist.as_ref()?)))
        .collect();
    let metric = series.labels.metric_name().unwrap_or("");
    for step in 0..node.grid.len() {
        let now = plan.at.unwrap_or_else(|| node.grid.time(step)) - plan.offset;
        let float = Around::find(&floats, now, exec.settings.lookback);
        let hist = Around::find(&hists, now, exec.settings.lookback);
        if !float.is_empty() && !hist.is_empty() {
            exec.notes
                .add(Note::MixedFloatsHistograms(metric), node.place);
            continue;
        }
        if let Some(value) = float_at(&float, now) {
            into.floats[step] = value;
        }
        match histogram_at(exec, node, &hist, now) {
            Ok(Some(value)) => into.set_hist(step, value),
            Ok(None) => {}
            Err(()) => exec
                .notes
                .add(Note::MixedExponentialCustom(metric), node.place),
        }
    }
}

fn share(before: Timestamp, next: Timestamp, now: Timestamp) -> f64 {
    (now - before) as f64 / (next - before) as f64
}

fn float_at(around: &Around<f64>, now: Timestamp) -> Option<f64> {
    match (around.before, around.next) {
        (_, Some((time, value))) if time == now => Some(value),
        (Some((t1, v1)), Some((t2, v2))) => Some(v1 + (v2 - v1) * share(t1, t2, now)),
        (Some((_, value)), None) => Some(value),
        _ => None,
    }
}

/// As for floats; a counter that was reset in between is taken to have begun at zero with the earlier sample.
fn histogram_at(
    exec: &Exec,
    node: &Node,
    around: &Around<&Hist>,
    now: Timestamp,
) -> Result<Option<FloatHistogram>, ()> {
    let ((t1, before), (t2, next)) = match (around.before, around.next) {
        (_, Some((time, value))) if time == now => return Ok(Some((**value).clone())),
        (Some((_, value)), None) => return Ok(Some((**value).clone())),
        (Some(before), Some(next)) => (before, next),
        _ => return Ok(None),
    };
    let share = share(t1, t2, now);
    if before.uses_custom_buckets() != next.uses_custom_buckets() {
        return Err(());
    }
    let mut value = (**next).clone();
    if next.reset_hint != ResetHint::Gauge && next.detect_reset(before) {
        value.mul(share);
        return Ok(Some(value));
    }
    let reconciled = value.sub(before).map_err(drop)?.bounds_reconciled;
    value.mul(share);
    value.add(before).map_err(drop)?;
    value.reset_hint = before.reset_hint;
    value.compact();
    if reconciled {
        exec.notes
            .add(Note::BoundsReconciled(Operation::Subtraction), node.place);
    }
    Ok(Some(value))
}
