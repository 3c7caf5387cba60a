//! `double_exponential_smoothing`: a moving average with a trend (Holt's linear method).

use headwater_query::{QueryError, QueryErrorKind};

use super::{Out, OverContext};
use crate::exec::samples::Window;

pub(super) fn smooth(window: &Window<'_>, cx: &OverContext<'_>) -> Result<Out, QueryError> {
    let [smoothing, trend_factor] = cx.params;
    check("smoothing", "sf", smoothing)?;
    check("trend", "tf", trend_factor)?;
    if !window.values.is_empty() {
        cx.note_ignored(window);
    }
    let [first, second, ..] = *window.values else {
        return Ok(Out::None);
    };
    let (mut before, mut level, mut trend) = (0.0, first, second - first);
    for (at, &value) in window.values.iter().enumerate().skip(1) {
        if at > 1 {
            trend = trend_factor * (level - before) + (1.0 - trend_factor) * trend;
        }
        (before, level) = (
            level,
            smoothing * value + (1.0 - smoothing) * (level + trend),
        );
    }
    Ok(Out::Float(level))
}

fn check(name: &str, short: &str, factor: f64) -> Result<(), QueryError> {
    // NaN passes, as in Prometheus.
    if factor <= 0.0 || factor >= 1.0 {
        let message = format!("invalid {name} factor. Expected: 0 < {short} < 1, got: {factor:.6}");
        return Err(QueryError::new(QueryErrorKind::Execution, message));
    }
    Ok(())
}
