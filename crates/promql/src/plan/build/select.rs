//! What a plan reads from the store: instant selectors, ranges and subqueries.

use headwater_model::label::METRIC_NAME;
use headwater_model::{MatchOp, Matcher, TimeRange, Timestamp};
use headwater_query::StepGrid;
use headwater_storage::Projection;

use super::super::duration;
use super::super::{Kind, Part, RangeInput, SelectPlan};
use super::{Builder, Built};
use crate::syntax::ast::{At, Expr, Extension, MatrixSelector, Subquery, VectorSelector};

impl Builder {
    pub(super) fn at(&self, at: Option<At>) -> Option<Timestamp> {
        at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.times.start,
            At::End => self.times.end,
        })
    }

    pub(super) fn instant(
        &mut self,
        selector: &VectorSelector,
        grid: StepGrid,
        part: Part,
        function: Option<&'static str>,
    ) -> Built<Kind> {
        let lookback = self.times.lookback;
        let after = if selector.extension == Extension::Smoothed {
            lookback
        } else {
            0
        };
        let select = self.select(selector, grid, 0, (lookback, after), function)?;
        Ok(Kind::Instant { select, part })
    }

    pub(super) fn matrix(
        &mut self,
        matrix: &MatrixSelector,
        grid: StepGrid,
        function: Option<&'static str>,
    ) -> Built<usize> {
        let window = duration::positive(&matrix.window, &self.times)?;
        let lookback = self.times.lookback;
        let (before, after) = match matrix.selector.extension {
            Extension::None => (0, 0),
            Extension::Anchored => (lookback, 0),
            Extension::Smoothed => (lookback, lookback),
        };
        self.select(
            &matrix.selector,
            grid,
            window,
            (window + before, after),
            function,
        )
    }

    /// Notes a select; `reach` is how far it looks back, open at that end, and ahead.
    pub(super) fn select(
        &mut self,
        selector: &VectorSelector,
        grid: StepGrid,
        window: i64,
        reach: (i64, i64),
        function: Option<&'static str>,
    ) -> Built<usize> {
        let offset = duration::any(&selector.offset, &self.times)?;
        let at = self.at(selector.at);
        let edge = |time: Timestamp| at.unwrap_or(time).saturating_sub(offset);
        let start = edge(grid.first()).saturating_sub(reach.0).saturating_add(1);
        let end = edge(grid.last()).saturating_add(reach.1);
        self.selects.push(SelectPlan {
            matchers: selector.matchers.clone(),
            range: TimeRange::new(start, end),
            at,
            offset,
            window,
            extension: selector.extension,
            name: fixed_name(&selector.matchers),
            function,
            step: if grid.len() > 1 { grid.step() } else { 0 },
            labels: Projection::All,
            stats_only: self.stats_calls > 0 && self.bucket_calls == 0,
            sorted: self.sorted,
            newest: false,
            unused: false,
        });
        Ok(self.selects.len() - 1)
    }

    pub(super) fn range_input(
        &mut self,
        expr: &Expr,
        grid: StepGrid,
        function: &'static str,
    ) -> Built<RangeInput> {
        match expr.unwrapped() {
            Expr::Matrix(matrix) => Ok(RangeInput::Select(self.matrix(
                matrix,
                grid,
                Some(function),
            )?)),
            Expr::Subquery(subquery) => self.subquery(subquery, grid),
            _ => Ok(RangeInput::Subquery {
                node: None,
                window: 0,
                offset: 0,
                at: None,
            }),
        }
    }

    /// The steps of a subquery are multiples of its step, whatever the steps of the query are.
    pub(super) fn subquery(&mut self, subquery: &Subquery, grid: StepGrid) -> Built<RangeInput> {
        let window = duration::positive(&subquery.window, &self.times)?;
        let offset = duration::any(&subquery.offset, &self.times)?;
        let step = match duration::positive(&subquery.step, &self.times)? {
            0 => self.times.default_subquery_step,
            step => step,
        };
        let at = self.at(subquery.at);
        let edge = |time: Timestamp| at.unwrap_or(time).saturating_sub(offset);
        let before = edge(grid.first()).saturating_sub(window);
        let end = edge(grid.last());
        let mut start = step.saturating_mul(before / step);
        if start <= before {
            start = start.saturating_add(step);
        }
        let node = if start > end {
            None
        } else {
            let inner = StepGrid::new(start, end, step)?;
            self.bucket_calls += 1;
            self.subqueries += 1;
            let node = self.node(&subquery.expr, inner);
            self.bucket_calls -= 1;
            self.subqueries -= 1;
            Some(node?)
        };
        Ok(RangeInput::Subquery {
            node,
            window,
            offset,
            at,
        })
    }
}

pub(super) fn fixed_name(matchers: &[Matcher]) -> Option<String> {
    let name = |matcher: &&Matcher| {
        matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal && !matcher.value.is_empty()
    };
    matchers
        .iter()
        .find(name)
        .map(|matcher| matcher.value.clone())
}
