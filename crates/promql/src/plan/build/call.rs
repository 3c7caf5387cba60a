//! Calls of functions.

use std::sync::Arc;

use headwater_model::LabelsBuilder;
use headwater_model::MatchOp;
use headwater_model::label::METRIC_NAME;
use headwater_query::StepGrid;

use super::super::{Kind, Node, Part};
use super::{Builder, Built};
use crate::functions::FunctionId as F;
use crate::syntax::ast::{Call, Expr, ValueType};

impl Builder {
    pub(super) fn nodes(&mut self, args: &[Expr], grid: StepGrid) -> Built<Vec<Arc<Node>>> {
        args.iter().map(|arg| self.node(arg, grid)).collect()
    }

    pub(super) fn call(&mut self, call: &Call, grid: StepGrid) -> Built<Kind> {
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

    pub(super) fn call_kind(&mut self, call: &Call, grid: StepGrid) -> Built<Kind> {
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
    pub(super) fn timestamp(&mut self, function: F, arg: &Expr, grid: StepGrid) -> Built<Kind> {
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

    pub(super) fn over(&mut self, call: &Call, matrix: usize, grid: StepGrid) -> Built<Kind> {
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
}

/// The name of a label; one that is not UTF-8 becomes empty, which no label's name may be.
pub(super) fn label_name(expr: &Expr) -> String {
    match expr.unwrapped() {
        Expr::String(text) if text.not_utf8.is_some() => String::new(),
        expr => text(expr),
    }
}

pub(super) fn text(expr: &Expr) -> String {
    match expr.unwrapped() {
        Expr::String(text) => text.value.clone(),
        _ => String::new(),
    }
}

/// The labels that `absent` can know of series that are not there: those of equality matchers that
/// are alone on their label.
pub(super) fn absent_labels(expr: &Expr) -> headwater_model::Labels {
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
