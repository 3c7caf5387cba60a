//! `deriv` and `predict_linear`: a straight line through the samples, by least squares.

use headwater_model::Timestamp;
use headwater_model::histogram::kahan_add;

use super::{Out, OverContext};
use crate::exec::samples::Window;

/// A sum with compensation.
#[derive(Clone, Copy, Default)]
struct Sum(f64, f64);

impl Sum {
    fn add(&mut self, value: f64) {
        (self.0, self.1) = kahan_add(value, self.0, self.1);
    }

    fn total(self) -> f64 {
        self.0 + self.1
    }
}

/// Slope a second, and the value at `origin`.
fn line(times: &[Timestamp], values: &[f64], origin: Timestamp) -> (f64, f64) {
    if values.iter().all(|value| *value == values[0]) {
        return if values[0].is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, values[0])
        };
    }
    let [mut x, mut y, mut xy, mut xx] = [Sum::default(); 4];
    for (time, value) in times.iter().zip(values) {
        let at = (time - origin) as f64 / 1000.0;
        x.add(at);
        y.add(*value);
        xy.add(at * value);
        xx.add(at * at);
    }
    let (n, x, y) = (values.len() as f64, x.total(), y.total());
    let covariance = xy.total() - x * y / n;
    let variance = xx.total() - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

fn fit(window: &Window<'_>, cx: &OverContext<'_>, origin: Timestamp) -> Option<(f64, f64)> {
    if !window.values.is_empty() {
        cx.note_ignored(window);
    }
    (window.values.len() >= 2).then(|| line(window.times, window.values, origin))
}

pub(super) fn deriv(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    // An origin near the samples keeps the numbers small.
    let Some(&origin) = window.times.first() else {
        return Out::None;
    };
    fit(window, cx, origin).map_or(Out::None, |(slope, _)| Out::Float(slope))
}

pub(super) fn predict(window: &Window<'_>, cx: &OverContext<'_>) -> Out {
    let ahead = cx.params[0];
    fit(window, cx, window.now).map_or(Out::None, |(slope, now)| Out::Float(slope * ahead + now))
}
