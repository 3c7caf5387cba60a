//! Counters and gauges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_model::MetricType;

use super::Measure;
use crate::family::MetricValue;

/// Only grows. Cloning is cheap and shares the count.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<CounterCell>);

#[derive(Debug, Default)]
struct CounterCell {
    /// Whole steps, the common case: one atomic addition.
    whole: AtomicU64,
    /// Everything else, as the bits of a float.
    rest: AtomicU64,
}

impl Counter {
    /// Adds one.
    pub fn inc(&self) {
        self.inc_by(1);
    }

    /// Adds a whole number.
    pub fn inc_by(&self, steps: u64) {
        self.0.whole.fetch_add(steps, Ordering::Relaxed);
    }

    /// Adds a number; one below zero or NaN is ignored, because a counter only grows.
    pub fn add(&self, value: f64) {
        if value.fract() == 0.0 && (0.0..9e15).contains(&value) {
            self.inc_by(value as u64);
        } else if value > 0.0 {
            add_bits(&self.0.rest, value);
        }
    }

    /// The count so far.
    pub fn get(&self) -> f64 {
        self.0.whole.load(Ordering::Relaxed) as f64
            + f64::from_bits(self.0.rest.load(Ordering::Relaxed))
    }
}

impl Measure for Counter {
    const TYPE: MetricType = MetricType::Counter;

    fn measure(&self) -> MetricValue {
        MetricValue::Number(self.get())
    }
}

/// Goes up and down. Cloning is cheap and shares the value.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// Adds to the value; a number below zero takes away.
    pub fn add(&self, value: f64) {
        add_bits(&self.0, value);
    }

    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }

    /// Takes one away.
    pub fn dec(&self) {
        self.add(-1.0);
    }

    /// The current value.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Measure for Gauge {
    const TYPE: MetricType = MetricType::Gauge;

    fn measure(&self) -> MetricValue {
        MetricValue::Number(self.get())
    }
}

/// Adds to a float that is kept as bits.
pub(super) fn add_bits(cell: &AtomicU64, value: f64) {
    let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
    // The closure never refuses, so neither does the update.
    let _ = cell.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_only_grow() {
        let counter = Counter::default();
        counter.inc();
        counter.add(1.5);
        counter.add(-1.0);
        counter.add(f64::NAN);
        counter.add(3.0);
        assert_eq!(counter.get(), 5.5);
    }

    #[test]
    fn gauges_share_their_value() {
        let gauge = Gauge::default();
        let other = gauge.clone();
        gauge.set(2.0);
        other.add(-3.5);
        gauge.inc();
        gauge.dec();
        assert_eq!(other.get(), -1.5);
    }
}
