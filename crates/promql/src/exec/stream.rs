//! Pushing the series of an operator into a sink, and doing so on several threads.

use std::sync::Arc;

use headwater_query::QueryErrorKind;

use super::block::{Block, Collector, Row, merge_same, row_bytes};
use super::column::{Column, Key};
use super::{Cursor, Exec, Result, Sink};
use crate::plan::{Kind, Node, Part, RangeInput, SelectPlan};

/// A part of less work than this, in nanoseconds, costs more than it gains: another thread has to be
/// woken, and what it found brought together with the rest.
const PART_NANOS: u64 = 60_000;

/// What a series costs, roughly: to find it, to decode a sample, to compute a step.
const SERIES_NANOS: u64 = 300;
const SAMPLE_NANOS: u64 = 4;
const STEP_NANOS: u64 = 3;

/// The distance of samples that is assumed, in milliseconds.
const USUAL_INTERVAL: u64 = 15_000;

/// Pushes the series of an operator into a sink.
type Walk = fn(&Arc<Exec>, &Arc<Node>, Option<Cursor>, &mut dyn Sink) -> Result<()>;

impl Exec {
    /// Pushes all series of an operator. `cursor` stands for a part of its source's series; without
    /// one all of them are walked.
    pub(crate) fn stream(
        self: &Arc<Self>,
        node: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        match &self.measures {
            Some(measures) => measures.run(node, sink, |sink| self.series(node, cursor, sink)),
            None => self.series(node, cursor, sink),
        }
    }

    fn series(
        self: &Arc<Self>,
        node: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        if node.is_shared() {
            let block = self.shared(node)?;
            return push_copies(&block, sink);
        }
        self.walk(node, cursor, sink)
    }

    fn walk(
        self: &Arc<Self>,
        node: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        match &node.kind {
            Kind::Instant { select, part } => {
                let cursor = self.cursor(*select, cursor)?;
                if *part == Part::Value {
                    return self.instant(node, *select, *part, cursor, sink);
                }
                let collide =
                    !self.settings.delayed_names && self.plan.selects[*select].name.is_none();
                let run = |sink: &mut dyn Sink| self.instant(node, *select, *part, cursor, sink);
                self.renamed(collide, run, sink, |key, _| {
                    self.drop_name(key);
                    Ok(())
                })
            }
            Kind::Over {
                function,
                input,
                params,
                range_place,
            } => {
                let over = super::window::Over {
                    node,
                    function: *function,
                    params,
                    range_place: *range_place,
                    keep_names: false,
                };
                match input {
                    RangeInput::Select(select) => {
                        let cursor = self.cursor(*select, cursor)?;
                        self.over_select(&over, *select, cursor, sink)
                    }
                    RangeInput::Subquery {
                        node: inner,
                        window,
                        offset,
                        at,
                    } => self.over_subquery(&over, inner.as_ref(), (*window, *offset, *at), sink),
                }
            }
            Kind::Map {
                function,
                input,
                params,
            } => self.map(node, *function, input, params, cursor, sink),
            Kind::Negate(input) => self.negate(input, cursor, sink),
            Kind::VectorScalar { .. } => self.vector_scalar(node, cursor, sink),
            _ => push_all(self.compute(node)?, sink),
        }
    }

    fn cursor(&self, select: usize, given: Option<Cursor>) -> Result<Cursor> {
        given.map_or_else(|| self.take_cursor(select), Ok)
    }

    /// Series of operators that need all of their input.
    fn compute(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        self.check()?;
        match &node.kind {
            Kind::VectorOf(input) => self.vector_of(node, input),
            Kind::DateNow(function) => Ok(date_now(node, *function)),
            Kind::Absent { input, labels } => self.absent(node, input, labels),
            Kind::AbsentOver {
                input,
                labels,
                range_place,
            } => self.absent_over(node, input, labels, *range_place),
            Kind::LabelReplace { .. } | Kind::LabelJoin { .. } => self.relabel(node),
            Kind::Sort { input, descending } => self.sort(node, input, *descending),
            Kind::SortByLabel {
                input,
                labels,
                descending,
            } => self.sort_by_label(node, input, labels, *descending),
            Kind::HistogramQuantile { .. } => self.histogram_quantile(node),
            Kind::HistogramFraction { .. } => self.histogram_fraction(node),
            Kind::Info {
                base,
                select,
                matchers,
            } => self.info(node, base, *select, matchers),
            Kind::Aggregate(aggregate) => self.aggregate(node, aggregate),
            Kind::Binary { .. } => self.binary(node),
            Kind::Set {
                op,
                lhs,
                rhs,
                matching,
            } => self.set(node, *op, lhs, rhs, matching),
            Kind::Fixed(inner) => self.fixed(node, inner),
            _ => Ok(Block::default()),
        }
    }

    /// Runs an operator once and repeats what it gave at every step.
    fn fixed(self: &Arc<Self>, node: &Arc<Node>, inner: &Arc<Node>) -> Result<Block> {
        let mut block = self.block(inner)?;
        let steps = node.grid.len();
        let bytes = block.rows.len() as u64 * row_bytes(steps);
        block.hold(self.budget.hold(0, bytes, "a vector")?);
        for row in &mut block.rows {
            let value = row.column.floats[0];
            row.column.floats.resize(steps, value);
            if let Some((_, hist)) = row.column.hists.first().cloned() {
                row.column.hists = (0..steps).map(|step| (step as u32, hist.clone())).collect();
            }
        }
        Ok(block)
    }

    /// The series of an operator that stands in the plan more than once: it runs the first time.
    fn shared(self: &Arc<Self>, node: &Arc<Node>) -> Result<Arc<Block>> {
        let known = self.shared.lock().get(&node.id).cloned();
        if let Some(block) = known {
            return Ok(block);
        }
        let exec = self.clone();
        let collectors = self.parts_of(
            node,
            node.own_source(),
            |exec, node, cursor, sink| exec.walk(node, cursor, sink),
            move || Collector::new(&exec, "a vector"),
        )?;
        let block = Arc::new(Block::collected(collectors));
        self.shared.lock().insert(node.id, block.clone());
        Ok(block)
    }

    /// Runs an operator with one sink for each part of its series.
    pub(crate) fn parts<S: Sink + Send + 'static>(
        self: &Arc<Self>,
        node: &Arc<Node>,
        make: impl Fn() -> Result<S> + Send + Sync + 'static,
    ) -> Result<Vec<S>> {
        self.parts_of(
            node,
            node.source(),
            |exec, node, cursor, sink| exec.stream(node, cursor, sink),
            make,
        )
    }

    fn parts_of<S: Sink + Send + 'static>(
        self: &Arc<Self>,
        node: &Arc<Node>,
        source: Option<usize>,
        walk: Walk,
        make: impl Fn() -> Result<S> + Send + Sync + 'static,
    ) -> Result<Vec<S>> {
        let cursors = match source {
            Some(select) if self.may_divide(select) => self.divided(select, node.grid.len())?,
            _ => Vec::new(),
        };
        if cursors.is_empty() {
            let mut sink = make()?;
            walk(self, node, None, &mut sink)?;
            return Ok(vec![sink]);
        }
        self.prepare(node)?;
        let (exec, node) = (self.clone(), node.clone());
        let results = self.pool.run_parts(cursors, move |cursor| {
            let mut sink = make()?;
            walk(&exec, &node, Some(cursor), &mut sink).inspect_err(|_| exec.fail())?;
            Ok(sink)
        });
        // One part that fails stops the others; it is what is to be told.
        let stopped = |result: &Result<S>| matches!(result, Err(error) if error.kind() == QueryErrorKind::Canceled);
        let (stopped, others): (Vec<_>, Vec<_>) = results.into_iter().partition(stopped);
        others.into_iter().chain(stopped).collect()
    }

    /// Series that may collide once their names are gone have to be looked at together.
    fn may_divide(&self, select: usize) -> bool {
        let named = self.settings.delayed_names || self.plan.selects[select].name.is_some();
        self.settings.parallel && named
    }

    /// The cursor of a select in as many parts as there are threads and is worth while.
    fn divided(&self, select: usize, steps: usize) -> Result<Vec<Cursor>> {
        let cursor = self.take_cursor(select)?;
        let threads = self.pool.threads();
        let series_nanos = series_nanos(&self.plan.selects[select], steps);
        let worth = |series: usize| (series as u64).saturating_mul(series_nanos) / PART_NANOS;
        let parts = cursor.remaining().map_or(threads, |series| {
            threads.min(usize::try_from(worth(series)).unwrap_or(usize::MAX))
        });
        Ok(if parts > 1 {
            cursor.split(parts)
        } else {
            vec![cursor]
        })
    }

    /// Evaluates the scalar arguments on the way to the source, so that parts only look them up.
    fn prepare(self: &Arc<Self>, node: &Arc<Node>) -> Result<()> {
        match &node.kind {
            Kind::Over { params, .. } => params
                .iter()
                .try_for_each(|param| self.scalar(param).map(drop)),
            Kind::Map { input, params, .. } => {
                params
                    .iter()
                    .try_for_each(|param| self.scalar(param).map(drop))?;
                self.prepare(input)
            }
            Kind::Negate(input) => self.prepare(input),
            Kind::VectorScalar { vector, scalar, .. } => {
                self.scalar(scalar)?;
                self.prepare(vector)
            }
            _ => Ok(()),
        }
    }

    /// Streams an operator through `each`, which may take names away.
    pub(crate) fn stream_renamed(
        self: &Arc<Self>,
        input: &Arc<Node>,
        cursor: Option<Cursor>,
        sink: &mut dyn Sink,
        each: impl FnMut(&mut Key, &mut Column) -> Result<()>,
    ) -> Result<()> {
        self.renamed(
            self.may_collide(input),
            |sink| self.stream(input, cursor, sink),
            sink,
            each,
        )
    }

    /// Passes series through `each`. Where they may collide afterwards they are collected and joined.
    fn renamed(
        self: &Arc<Self>,
        collide: bool,
        run: impl FnOnce(&mut dyn Sink) -> Result<()>,
        sink: &mut dyn Sink,
        mut each: impl FnMut(&mut Key, &mut Column) -> Result<()>,
    ) -> Result<()> {
        let mut collector = Collector::new(self, "a vector")?;
        run(&mut |mut key: Key, column: &mut Column| {
            each(&mut key, column)?;
            match (column.is_empty(), collide) {
                (true, _) => Ok(()),
                (false, true) => collector.push(key, column),
                (false, false) => sink.push(key, column),
            }
        })?;
        let mut block = Block::collected(vec![collector]);
        let rows = merge_same(std::mem::take(&mut block.rows))?;
        push_all(block.with_rows(rows), sink)
    }
}

/// What reading a series and computing its steps takes, roughly.
fn series_nanos(select: &SelectPlan, steps: usize) -> u64 {
    let samples = match select.newest {
        true => 1,
        false => select.range.end.abs_diff(select.range.start) / USUAL_INTERVAL,
    };
    SERIES_NANOS
        .saturating_add(samples.saturating_mul(SAMPLE_NANOS))
        .saturating_add((steps as u64).saturating_mul(STEP_NANOS))
}

/// Pushes copies of the rows of a block, one after the other.
fn push_copies(block: &Block, sink: &mut dyn Sink) -> Result<()> {
    let mut copy = Column::default();
    for row in &block.rows {
        copy.floats.clone_from(&row.column.floats);
        copy.hists.clone_from(&row.column.hists);
        sink.push(row.key.clone(), &mut copy)?;
    }
    Ok(())
}

/// Pushes the rows of a block.
pub(crate) fn push_all(block: Block, sink: &mut dyn Sink) -> Result<()> {
    for mut row in block.rows {
        sink.push(row.key, &mut row.column)?;
    }
    Ok(())
}

fn date_now(node: &Node, function: crate::functions::FunctionId) -> Block {
    let value = |time: i64| crate::functions::math::apply(function, (time / 1000) as f64, [0.0; 2]);
    let column = Column {
        floats: node.grid.times().map(value).collect(),
        hists: Vec::new(),
    };
    Block::of(vec![Row {
        key: Key::empty(),
        column,
    }])
}
