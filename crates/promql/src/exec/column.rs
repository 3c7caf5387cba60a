//! Values of one series, one a step: floats in a flat column, histograms beside it where there are any.

use std::sync::Arc;

use headwater_model::{FloatHistogram, Labels};
use headwater_query::{ABSENT, is_absent, is_present};

/// A series as it travels between operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) labels: Labels,
    /// The name is still there and goes at the end (delayed name removal).
    pub(crate) drop_name: bool,
}

impl Key {
    pub(crate) fn new(labels: Labels) -> Self {
        Self {
            labels,
            drop_name: false,
        }
    }

    pub(crate) fn empty() -> Self {
        Self::new(Labels::empty())
    }
}

/// Whether a label says what a metric is rather than where it comes from; such labels go when values change their meaning.
pub(crate) fn is_reserved(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// A shared histogram.
pub(crate) type Hist = Arc<FloatHistogram>;

/// What a series has at a step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    None,
    Float(f64),
    Hist(&'a Hist),
}

/// One value a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    /// Floats; [`ABSENT`] where there is none.
    pub(crate) floats: Vec<f64>,
    /// Histograms by ascending step; a step has a float or a histogram, never both.
    pub(crate) hists: Vec<(u32, Hist)>,
}

impl Column {
    pub(crate) fn absent(steps: usize) -> Self {
        Self {
            floats: vec![ABSENT; steps],
            hists: Vec::new(),
        }
    }

    /// Forgets all values.
    pub(crate) fn reset(&mut self, steps: usize) {
        self.floats.clear();
        self.floats.resize(steps, ABSENT);
        self.hists.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.hists.is_empty() && self.floats.iter().all(|value| is_absent(*value))
    }

    pub(crate) fn at(&self, step: usize) -> Cell<'_> {
        if is_present(self.floats[step]) {
            return Cell::Float(self.floats[step]);
        }
        if self.hists.is_empty() {
            return Cell::None;
        }
        match self
            .hists
            .binary_search_by_key(&(step as u32), |(at, _)| *at)
        {
            Ok(at) => Cell::Hist(&self.hists[at].1),
            Err(_) => Cell::None,
        }
    }

    /// Sets a step that comes after all steps set before.
    pub(crate) fn set(&mut self, step: usize, cell: Cell<'_>) {
        match cell {
            Cell::None => {}
            Cell::Float(value) => self.floats[step] = value,
            Cell::Hist(hist) => self.hists.push((step as u32, hist.clone())),
        }
    }

    pub(crate) fn set_hist(&mut self, step: usize, hist: FloatHistogram) {
        self.hists.push((step as u32, Arc::new(hist)));
    }

    /// Whether there is a value at a step.
    pub(crate) fn has(&self, step: usize) -> bool {
        !matches!(self.at(step), Cell::None)
    }

    /// Keeps the steps for which `keep` answers true.
    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        for (step, value) in self.floats.iter_mut().enumerate() {
            if !keep(step) {
                *value = ABSENT;
            }
        }
        self.hists.retain(|(step, _)| keep(*step as usize));
    }

    /// Takes over the values of another column; answers false if both have one at a step.
    pub(crate) fn absorb(&mut self, other: &Column) -> bool {
        let mut disjoint = true;
        for step in 0..self.floats.len() {
            match other.at(step) {
                Cell::None => continue,
                _ if self.has(step) => disjoint = false,
                Cell::Float(value) => self.floats[step] = value,
                Cell::Hist(_) => {}
            }
        }
        if !other.hists.is_empty() {
            self.hists.extend(other.hists.iter().cloned());
            self.hists.sort_by_key(|(step, _)| *step);
        }
        disjoint
    }

    /// Samples as Prometheus counts them: histograms weigh their size over 16 bytes.
    pub(crate) fn samples(&self) -> u64 {
        let floats = self
            .floats
            .iter()
            .filter(|value| is_present(**value))
            .count();
        floats as u64
            + self
                .hists
                .iter()
                .map(|(_, hist)| hist_samples(hist))
                .sum::<u64>()
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        let hists: usize = self
            .hists
            .iter()
            .map(|(_, hist)| hist.size_bytes() + 16)
            .sum();
        (self.floats.len() * 8 + hists) as u64
    }
}

/// The weight of a histogram in samples of 16 bytes.
pub(crate) fn hist_samples(hist: &FloatHistogram) -> u64 {
    (hist.size_bytes() as u64 + 8).div_ceil(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_hold_floats_and_histograms() {
        let mut column = Column::absent(3);
        column.set(0, Cell::Float(1.0));
        column.set_hist(2, FloatHistogram::default());
        assert!(column.has(0) && !column.has(1) && column.has(2));
        let mut other = Column::absent(3);
        other.set(1, Cell::Float(2.0));
        assert!(column.absorb(&other));
        assert!(!column.absorb(&other));
        column.retain(|step| step == 1);
        assert!(!column.has(0) && column.has(1) && !column.has(2));
    }
}
