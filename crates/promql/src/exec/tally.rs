//! How many samples a query looks at, as Prometheus counts them.
//!
//! A sample counts for each step that looks at it, and as read for the first of them. Histograms
//! weigh their size over 16 bytes. What subqueries look at counts where their results are looked at.

use headwater_model::Timestamp;
use headwater_query::{QueryStats, StepGrid, is_present};
use parking_lot::Mutex;

use super::column::{Column, hist_samples};
use super::samples::Window;
use super::spans::Spans;
use crate::plan::Counts;

/// Samples looked at, and those among them that no step before looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    looked: u64,
    read: u64,
}

impl Pair {
    fn add(&mut self, other: Self) {
        self.looked += other.looked;
        self.read += other.read;
    }
}

/// The samples that one walk over series looks at.
#[derive(Debug)]
pub(crate) struct Counter {
    counts: Counts,
    total: Pair,
    /// By step; empty if nobody wants to know.
    steps: Vec<Pair>,
    /// Times of the newest samples of a series that were counted as read.
    newest: (Timestamp, Timestamp),
}

impl Counter {
    pub(crate) fn add(&mut self, step: usize, looked: u64, read: u64) {
        let pair = Pair { looked, read };
        self.total.add(pair);
        if let Some(at) = self.steps.get_mut(step) {
            at.add(pair);
        }
    }

    /// The samples in the ranges of a series of floats.
    pub(crate) fn spans(&mut self, spans: &Spans) {
        if self.steps.is_empty() {
            let (looked, read) = spans.totals();
            return self.add(0, looked, read);
        }
        for (step, (looked, read)) in spans.counts().enumerate() {
            self.add(step, looked, read);
        }
    }

    /// The next series begins.
    pub(crate) fn next_series(&mut self) {
        self.newest = (Timestamp::MIN, Timestamp::MIN);
    }

    pub(crate) fn window(&mut self, step: usize, window: &Window<'_>) {
        let fresh = |times: &[Timestamp], newest: &mut Timestamp| {
            let from = times.partition_point(|time| *time <= *newest);
            *newest = times.last().copied().unwrap_or(*newest).max(*newest);
            from
        };
        let from = fresh(window.times, &mut self.newest.0);
        let from_hist = fresh(window.hist_times, &mut self.newest.1);
        let mut pair = Pair {
            looked: window.values.len() as u64,
            read: (window.values.len() - from) as u64,
        };
        for (at, hist) in window.hists.iter().enumerate() {
            let weight = hist_samples(hist);
            pair.looked += weight;
            pair.read += if at >= from_hist { weight } else { 0 };
        }
        self.add(step, pair.looked, pair.read);
    }

    /// The values that a selector found; `known` is how many, where that is known already.
    pub(crate) fn column(&mut self, column: &Column, known: Option<u64>) {
        if self.steps.is_empty() {
            let samples = known.unwrap_or_else(|| column.samples());
            self.add(0, samples, samples);
            return;
        }
        for (step, _) in column
            .floats
            .iter()
            .enumerate()
            .filter(|(_, value)| is_present(**value))
        {
            self.add(step, 1, 1);
        }
        for (step, hist) in &column.hists {
            let weight = hist_samples(hist);
            self.add(*step as usize, weight, weight);
        }
    }
}

/// The samples that a query looks at.
#[derive(Debug)]
pub(crate) struct Tally {
    steps: usize,
    per_step: bool,
    found: Mutex<(Pair, Vec<Pair>)>,
}

impl Tally {
    pub(crate) fn new(steps: usize, per_step: bool) -> Self {
        let by_step = vec![Pair::default(); if per_step { steps } else { 0 }];
        Self {
            steps,
            per_step,
            found: Mutex::new((Pair::default(), by_step)),
        }
    }

    pub(crate) fn counter(&self, counts: Counts, grid: StepGrid) -> Counter {
        let wanted = self.per_step && counts != Counts::Never;
        Counter {
            counts,
            total: Pair::default(),
            steps: vec![Pair::default(); if wanted { grid.len() } else { 0 }],
            newest: (Timestamp::MIN, Timestamp::MIN),
        }
    }

    pub(crate) fn merge(&self, counter: &Counter) {
        let mut found = self.found.lock();
        match counter.counts {
            Counts::Never => {}
            Counts::EachStep => {
                found.0.add(counter.total);
                for (into, step) in found.1.iter_mut().zip(&counter.steps) {
                    into.add(*step);
                }
            }
            Counts::Repeated => {
                for _ in 0..self.steps {
                    found.0.add(counter.total);
                }
                found.1.iter_mut().for_each(|into| into.add(counter.total));
            }
        }
    }

    /// Writes what was found into the statistics.
    pub(crate) fn put_into(&self, stats: &mut QueryStats, grid: Option<StepGrid>) {
        let found = self.found.lock();
        stats.samples = found.0.looked;
        stats.samples_read = found.0.read;
        let Some(grid) = grid.filter(|_| self.per_step) else {
            return;
        };
        let times = || grid.times().zip(&found.1);
        stats.samples_per_step = times().map(|(time, pair)| (time, pair.looked)).collect();
        stats.samples_read_per_step = times().map(|(time, pair)| (time, pair.read)).collect();
    }
}
