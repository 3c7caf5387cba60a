//! Histograms with classic buckets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_model::MetricType;

use super::Measure;
use super::number::add_bits;
use crate::family::{Bucket, MetricValue};

/// Bounds that suit the times of a network service, in seconds.
pub const DEFAULT_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// `count` bounds from `start`, each `factor` times the one before.
pub fn exponential_buckets(start: f64, factor: f64, count: usize) -> Vec<f64> {
    std::iter::successors(Some(start), |bound| Some(bound * factor))
        .take(count)
        .collect()
}

/// `count` bounds from `start`, each `width` above the one before.
pub fn linear_buckets(start: f64, width: f64, count: usize) -> Vec<f64> {
    (0..count).map(|at| start + width * at as f64).collect()
}

/// Counts observations by size. Cloning is cheap and shares the counts.
#[derive(Debug, Clone)]
pub struct Histogram(Arc<Cell>);

#[derive(Debug)]
struct Cell {
    bounds: Box<[f64]>,
    /// One for each bound and one above all.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// A histogram outside a registry. Bounds are sorted; NaN and infinite ones are left out.
    pub fn new(bounds: &[f64]) -> Self {
        let mut bounds: Vec<f64> = bounds
            .iter()
            .copied()
            .filter(|bound| bound.is_finite())
            .collect();
        bounds.sort_by(f64::total_cmp);
        bounds.dedup();
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Cell {
            bounds: bounds.into(),
            counts,
            sum: AtomicU64::new(0),
        }))
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        // A NaN compares with nothing and so lands above all bounds.
        let bucket = self
            .0
            .bounds
            .iter()
            .position(|bound| value <= *bound)
            .unwrap_or(self.0.bounds.len());
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        add_bits(&self.0.sum, value);
    }
}

impl Measure for Histogram {
    const TYPE: MetricType = MetricType::Histogram;

    fn measure(&self) -> MetricValue {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(self.0.bounds.len());
        for (at, cell) in self.0.counts.iter().enumerate() {
            count += cell.load(Ordering::Relaxed);
            if let Some(&upper_bound) = self.0.bounds.get(at) {
                buckets.push(Bucket {
                    upper_bound,
                    cumulative_count: count,
                    exemplar: None,
                });
            }
        }
        MetricValue::Buckets {
            count,
            sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)),
            buckets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_cumulative() {
        let histogram = Histogram::new(&[2.0, 1.0, f64::INFINITY]);
        [0.5, 1.0, 1.5, 9.0]
            .into_iter()
            .for_each(|value| histogram.observe(value));
        let bucket = |upper_bound, cumulative_count| Bucket {
            upper_bound,
            cumulative_count,
            exemplar: None,
        };
        let buckets = vec![bucket(1.0, 2), bucket(2.0, 3)];
        assert_eq!(
            histogram.measure(),
            MetricValue::Buckets {
                count: 4,
                sum: 12.0,
                buckets
            }
        );
    }

    #[test]
    fn bounds_grow_as_asked() {
        assert_eq!(exponential_buckets(1.0, 2.0, 3), [1.0, 2.0, 4.0]);
        assert_eq!(linear_buckets(1.0, 2.0, 3), [1.0, 3.0, 5.0]);
    }
}
