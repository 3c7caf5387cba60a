//! Expressions to operators.

mod call;
mod info;
mod select;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headwater_model::Timestamp;
use headwater_query::{QueryError, StepGrid};

use super::fold;
use super::invariant::is_invariant;
use super::order;
use super::share::Shared;
use super::{AggregateNode, Counts, Kind, Node, Param, Part, Plan, RangeInput, Root, SelectPlan};
use super::{newest, project, propagate, prune};
use crate::syntax::ast::{Aggregate, Binary, Expr, ValueType};
use crate::syntax::position::PosRange;

/// When a query is evaluated, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    /// 0 for instant queries.
    pub(crate) step: i64,
    pub(crate) lookback: i64,
    pub(crate) default_subquery_step: i64,
}

type Built<T = Arc<Node>> = Result<T, QueryError>;

/// What the rules of the optimiser may do.
#[derive(Clone, Copy)]
pub(crate) struct Optimise<'a> {
    /// The text of the query.
    pub(crate) text: &'a str,
    /// Whatever the query says to look at will be counted, so nothing of it may be left out.
    pub(crate) counted: bool,
}

/// Builds the plan of a checked expression; without `optimise` as it is written.
pub(crate) fn build(expr: &Expr, times: Times, optimise: Option<Optimise<'_>>) -> Built<Plan> {
    let may_leave_out = optimise.filter(|optimise| !optimise.counted);
    let mut builder = Builder {
        times,
        selects: Vec::new(),
        nodes: 0,
        stats_calls: 0,
        bucket_calls: 0,
        subqueries: 0,
        optimise: optimise.is_some(),
        shared: Shared::new(may_leave_out.map_or("", |optimise| optimise.text)),
        sorted: order::matters(expr, times.step == 0),
    };
    let grid = StepGrid::new(times.start, times.end, times.step)?;
    let kind = expr.value_type();
    let root = match (kind, expr.unwrapped()) {
        (ValueType::String, Expr::String(text)) => Root::Text(text.value.clone()),
        (ValueType::Matrix, Expr::Matrix(matrix)) => Root::Samples {
            select: builder.matrix(matrix, grid, None)?,
        },
        (ValueType::Matrix, Expr::Subquery(subquery)) => match builder.subquery(subquery, grid)? {
            RangeInput::Subquery { node, .. } => Root::Subquery { node },
            RangeInput::Select(select) => Root::Samples { select },
        },
        _ => Root::Steps(builder.node(expr, grid)?),
    };
    let mut plan = Plan {
        root,
        selects: builder.selects,
        nodes: builder.nodes,
        aliases: builder.shared.into_aliases(),
    };
    if may_leave_out.is_some() {
        propagate::apply(&mut plan);
        prune::apply(&mut plan);
    }
    if optimise.is_some() {
        project::apply(&mut plan);
        newest::apply(&mut plan);
    }
    Ok(plan)
}

struct Builder {
    times: Times,
    selects: Vec<SelectPlan>,
    nodes: usize,
    /// Calls around what is being built that want nothing but count and sum of histograms.
    stats_calls: usize,
    /// Calls and subqueries around it that need buckets.
    bucket_calls: usize,
    /// Subqueries around it.
    subqueries: usize,
    optimise: bool,
    shared: Shared,
    sorted: bool,
}

impl Builder {
    fn make(&mut self, kind: Kind, grid: StepGrid, place: PosRange) -> Arc<Node> {
        self.nodes += 1;
        Arc::new(Node {
            id: self.nodes - 1,
            kind,
            grid,
            place,
            counts: self.counts(grid),
            shared: AtomicBool::new(false),
        })
    }

    /// What an optimiser rule made, if rules are to be applied.
    fn optimised(&self, kind: Option<Kind>) -> Option<Kind> {
        kind.filter(|_| self.optimise)
    }

    fn counts(&self, grid: StepGrid) -> Counts {
        let whole = self.times.step == 0 || grid.len() > 1 || self.times.start == self.times.end;
        match (self.subqueries > 0, whole) {
            (true, _) => Counts::Never,
            (false, true) => Counts::EachStep,
            (false, false) => Counts::Repeated,
        }
    }

    fn node(&mut self, expr: &Expr, grid: StepGrid) -> Built {
        let expr = expr.unwrapped();
        let place = expr.range();
        let stats_only = self.stats_calls > 0 && self.bucket_calls == 0;
        let inside = self.subqueries > 0;
        let Some(same) = self.shared.sameness(place, grid, stats_only, inside) else {
            return self.new_node(expr, grid);
        };
        if let Some(node) = self.shared.find(&same, place) {
            return Ok(node);
        }
        let before = self.selects.len();
        let node = self.new_node(expr, grid)?;
        if self.selects.len() > before {
            self.shared.remember(same, &node);
        }
        Ok(node)
    }

    fn new_node(&mut self, expr: &Expr, grid: StepGrid) -> Built {
        let place = expr.range();
        if grid.len() > 1 && !matches!(expr, Expr::Number(_)) && is_invariant(expr) {
            let inner = self.node(expr, StepGrid::instant(grid.first()))?;
            let kind = match inner.kind {
                Kind::Number(value) => Kind::Number(value),
                _ => Kind::Fixed(inner),
            };
            return Ok(self.make(kind, grid, place));
        }
        let kind = match expr {
            Expr::Number(number) => Kind::Number(number.value),
            Expr::Vector(selector) => self.instant(selector, grid, Part::Value, None)?,
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, grid)?,
            Expr::Call(call) => self.call(call, grid)?,
            Expr::Binary(binary) => self.binary(binary, grid)?,
            Expr::Unary(unary) => {
                let inner = self.node(&unary.expr, grid)?;
                match (unary.negative, inner.is_scalar()) {
                    (false, _) => return Ok(inner),
                    (true, true) => self
                        .optimised(fold::negate(&inner))
                        .unwrap_or(Kind::ScalarNegate(inner)),
                    (true, false) => Kind::Negate(inner),
                }
            }
            // The type check lets ranges and strings stand only where calls and aggregations take them.
            Expr::Matrix(_) | Expr::Subquery(_) | Expr::String(_) | Expr::Paren(_) => {
                Kind::Number(f64::NAN)
            }
        };
        Ok(self.make(kind, grid, place))
    }

    fn aggregate(&mut self, aggregate: &Aggregate, grid: StepGrid) -> Built<Kind> {
        let param = match &aggregate.param {
            Some(param) => Some(match param.unwrapped() {
                Expr::String(text) => Param::Text {
                    value: text.value.clone(),
                    shown: text.to_string(),
                    valid: !text.value.is_empty() && text.not_utf8.is_none(),
                },
                param => Param::Number(self.node(param, grid)?),
            }),
            None => None,
        };
        let input = self.summed(aggregate, grid)?;
        if let Some(select) = input.source() {
            self.selects[select]
                .function
                .get_or_insert(aggregate.op.as_str());
        }
        let mut grouping = aggregate.grouping.clone();
        grouping.sort_unstable();
        grouping.dedup();
        let (op, without) = (aggregate.op, aggregate.without);
        Ok(Kind::Aggregate(AggregateNode {
            op,
            input,
            param,
            grouping,
            without,
        }))
    }

    /// The input of an aggregation. Series that come from a select and are added up at once are not
    /// shared with others: to read them again is cheaper than to hold them all.
    fn summed(&mut self, aggregate: &Aggregate, grid: StepGrid) -> Built {
        let expr = aggregate.expr.unwrapped();
        let passes_by = match expr {
            Expr::Vector(_) => true,
            Expr::Call(call) => matches!(
                call.args.first().map(Expr::unwrapped),
                Some(Expr::Matrix(_))
            ),
            _ => false,
        };
        if passes_by && project::adds_up(aggregate.op) && !is_invariant(expr) {
            return self.new_node(expr, grid);
        }
        self.node(expr, grid)
    }

    fn binary(&mut self, binary: &Binary, grid: StepGrid) -> Built<Kind> {
        let (op, return_bool) = (binary.op, binary.return_bool);
        let lhs = self.node(&binary.lhs, grid)?;
        let rhs = self.node(&binary.rhs, grid)?;
        let matching = binary.matching.clone().unwrap_or_default();
        Ok(match (lhs.is_scalar(), rhs.is_scalar()) {
            (true, true) => self
                .optimised(fold::binary(op, &lhs, &rhs))
                .unwrap_or(Kind::ScalarBinary { op, lhs, rhs }),
            (false, true) => Kind::VectorScalar {
                op,
                vector: lhs,
                scalar: rhs,
                swapped: false,
                return_bool,
            },
            (true, false) => Kind::VectorScalar {
                op,
                vector: rhs,
                scalar: lhs,
                swapped: true,
                return_bool,
            },
            (false, false) if op.is_set() => Kind::Set {
                op,
                lhs,
                rhs,
                matching,
            },
            (false, false) => Kind::Binary {
                op,
                lhs,
                rhs,
                matching,
                return_bool,
            },
        })
    }
}
