//! Functions over ranges: windows slide over the samples of one series after the other.

use std::collections::HashSet;
use std::sync::Arc;

use headwater_model::{Labels, SeriesColumns, Timestamp};
use headwater_query::StepGrid;

use super::column::{Column, Key, hist_samples};
use super::samples::{Ranges, Samples, slide};
use super::spans::Spans;
use super::tally::Counter;
use super::{Cursor, Exec, Pace, Result, Sink, execution, same_labelset, without_reserved};
use crate::functions::FunctionId;
use crate::functions::over::{self, Out, OverContext, Rates, Slope};
use crate::plan::Node;
use crate::syntax::ast::Extension;
use crate::syntax::position::PosRange;

/// A call of a function over ranges.
pub(super) struct Over<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) function: FunctionId,
    pub(super) params: &'a [Arc<Node>],
    pub(super) range_place: PosRange,
    /// Leave names to series even if the function takes them away.
    pub(super) keep_names: bool,
}

impl Over<'_> {
    fn keeps_name(&self) -> bool {
        self.keep_names
            || matches!(
                self.function,
                FunctionId::FirstOverTime | FunctionId::LastOverTime
            )
    }

    fn slope(&self) -> Option<Slope> {
        match self.function {
            FunctionId::Rate => Some(Slope::Rate),
            FunctionId::Increase => Some(Slope::Increase),
            FunctionId::Delta => Some(Slope::Delta),
            _ => None,
        }
    }

    /// Functions that `anchored` or `smoothed` ranges have a meaning for.
    fn check_extension(&self, extension: Extension) -> Result<()> {
        use FunctionId as F;
        let (word, safe, names) = match extension {
            Extension::None => return Ok(()),
            Extension::Anchored => (
                "anchored",
                matches!(
                    self.function,
                    F::Changes | F::Delta | F::Increase | F::Rate | F::Resets
                ),
                "changes, delta, increase, rate, resets",
            ),
            Extension::Smoothed => (
                "smoothed",
                matches!(self.function, F::Delta | F::Increase | F::Rate),
                "delta, increase, rate",
            ),
        };
        if safe {
            return Ok(());
        }
        let name = self.function.as_str();
        Err(execution(format!(
            "{word} modifier can only be used with: {names} - not with {name}"
        )))
    }
}

impl Exec {
    pub(super) fn over_select(
        self: &Arc<Self>,
        over: &Over<'_>,
        select: usize,
        mut cursor: Cursor,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let plan = &self.plan.selects[select];
        over.check_extension(plan.extension)?;
        let ranges = self.ranges(
            over.node.grid,
            (plan.window, plan.offset, plan.at),
            plan.extension,
        );
        let mut runner = Runner::new(self, over, ranges, plan.extension)?;
        let varies = plan.name.is_none();
        let steps = over.node.grid.len();
        let mut columns = SeriesColumns::default();
        let mut hold = self.budget.hold(0, 0, "a range selector")?;
        let mut pace = Pace::default();
        while let Some(labels) = cursor.advance()? {
            self.check_at(&mut pace)?;
            cursor.read(&mut columns)?;
            runner
                .samples
                .fill(&mut columns, self.settings.use_starts, plan.stats_only);
            let hists = &runner.samples.hists;
            let weight = runner.samples.len() as u64
                + hists.iter().map(|hist| hist_samples(hist)).sum::<u64>();
            let spans = Spans::size_bytes(runner.samples.times.len(), steps);
            let bytes = weight * 16 + spans + Rates::size_bytes(steps);
            hold.at_least(weight, bytes, "a range selector")?;
            runner.series(Key::new(labels), varies, sink)?;
        }
        self.tally.merge(&runner.counter);
        self.keep_warnings(&mut cursor);
        Ok(())
    }

    pub(super) fn over_subquery(
        self: &Arc<Self>,
        over: &Over<'_>,
        inner: Option<&Arc<Node>>,
        (window, offset, at): (i64, i64, Option<Timestamp>),
        sink: &mut dyn Sink,
    ) -> Result<()> {
        let Some(inner) = inner else { return Ok(()) };
        let ranges = self.ranges(over.node.grid, (window, offset, at), Extension::None);
        let mut runner = Runner::new(self, over, ranges, Extension::None)?;
        let varies = inner.names_vary(&self.plan.selects);
        self.stream(inner, None, &mut |key: Key, column: &mut Column| {
            runner.samples.fill_from_steps(column, inner.grid);
            runner.series(key, varies, sink)
        })?;
        self.tally.merge(&runner.counter);
        Ok(())
    }

    fn ranges(
        &self,
        grid: StepGrid,
        (window, offset, at): (i64, i64, Option<Timestamp>),
        extension: Extension,
    ) -> Ranges {
        let lookback = self.settings.lookback;
        let (before, after) = match extension {
            Extension::None => (0, 0),
            Extension::Anchored => (lookback, 0),
            Extension::Smoothed => (lookback, lookback),
        };
        Ranges {
            grid,
            at,
            offset,
            window,
            before,
            after,
        }
    }
}

/// Applies a function to one series after the other.
struct Runner<'a> {
    exec: &'a Arc<Exec>,
    over: &'a Over<'a>,
    ranges: Ranges,
    extension: Extension,
    params: Vec<Arc<[f64]>>,
    samples: Samples,
    spans: Spans,
    rates: Option<Rates>,
    column: Column,
    counter: Counter,
    /// Series that came out, where different names can make them the same.
    seen: HashSet<Labels>,
}

impl<'a> Runner<'a> {
    fn new(
        exec: &'a Arc<Exec>,
        over: &'a Over<'a>,
        ranges: Ranges,
        extension: Extension,
    ) -> Result<Self> {
        let params = over
            .params
            .iter()
            .map(|param| exec.scalar(param))
            .collect::<Result<_>>()?;
        let counter = exec.tally.counter(over.node.counts, over.node.grid);
        let rates = over.slope().map(|slope| Rates::new(slope, &ranges));
        Ok(Self {
            exec,
            over,
            ranges,
            extension,
            params,
            samples: Samples::default(),
            spans: Spans::default(),
            rates,
            column: Column::default(),
            counter,
            seen: HashSet::new(),
        })
    }

    fn series(&mut self, mut key: Key, varies: bool, sink: &mut dyn Sink) -> Result<()> {
        if self.samples.is_empty() {
            return Ok(());
        }
        self.column.reset(self.ranges.grid.len());
        self.counter.next_series();
        self.evaluate(&key.labels)?;
        if self.column.is_empty() {
            return Ok(());
        }
        self.note_name(&key);
        if !self.over.keeps_name() {
            self.drop_name(&mut key, varies)?;
        }
        sink.push(key, &mut self.column)
    }

    fn context(&self) -> OverContext<'_> {
        OverContext {
            notes: &self.exec.notes,
            place: self.over.range_place,
            window: self.ranges.window,
            extension: self.extension,
            params: [0.0; 2],
        }
    }

    fn evaluate(&mut self, labels: &Labels) -> Result<()> {
        let plain = self.samples.hists.is_empty() && self.samples.starts.is_empty();
        if plain && self.extension == Extension::None && self.all_at_once() {
            return Ok(());
        }
        let mut cx = OverContext {
            notes: &self.exec.notes,
            place: self.over.range_place,
            window: self.ranges.window,
            extension: self.extension,
            params: [0.0; 2],
        };
        let (function, params) = (self.over.function, &self.params);
        let (column, counter) = (&mut self.column, &mut self.counter);
        slide(&self.samples, labels, &self.ranges, |step, window| {
            for (into, values) in cx.params.iter_mut().zip(params) {
                *into = values[step];
            }
            counter.window(step, &window);
            match over::apply(function, &window, &cx)? {
                Out::None => {}
                Out::Float(value) => column.floats[step] = value,
                Out::Hist(hist) => column.hists.push((step as u32, hist)),
            }
            Ok::<_, headwater_query::QueryError>(())
        })?;
        Ok(())
    }

    /// Functions that know how to go over a whole series of plain floats; answers whether this is one.
    fn all_at_once(&mut self) -> bool {
        let turned = over::float_turns(self.over.function);
        if self.rates.is_none() && turned.is_none() {
            return false;
        }
        let times = &self.samples.times;
        let changed = self.spans.find(times, &self.ranges);
        let into = &mut self.column.floats[..];
        if let Some(rates) = &mut self.rates {
            if changed {
                rates.look_at_times(times, &self.spans, &self.ranges);
            }
            rates.evaluate(&self.samples, &self.spans, into);
        } else if let Some(turned) = turned {
            over::count_turns(&self.samples, &self.spans, turned, into);
        }
        self.counter.spans(&self.spans);
        true
    }

    /// `rate` and `increase` of something that is not named like a counter may be a mistake.
    fn note_name(&self, key: &Key) {
        let counter = matches!(self.over.function, FunctionId::Rate | FunctionId::Increase);
        let has_floats = self
            .column
            .floats
            .iter()
            .any(|value| headwater_query::is_present(*value));
        if counter && has_floats {
            over::note_if_not_counter(&key.labels, &self.context(), self.exec.settings.typed);
        }
    }

    fn drop_name(&mut self, key: &mut Key, varies: bool) -> Result<()> {
        if self.exec.settings.delayed_names {
            key.drop_name = true;
            return Ok(());
        }
        key.labels = without_reserved(&key.labels);
        if varies && !self.seen.insert(key.labels.clone()) {
            return Err(same_labelset());
        }
        Ok(())
    }
}
