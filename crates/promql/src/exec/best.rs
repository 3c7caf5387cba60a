//! The best few of many candidates.
//!
//! Which of several equal candidates stay, and in which order, is nowhere documented, yet it shows in
//! answers. So this is the binary heap that Prometheus uses (Go's `container/heap`), with the same
//! comparisons in the same order.

/// A value and the row that it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    pub(super) value: f64,
    pub(super) row: usize,
}

/// The best candidates seen, the worst of them first.
#[derive(Clone, Debug)]
pub(super) struct Best {
    heap: Vec<Candidate>,
    /// Large values are good.
    largest: bool,
}

impl Best {
    pub(super) const fn new(largest: bool) -> Self {
        Self {
            heap: Vec::new(),
            largest,
        }
    }

    /// Whether `a` is worse than `b`: NaN is the worst of all.
    fn worse(&self, a: f64, b: f64) -> bool {
        a.is_nan() || if self.largest { a < b } else { a > b }
    }

    /// Takes the candidate if it is among the best `count`, which must be more than 0.
    pub(super) fn offer(&mut self, candidate: Candidate, count: usize) {
        if self.heap.len() < count {
            self.heap.push(candidate);
            self.rise(self.heap.len() - 1);
            return;
        }
        let worst = self.heap[0].value;
        let better = if self.largest {
            worst < candidate.value
        } else {
            worst > candidate.value
        };
        if better || (worst.is_nan() && !candidate.value.is_nan()) {
            self.heap[0] = candidate;
            self.sink();
        }
    }

    fn rise(&mut self, mut at: usize) {
        while at > 0 {
            let parent = (at - 1) / 2;
            if !self.worse(self.heap[at].value, self.heap[parent].value) {
                return;
            }
            self.heap.swap(at, parent);
            at = parent;
        }
    }

    fn sink(&mut self) {
        let mut at = 0;
        while let Some(left) = self.heap.get(2 * at + 1) {
            let mut child = 2 * at + 1;
            if let Some(right) = self.heap.get(child + 1)
                && self.worse(right.value, left.value)
            {
                child += 1;
            }
            if !self.worse(self.heap[child].value, self.heap[at].value) {
                return;
            }
            self.heap.swap(at, child);
            at = child;
        }
    }

    /// Takes the candidates out, the best first.
    pub(super) fn drain_ordered<E>(
        &mut self,
        visit: impl FnMut(&Candidate) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut heap = std::mem::take(&mut self.heap);
        if heap.len() <= 12 {
            // NaN being worse than NaN is no order, so the steps of the sort matter too.
            for end in 1..heap.len() {
                let mut at = end;
                while at > 0 && self.worse(heap[at - 1].value, heap[at].value) {
                    heap.swap(at - 1, at);
                    at -= 1;
                }
            }
        } else {
            heap.sort_by(|a, b| {
                let nan = a.value.is_nan().cmp(&b.value.is_nan());
                let order = a.value.partial_cmp(&b.value);
                let order = if self.largest {
                    order.map(std::cmp::Ordering::reverse)
                } else {
                    order
                };
                nan.then(order.unwrap_or(std::cmp::Ordering::Equal))
            });
        }
        let visited = heap.iter().try_for_each(visit);
        heap.clear();
        self.heap = heap;
        visited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(values: &[f64], count: usize, largest: bool) -> Vec<usize> {
        let mut best = Best::new(largest);
        for (row, value) in values.iter().copied().enumerate() {
            best.offer(Candidate { value, row }, count);
        }
        let mut rows = Vec::new();
        let taken: Result<(), ()> = best.drain_ordered(|candidate| {
            rows.push(candidate.row);
            Ok(())
        });
        taken.unwrap();
        rows
    }

    #[test]
    fn the_best_come_first_and_nan_last() {
        let values = [1.0, f64::NAN, 3.0, 2.0];
        assert_eq!(best(&values, 2, true), [2, 3]);
        assert_eq!(best(&values, 2, false), [0, 3]);
        assert_eq!(best(&values, 9, true), [2, 3, 0, 1]);
    }

    #[test]
    fn many_are_in_order() {
        let values: Vec<f64> = (0..40).map(|at| f64::from(at * 7 % 40)).collect();
        let rows = best(&values, 20, true);
        let found: Vec<f64> = rows.iter().map(|row| values[*row]).collect();
        let expected: Vec<f64> = (20..40).rev().map(f64::from).collect();
        assert_eq!(found, expected);
    }
}
