//! What each operator and each select took, for `explain analyze`. Nothing of this runs otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use headwater_model::{Labels, SeriesColumns};
use headwater_storage::SeriesCursor;

use super::column::{Column, Key};
use super::{Cursor, Result, Sink};
use crate::plan::{Node, Plan, Remarks};

/// What one operator or select took, on all threads.
#[derive(Debug, Default)]
pub(super) struct Measure {
    series: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

impl Measure {
    fn add(&self, series: u64, samples: u64, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.series.fetch_add(series, Ordering::Relaxed);
        self.samples.fetch_add(samples, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn held(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let value = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let millis = value(&self.nanos) as f64 / 1e6;
        let mut text = format!(
            "{} series, {} samples, {millis:.3} ms",
            value(&self.series),
            value(&self.samples)
        );
        if value(&self.bytes) > 0 {
            text += &format!(", {} bytes held", value(&self.bytes));
        }
        text
    }
}

/// The measures of a run. Times are sums over threads; that of an operator contains its inputs.
#[derive(Debug)]
pub(crate) struct Measures {
    nodes: Vec<Measure>,
    selects: Vec<Arc<Measure>>,
}

impl Measures {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            nodes: (0..plan.nodes).map(|_| Measure::default()).collect(),
            selects: plan.selects.iter().map(|_| Arc::default()).collect(),
        }
    }

    pub(super) fn of(&self, node: &Node) -> &Measure {
        &self.nodes[node.id]
    }

    /// Counts what is taken from a cursor.
    pub(super) fn watch(&self, select: usize, cursor: Cursor) -> Cursor {
        Box::new(Watched {
            inner: cursor,
            measure: self.selects[select].clone(),
        })
    }

    /// Runs an operator and notes what comes out, and how long it took without what takes it.
    pub(super) fn run(
        &self,
        node: &Node,
        sink: &mut dyn Sink,
        run: impl FnOnce(&mut dyn Sink) -> Result<()>,
    ) -> Result<()> {
        let mut counting = Counting {
            inner: sink,
            series: 0,
            samples: 0,
            beyond: Duration::ZERO,
        };
        let begun = Instant::now();
        let result = run(&mut counting);
        let own = begun.elapsed().saturating_sub(counting.beyond);
        self.of(node).add(counting.series, counting.samples, own);
        result
    }

    /// Notes the time of a scalar.
    pub(super) fn scalar(&self, node: &Node, begun: Instant, steps: usize) {
        self.of(node).add(1, steps as u64, begun.elapsed());
    }
}

impl Remarks for Measures {
    fn node(&self, node: &Node) -> String {
        self.of(node).text()
    }

    fn select(&self, select: usize) -> String {
        self.selects[select].text()
    }
}

struct Counting<'a> {
    inner: &'a mut dyn Sink,
    series: u64,
    samples: u64,
    /// Time spent in what takes the series.
    beyond: Duration,
}

impl Sink for Counting<'_> {
    fn push(&mut self, key: Key, column: &mut Column) -> Result<()> {
        self.series += 1;
        self.samples += column.samples();
        let begun = Instant::now();
        let result = self.inner.push(key, column);
        self.beyond += begun.elapsed();
        result
    }
}

struct Watched {
    inner: Cursor,
    measure: Arc<Measure>,
}

impl SeriesCursor for Watched {
    fn advance(&mut self) -> headwater_storage::Result<Option<Labels>> {
        let begun = Instant::now();
        let next = self.inner.advance();
        self.measure.add(0, 0, begun.elapsed());
        next
    }

    fn read(&mut self, into: &mut SeriesColumns) -> headwater_storage::Result<()> {
        let begun = Instant::now();
        let result = self.inner.read(into);
        self.measure.add(1, into.len() as u64, begun.elapsed());
        result
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Cursor> {
        let watch = |inner| -> Cursor {
            Box::new(Watched {
                inner,
                measure: self.measure.clone(),
            })
        };
        self.inner.split(parts).into_iter().map(watch).collect()
    }

    fn remaining(&self) -> Option<usize> {
        self.inner.remaining()
    }

    fn take_warnings(&mut self) -> Vec<String> {
        self.inner.take_warnings()
    }
}
