//! Metric queries: the tree evaluated from its range aggregations up.

use std::sync::Arc;

use headwater_model::{Labels, Matcher};
use headwater_query::{Budget, QueryError, QueryErrorKind, StepGrid};
use headwater_regexp::Regex;
use headwater_storage::LogCursor;

use super::range::{Gather, Plan};
use super::rows::{Evaluated, Row};
use super::window::Windows;
use super::{Scan, binary, vector};
use crate::ast::{Expr, LabelReplace, RangeAggregation, RangeOp, VectorAggregation, VectorOp};
use crate::error::ParseError;

/// A range aggregation that is compiled but has no data yet.
pub(crate) struct Planned {
    pub(crate) plan: Arc<Plan>,
    pub(crate) matchers: Vec<Matcher>,
    pub(crate) windows: Windows,
}

/// A range aggregation with its open streams.
pub(crate) struct Prepared {
    pub(crate) plan: Arc<Plan>,
    pub(crate) cursor: Option<Box<dyn LogCursor>>,
}

/// Compiles the range aggregations of a query, left to right.
pub(crate) fn plans(expr: &Expr, grid: &StepGrid) -> Result<Vec<Planned>, ParseError> {
    let mut all = Vec::new();
    collect(expr, grid, None, &mut all)?;
    Ok(all)
}

fn collect(
    expr: &Expr,
    grid: &StepGrid,
    outer: Option<&VectorAggregation>,
    all: &mut Vec<Planned>,
) -> Result<(), ParseError> {
    match expr {
        Expr::Range(node) => {
            let windows = Windows::new(*grid, node.range.range, node.range.offset);
            let outer = outer.filter(|outer| can_group_lines(outer, node));
            let outer = outer.map(|outer| match &outer.grouping {
                Some(g) => (g.labels.as_slice(), g.without),
                None => (&[] as &[String], false),
            });
            all.push(Planned {
                plan: Arc::new(Plan::new(node, outer, windows)?),
                matchers: node.range.log.matchers.clone(),
                windows,
            });
        }
        Expr::Vector(node) => collect(&node.inner, grid, Some(node), all)?,
        Expr::LabelReplace(node) => collect(&node.inner, grid, None, all)?,
        Expr::Binary(node) => {
            collect(&node.left, grid, None, all)?;
            collect(&node.right, grid, None, all)?;
        }
        Expr::Log(_) | Expr::Literal(_) | Expr::VectorLiteral(_) => {}
    }
    Ok(())
}

/// Whether lines may be grouped as the `sum` around them groups series: sums
/// of sums do not care.
fn can_group_lines(outer: &VectorAggregation, node: &RangeAggregation) -> bool {
    let sums = matches!(
        node.op,
        RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Sum | RangeOp::Rate | RangeOp::Count
    );
    outer.op == VectorOp::Sum && sums && node.grouping.is_none()
}

struct Evaluator<'a> {
    grid: &'a StepGrid,
    prepared: std::vec::IntoIter<Prepared>,
    budget: &'a Budget,
    max_series: usize,
    scan: &'a Arc<Scan>,
}

/// Evaluates a query whose range aggregations are ready, in their order.
pub(crate) fn evaluate(
    expr: &Expr,
    grid: &StepGrid,
    prepared: Vec<Prepared>,
    budget: &Budget,
    max_series: usize,
    scan: &Arc<Scan>,
) -> Result<Evaluated, QueryError> {
    let mut evaluator = Evaluator {
        grid,
        prepared: prepared.into_iter(),
        budget,
        max_series,
        scan,
    };
    let value = evaluator.eval(expr)?;
    evaluator.check(&value)?;
    Ok(match value {
        Evaluated::Rows(mut rows) if !sorts(expr) => {
            rows.sort_by(|a, b| a.labels.cmp(&b.labels));
            Evaluated::Rows(rows)
        }
        value => value,
    })
}

/// Whether the query asks for an order of its series.
fn sorts(expr: &Expr) -> bool {
    match expr {
        Expr::Vector(node) => {
            matches!(node.op, VectorOp::Sort | VectorOp::SortDesc) || sorts(&node.inner)
        }
        Expr::LabelReplace(node) => sorts(&node.inner),
        Expr::Binary(node) => sorts(&node.left) || sorts(&node.right),
        Expr::Log(_) | Expr::Range(_) | Expr::Literal(_) | Expr::VectorLiteral(_) => false,
    }
}

impl Evaluator<'_> {
    fn eval(&mut self, expr: &Expr) -> Result<Evaluated, QueryError> {
        Ok(match expr {
            Expr::Literal(value) => Evaluated::Scalar(*value),
            Expr::VectorLiteral(value) => {
                Evaluated::Rows(vec![Row::constant(Labels::empty(), *value, self.grid)])
            }
            Expr::Range(_) => Evaluated::Rows(self.range()?),
            Expr::Vector(node) => Evaluated::Rows(self.vector(node)?),
            Expr::LabelReplace(node) => Evaluated::Rows(self.label_replace(node)?),
            Expr::Binary(node) => {
                let left = self.eval(&node.left)?;
                self.check(&left)?;
                let right = self.eval(&node.right)?;
                self.check(&right)?;
                binary::combine(node, left, right)?
            }
            Expr::Log(_) => {
                let message = "a log query has no numbers";
                return Err(QueryError::new(QueryErrorKind::Internal, message));
            }
        })
    }

    fn rows(&mut self, expr: &Expr) -> Result<Vec<Row>, QueryError> {
        Ok(match self.eval(expr)? {
            Evaluated::Rows(rows) => rows,
            Evaluated::Scalar(value) => vec![Row::constant(Labels::empty(), value, self.grid)],
        })
    }

    fn range(&mut self) -> Result<Vec<Row>, QueryError> {
        let missing = || QueryError::new(QueryErrorKind::Internal, "a range was not prepared");
        let mut prepared = self.prepared.next().ok_or_else(missing)?;
        let cursor = prepared.cursor.take().ok_or_else(missing)?;
        let parts = self.scan.split(cursor);
        let (plan, scan, budget) = (prepared.plan, self.scan.clone(), self.budget.clone());
        let read = move |part: Box<dyn LogCursor>| {
            let hold = budget.hold(0, 0, "range aggregation")?;
            Gather::new(plan.clone(), hold).read(part, &scan)
        };
        let mut parts = self.scan.run(parts, read)?.into_iter();
        let mut whole = parts.next().ok_or_else(missing)?;
        parts.for_each(|part| whole.merge(part));
        Ok(whole.finish())
    }

    fn vector(&mut self, node: &VectorAggregation) -> Result<Vec<Row>, QueryError> {
        let rows = self.rows(&node.inner)?;
        // What is reduced at once may be more than what an answer may hold.
        let reduces = !node.op.takes_k() && !matches!(node.op, VectorOp::Sort | VectorOp::SortDesc);
        if !reduces {
            self.check_count(rows.len())?;
        }
        let grouping = node.grouping.as_ref();
        Ok(vector::aggregate(
            node.op, node.k, grouping, rows, self.grid,
        ))
    }

    fn label_replace(&mut self, node: &LabelReplace) -> Result<Vec<Row>, QueryError> {
        let regex = Regex::anchored(&node.regex)
            .map_err(|e| QueryError::new(QueryErrorKind::BadData, e.to_string()))?;
        let mut rows = self.rows(&node.inner)?;
        for row in &mut rows {
            let source = row.labels.get(&node.source).unwrap_or_default();
            if let Some(captures) = regex.captures(source) {
                let mut value = String::new();
                captures.expand(&node.replacement, &mut value);
                let mut builder = row.labels.to_builder();
                row.labels = builder.set(&node.target, &value).build();
            }
        }
        // The order may be that of a sort; the answer is sorted otherwise.
        Ok(rows)
    }

    fn check(&self, value: &Evaluated) -> Result<(), QueryError> {
        match value {
            Evaluated::Rows(rows) => self.check_count(rows.len()),
            Evaluated::Scalar(_) => Ok(()),
        }
    }

    fn check_count(&self, count: usize) -> Result<(), QueryError> {
        let limit = self.max_series;
        if limit == 0 || count <= limit {
            return Ok(());
        }
        Err(QueryError::new(
            QueryErrorKind::Limit,
            format!(
                "maximum number of series ({limit}) reached for a single query; consider reducing \
                 query cardinality by adding more specific stream selectors, reducing the time \
                 range, or aggregating results with functions like sum(), count() or topk()"
            ),
        ))
    }
}
