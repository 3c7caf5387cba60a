//! `info()`: its second select and the moment that it looks at.

use headwater_model::label::METRIC_NAME;
use headwater_model::{MatchOp, Matcher, TimeRange, Timestamp};
use headwater_query::StepGrid;
use headwater_storage::Projection;

use super::super::duration;
use super::super::{Kind, SelectPlan};
use super::select::fixed_name;
use super::{Builder, Built};
use crate::syntax::ast::{Expr, Extension};

impl Builder {
    pub(super) fn info(
        &mut self,
        base: &Expr,
        selector: Option<&Expr>,
        grid: StepGrid,
    ) -> Built<Kind> {
        let mut matchers = match selector {
            Some(Expr::Vector(selector)) => selector.matchers.clone(),
            _ => Vec::new(),
        };
        let positive = |matcher: &Matcher| matcher.name == METRIC_NAME && !matcher.is_negative();
        if !matchers.iter().any(|matcher| matcher.name == METRIC_NAME) {
            matchers.push(Matcher::equal(METRIC_NAME, "target_info"));
        } else if !matchers.iter().any(positive) {
            // What is excluded by name is excluded from what info metrics are called.
            let named = Matcher::new(MatchOp::Regex, METRIC_NAME, ".+_info");
            matchers.extend(named);
        }
        let base_node = self.node(base, grid)?;
        let (at, offset) = self.reference(base).unwrap_or((None, 0));
        let edge = |time: Timestamp| at.unwrap_or(time).saturating_sub(offset);
        let start = edge(grid.first())
            .saturating_sub(self.times.lookback)
            .saturating_add(1);
        self.selects.push(SelectPlan {
            range: TimeRange::new(start, edge(grid.last())),
            name: fixed_name(&matchers),
            matchers: matchers.clone(),
            at,
            offset,
            window: 0,
            extension: Extension::None,
            function: Some("info"),
            step: if grid.len() > 1 { grid.step() } else { 0 },
            labels: Projection::All,
            stats_only: self.stats_calls > 0 && self.bucket_calls == 0,
            newest: false,
            unused: false,
            sorted: self.sorted,
        });
        Ok(Kind::Info {
            base: base_node,
            select: self.selects.len() - 1,
            matchers,
        })
    }

    /// The moment that the first selector of an expression looks at: `@` and offset, those of the
    /// subqueries around it included.
    pub(super) fn reference(&self, expr: &Expr) -> Option<(Option<Timestamp>, i64)> {
        let (at, offset, inner) = match expr.unwrapped() {
            Expr::Vector(selector) => (selector.at, &selector.offset, None),
            Expr::Matrix(matrix) => (matrix.selector.at, &matrix.selector.offset, None),
            Expr::Subquery(subquery) => (subquery.at, &subquery.offset, Some(&subquery.expr)),
            expr => {
                let mut found = None;
                expr.children(&mut |child| {
                    if found.is_none() {
                        found = self.reference(child);
                    }
                });
                return found;
            }
        };
        let outer = (self.at(at), duration::any(offset, &self.times).unwrap_or(0));
        match inner.map(|inner| self.reference(inner)) {
            None => Some(outer),
            Some(None) => None,
            Some(Some((Some(at), offset))) => Some((Some(at), offset)),
            Some(Some((None, offset))) => Some((outer.0, outer.1 + offset)),
        }
    }
}
