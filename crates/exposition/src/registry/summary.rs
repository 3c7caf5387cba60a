//! Summaries: quantiles of recent observations.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headwater_model::MetricType;
use parking_lot::Mutex;

use super::Measure;
use crate::family::MetricValue;

/// How long an observation counts for the quantiles.
pub const WINDOW_AGE: Duration = Duration::from_secs(600);
/// How many observations count at most: the latest ones.
pub const WINDOW_OBSERVATIONS: usize = 1024;

/// Tells quantiles of the latest observations, and sum and number of all. Cloning is cheap
/// and shares them.
///
/// The window holds at most [`WINDOW_OBSERVATIONS`] no older than [`WINDOW_AGE`], and quantiles
/// are exact within it: what a program does often needs no sketch, what it does rarely fits.
#[derive(Debug, Clone)]
pub struct Summary(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    quantiles: Box<[f64]>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    sum: f64,
    window: VecDeque<(Instant, f64)>,
}

impl Summary {
    /// A summary outside a registry; without quantiles it only tells sum and count.
    pub fn new(quantiles: &[f64]) -> Self {
        Self(Arc::new(Cell {
            quantiles: quantiles.into(),
            state: Mutex::default(),
        }))
    }

    /// Takes one observation.
    pub fn observe(&self, value: f64) {
        self.observe_at(value, Instant::now());
    }

    fn observe_at(&self, value: f64, now: Instant) {
        let mut state = self.0.state.lock();
        state.count += 1;
        state.sum += value;
        if self.0.quantiles.is_empty() {
            return;
        }
        if state.window.len() == WINDOW_OBSERVATIONS {
            state.window.pop_front();
        }
        state.window.push_back((now, value));
    }

    fn measure_at(&self, now: Instant) -> MetricValue {
        let mut state = self.0.state.lock();
        while state
            .window
            .front()
            .is_some_and(|(time, _)| now.duration_since(*time) > WINDOW_AGE)
        {
            state.window.pop_front();
        }
        let (count, sum) = (state.count, state.sum);
        let mut values: Vec<f64> = state.window.iter().map(|(_, value)| *value).collect();
        drop(state);
        values.sort_by(f64::total_cmp);
        let quantiles = self
            .0
            .quantiles
            .iter()
            .map(|&q| (q, quantile(&values, q)))
            .collect();
        MetricValue::Summary {
            count,
            sum,
            quantiles,
        }
    }
}

/// The smallest value that is not exceeded by more than `1 - q` of all.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

impl Measure for Summary {
    const TYPE: MetricType = MetricType::Summary;

    fn measure(&self) -> MetricValue {
        self.measure_at(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_window() {
        let summary = Summary::new(&[0.5, 1.0]);
        let start = Instant::now();
        summary.observe_at(100.0, start);
        let later = start + WINDOW_AGE + Duration::from_secs(1);
        (1..=4).for_each(|value| summary.observe_at(f64::from(value), later));
        let quantiles = vec![(0.5, 2.0), (1.0, 4.0)];
        assert_eq!(
            summary.measure_at(later),
            MetricValue::Summary {
                count: 5,
                sum: 110.0,
                quantiles
            }
        );
    }

    #[test]
    fn the_window_is_bounded() {
        let summary = Summary::new(&[0.0]);
        let now = Instant::now();
        (0..WINDOW_OBSERVATIONS + 10).for_each(|value| summary.observe_at(value as f64, now));
        let MetricValue::Summary {
            count, quantiles, ..
        } = summary.measure_at(now)
        else {
            panic!("not a summary");
        };
        assert_eq!(
            (count, quantiles),
            (WINDOW_OBSERVATIONS as u64 + 10, vec![(0.0, 10.0)])
        );
    }
}
