//! Expressions to operators.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use headwater_model::label::METRIC_NAME;
use headwater_model::{LabelsBuilder, MatchOp, Matcher, TimeRange, Timestamp};
use headwater_query::{QueryError, StepGrid};

use super::invariant::is_invariant;
use super::order;
use super::share::Shared;
use super::{AggregateNode, Counts, Kind, Node, Param, Part, Plan, RangeInput, Root, SelectPlan};
use super::{duration, fold};
use crate::functions::FunctionId as F;
use crate::syntax::ast::{
    Aggregate, At, Binary, Call, Expr, Extension, MatrixSelector, Subquery, ValueType,
    VectorSelector,
};
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

/// Builds the plan of a checked expression.
///
/// `optimise` is the text of the query if expressions that stand in it twice are to be shared.
pub(crate) fn build(expr: &Expr, times: Times, optimise: Option<&str>) -> Built<Plan> {
    let mut builder = Builder {
        times,
        selects: Vec::new(),
        nodes: 0,
        stats_calls: 0,
        bucket_calls: 0,
        subqueries: 0,
        shared: Shared::new(optimise.unwrap_or("")),
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
    Ok(Plan {
        root,
        selects: builder.selects,
        aliases: builder.shared.into_aliases(),
    })
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
        kind.filter(|_| self.shared.is_on())
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

    // Selects.

    fn at(&self, at: Option<At>) -> Option<Timestamp> {
        at.map(|at| match at {
            At::Time(time) => time,
            At::Start => self.times.start,
            At::End => self.times.end,
        })
    }

    fn instant(
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

    fn matrix(
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
    fn select(
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
            stats_only: self.stats_calls > 0 && self.bucket_calls == 0,
            sorted: self.sorted,
        });
        Ok(self.selects.len() - 1)
    }

    fn range_input(
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
    fn subquery(&mut self, subquery: &Subquery, grid: StepGrid) -> Built<RangeInput> {
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

    // Operators.

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
        let input = self.node(&aggregate.expr, grid)?;
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

    fn nodes(&mut self, args: &[Expr], grid: StepGrid) -> Built<Vec<Arc<Node>>> {
        args.iter().map(|arg| self.node(arg, grid)).collect()
    }

    fn call(&mut self, call: &Call, grid: StepGrid) -> Built<Kind> {
        let stats = matches!(
            call.function.id,
            F::HistogramCount | F::HistogramSum | F::HistogramAvg
        );
        let buckets = matches!(
            call.function.id,
            F::HistogramQuantile | F::HistogramQuantiles | F::HistogramFraction
        );
        self.stats_calls += usize::from(stats);
        self.bucket_calls += usize::from(buckets);
        let kind = self.call_kind(call, grid);
        self.stats_calls -= usize::from(stats);
        self.bucket_calls -= usize::from(buckets);
        kind
    }

    fn call_kind(&mut self, call: &Call, grid: StepGrid) -> Built<Kind> {
        let (function, args) = (call.function, &call.args[..]);
        let matrix = function
            .args
            .iter()
            .position(|kind| *kind == ValueType::Matrix);
        if let Some(matrix) = matrix {
            return self.over(call, matrix, grid);
        }
        Ok(match (function.id, args) {
            (F::Time, _) => Kind::Time,
            (F::Pi, _) => Kind::Number(std::f64::consts::PI),
            (F::Start, _) => Kind::Number(self.times.start as f64 / 1000.0),
            (F::End, _) => Kind::Number(self.times.end as f64 / 1000.0),
            (F::Step, _) => Kind::Number(self.times.step as f64 / 1000.0),
            (F::Range, _) => Kind::Number((self.times.end - self.times.start) as f64 / 1000.0),
            (F::MinOf | F::MaxOf, [lhs, rhs]) => {
                let (lhs, rhs) = (self.node(lhs, grid)?, self.node(rhs, grid)?);
                Kind::Choose {
                    max: function.id == F::MaxOf,
                    lhs,
                    rhs,
                }
            }
            (F::Scalar, [arg]) => Kind::ScalarOf(self.node(arg, grid)?),
            (F::Vector, [arg]) => Kind::VectorOf(self.node(arg, grid)?),
            (F::Timestamp | F::StartTimestamp, [arg]) => self.timestamp(function.id, arg, grid)?,
            (F::Absent, [arg]) => {
                let labels = absent_labels(arg);
                Kind::Absent {
                    input: self.node(arg, grid)?,
                    labels,
                }
            }
            (F::Sort | F::SortDesc, [arg]) => Kind::Sort {
                input: self.node(arg, grid)?,
                descending: function.id == F::SortDesc,
            },
            (F::SortByLabel | F::SortByLabelDesc, [arg, labels @ ..]) => Kind::SortByLabel {
                input: self.node(arg, grid)?,
                labels: labels.iter().map(text).collect(),
                descending: function.id == F::SortByLabelDesc,
            },
            (F::LabelReplace, [arg, destination, replacement, source, pattern]) => {
                Kind::LabelReplace {
                    input: self.node(arg, grid)?,
                    destination: label_name(destination),
                    replacement: text(replacement),
                    source: text(source),
                    pattern: text(pattern),
                }
            }
            (F::LabelJoin, [arg, destination, separator, sources @ ..]) => Kind::LabelJoin {
                input: self.node(arg, grid)?,
                destination: label_name(destination),
                separator: text(separator),
                sources: sources.iter().map(text).collect(),
            },
            (F::HistogramQuantile, [quantile, input]) => Kind::HistogramQuantile {
                quantiles: vec![(self.node(quantile, grid)?, quantile.range())],
                label: None,
                input: self.node(input, grid)?,
            },
            (F::HistogramQuantiles, [input, label, quantiles @ ..]) => {
                let mut built = Vec::new();
                for quantile in quantiles {
                    built.push((self.node(quantile, grid)?, quantile.range()));
                }
                let input = self.node(input, grid)?;
                Kind::HistogramQuantile {
                    quantiles: built,
                    label: Some(text(label)),
                    input,
                }
            }
            (F::HistogramFraction, [lower, upper, input]) => Kind::HistogramFraction {
                lower: self.node(lower, grid)?,
                upper: self.node(upper, grid)?,
                input: self.node(input, grid)?,
            },
            (F::Info, [base, rest @ ..]) => self.info(base, rest.first(), grid)?,
            (id, []) => Kind::DateNow(id),
            (id, [input, params @ ..]) => {
                let input = self.node(input, grid)?;
                let params = self.nodes(params, grid)?;
                Kind::Map {
                    function: id,
                    input,
                    params,
                }
            }
        })
    }

    /// Of a selector, the time of its sample; of anything else, the time of the step.
    fn timestamp(&mut self, function: F, arg: &Expr, grid: StepGrid) -> Built<Kind> {
        let part = if function == F::Timestamp {
            Part::Time
        } else {
            Part::Start
        };
        match arg.unwrapped() {
            Expr::Vector(selector) => self.instant(selector, grid, part, None),
            _ => Ok(Kind::Map {
                function,
                input: self.node(arg, grid)?,
                params: Vec::new(),
            }),
        }
    }

    fn over(&mut self, call: &Call, matrix: usize, grid: StepGrid) -> Built<Kind> {
        let function = call.function;
        let range = &call.args[matrix];
        let range_place = range.range();
        let input = self.range_input(range, grid, function.name)?;
        if function.id == F::AbsentOverTime {
            return Ok(Kind::AbsentOver {
                input,
                labels: absent_labels(range),
                range_place,
            });
        }
        let mut params = Vec::new();
        for (at, arg) in call.args.iter().enumerate().filter(|(at, _)| *at != matrix) {
            debug_assert!(at != matrix);
            params.push(self.node(arg, grid)?);
        }
        // Notes on quantile_over_time point at its first argument, which is not the range.
        let range_place = if matrix == 0 {
            range_place
        } else {
            call.args[0].range()
        };
        Ok(Kind::Over {
            function: function.id,
            input,
            params,
            range_place,
        })
    }

    fn info(&mut self, base: &Expr, selector: Option<&Expr>, grid: StepGrid) -> Built<Kind> {
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
            stats_only: self.stats_calls > 0 && self.bucket_calls == 0,
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
    fn reference(&self, expr: &Expr) -> Option<(Option<Timestamp>, i64)> {
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

/// The name of a label; one that is not UTF-8 becomes empty, which no label's name may be.
fn label_name(expr: &Expr) -> String {
    match expr.unwrapped() {
        Expr::String(text) if text.not_utf8.is_some() => String::new(),
        expr => text(expr),
    }
}

fn text(expr: &Expr) -> String {
    match expr.unwrapped() {
        Expr::String(text) => text.value.clone(),
        _ => String::new(),
    }
}

fn fixed_name(matchers: &[Matcher]) -> Option<String> {
    let name = |matcher: &&Matcher| {
        matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal && !matcher.value.is_empty()
    };
    matchers
        .iter()
        .find(name)
        .map(|matcher| matcher.value.clone())
}

/// The labels that `absent` can know of series that are not there: those of equality matchers that
/// are alone on their label.
fn absent_labels(expr: &Expr) -> headwater_model::Labels {
    let matchers = match expr.unwrapped() {
        Expr::Vector(selector) => &selector.matchers,
        Expr::Matrix(matrix) => &matrix.selector.matchers,
        _ => return headwater_model::Labels::empty(),
    };
    let mut labels = LabelsBuilder::new();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers
        .iter()
        .filter(|matcher| matcher.name != METRIC_NAME)
    {
        if matcher.op == MatchOp::Equal && !seen.contains(&matcher.name.as_str()) {
            labels.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}
