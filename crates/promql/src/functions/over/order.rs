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
    let fold = |held: f64, new: f64| if replaces(new, held) { new } else { held };
    if rest.len() >= 2 * LANES {
        let held = in_lanes(window.values, &fold);
        // Zeros of both signs replace each other in the order in which they come.
        if held != 0.0 && !held.is_nan() {
            return Out::Float(held);
        }
    }
    Out::Float(rest.iter().fold(first, |held, new| fold(held, *new)))
}

/// Values that are folded side by side, so that none waits for the one before.
const LANES: usize = 8;

fn in_lanes(values: &[f64], fold: &impl Fn(f64, f64) -> f64) -> f64 {
    let (runs, rest) = values.as_chunks::<LANES>();
    let Some((first, later)) = runs.split_first() else {
        return rest.iter().fold(f64::NAN, |held, new| fold(held, *new));
    };
    let mut held = *first;
    for run in later {
        for (held, new) in held.iter_mut().zip(run) {
            *held = fold(*held, *new);
        }
    }
    let whole = held.into_iter().reduce(fold).unwrap_or(f64::NAN);
    rest.iter().fold(whole, |held, new| fold(held, *new))
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

/// Up to so many values are sorted faster than divided.
const FEW: usize = 64;

/// An integer that compares as the value does; NaN is the least.
fn key(value: f64) -> i64 {
    if value.is_nan() {
        return i64::MIN;
    }
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn value(key: i64) -> f64 {
    if key == i64::MIN {
        return f64::NAN;
    }
    f64::from_bits((key ^ ((key >> 63) as u64 >> 1) as i64) as u64)
}

/// The `q`-quantile of values by linear interpolation; NaN sorts first.
pub(crate) fn quantile(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() - 1) as f64;
    let (lower, weight) = (rank.floor().max(0.0) as usize, rank - rank.floor());
    // As integers the values compare without branches.
    let mut keys: Vec<i64> = values.iter().map(|value| key(*value)).collect();
    let (below, above) = if keys.len() <= FEW {
        keys.sort_unstable();
        (keys[lower], keys.get(lower + 1).copied())
    } else {
        let (_, below, rest) = keys.select_nth_unstable(lower);
        (*below, rest.iter().copied().min())
    };
    let (below, above) = (value(below), value(above.unwrap_or(below)));
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
    Out::Float(quantile(q, window.values))
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
    let median = quantile(0.5, &values);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - median).abs());
    Out::Float(quantile(0.5, &values))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_find_the_same_extreme() {
        let replaces = |new: f64, held: f64| new > held || held.is_nan();
        let fold = |held: f64, new: f64| if replaces(new, held) { new } else { held };
        for len in 1..40 {
            for odd in 0..len {
                let mut values: Vec<f64> = (0..len).map(|at| (at * 7 % 5) as f64 - 9.0).collect();
                for other in [100.0, f64::NAN, f64::INFINITY] {
                    values[odd] = other;
                    let expected = values[1..].iter().fold(values[0], |a, b| fold(a, *b));
                    let found = in_lanes(&values, &fold);
                    assert!(found == expected || found.is_nan() && expected.is_nan());
                }
            }
        }
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(0.5, &[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(quantile(0.75, &[1.0, 2.0]), 1.75);
        assert_eq!(quantile(2.0, &[1.0]), f64::INFINITY);
        assert!(quantile(0.0, &[1.0, f64::NAN]).is_nan());
        assert_eq!(quantile(1.0, &[1.0, f64::NAN]), 1.0);
        let many: Vec<f64> = (0..101).map(|at| f64::from(at * 37 % 101) - 50.0).collect();
        assert_eq!(quantile(0.25, &many), -25.0);
        assert_eq!(quantile(0.255, &many), -24.5);
        assert_eq!(quantile(1.0, &many), 50.0);
    }
}
