//! Functions that order the values of a range: extremes, quantiles, median absolute deviation.

use super::{Out, OverContext};
use crate::annotation::Note;
use crate::exec::samples::Window;

/// The value that no other replaces; histograms are left out.
pub(super) fn extreme(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    replaces: impl Fn(f64, f64) -> bool,
) -> Out {
    let Some((&first, rest)) = window.values.split_first() else {
        return Out::None;
    };
    cx.note_ignored(window);
    Out::Float(rest.iter().fold(
        first,
        |held, &new| if replaces(new, held) { new } else { held },
    ))
}

pub(super) fn time_of_extreme(
    window: &Window<'_>,
    cx: &OverContext<'_>,
    replaces: impl Fn(f64, f64) -> bool,
) -> Out {
    let Some(&first) = window.values.first() else {
        return Out::None;
    };
    cx.note_ignored(window);
    let (mut held, mut at) = (first, 0);
    for (position, &new) in window.values.iter().enumerate() {
        if replaces(new, held) {
            (held, at) = (new, position);
        }
    }
    Out::Float(window.times[at] as f64 / 1000.0)
}

/// The `q`-quantile of values by linear interpolation; NaN sorts first.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let order = |a: &f64, b: &f64| {
        a.partial_cmp(b)
            .unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
    };
    let rank = q * (values.len() - 1) as f64;
    let weight = rank - rank.floor();
    let (_, below, rest) = values.select_nth_unstable_by(rank.floor().max(0.0) as usize, order);
    let below = *below;
    // The next one is the smallest of those beyond.
    let above = rest.iter().copied().min_by(order).unwrap_or(below);
    below * (1.0 - weight) + above * weight
}

pub(super) fn quantile_over_time(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    if window.values.is_empty() {
        return Out::None;
    }
    let q = cx.params[0];
    if !(0.0..=1.0).contains(&q) {
        cx.note(Note::InvalidQuantile(q));
    }
    cx.note_ignored(window);
    Out::Float(quantile(q, &mut window.values.to_vec()))
}

/// The median of the distances from the median.
pub(super) fn mad(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    if window.values.is_empty() {
        return Out::None;
    }
    cx.note_ignored(window);
    if window.values.iter().any(|value| value.is_nan()) {
        return Out::Float(f64::NAN);
    }
    let mut values = window.values.to_vec();
    let median = quantile(0.5, &mut values);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - median).abs());
    Out::Float(quantile(0.5, &mut values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, &mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.75, &mut [1.0, 2.0]), 1.75);
        assert_eq!(quantile(2.0, &mut [1.0]), f64::INFINITY);
        assert!(quantile(0.0, &mut [1.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.0, &mut [1.0, f64::NAN]), 1.0);
    }
}
