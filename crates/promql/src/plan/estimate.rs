//! How many series and bytes each operator is going to have.
//!
//! The store says how many series a select has. From there up it is guesswork: a group is taken for
//! ten series, of two sides that are joined one to one the smaller is taken to find its partners.

use super::{Kind, Node, Param, Plan, Remarks, Root};
use crate::syntax::ast::{AggregateOp, Cardinality};

/// Series that share a group, where nothing better is known.
const SERIES_A_GROUP: usize = 10;

/// What a series needs beside its values.
const LABEL_BYTES: usize = 200;

/// What is expected of one operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// Series that come out; `None` where the store does not know.
    pub(crate) series: Option<usize>,
    /// Bytes held while it runs, inputs left out.
    pub(crate) bytes: Option<usize>,
}

/// What is expected of all operators of a plan.
#[derive(Debug)]
pub(crate) struct Estimates {
    nodes: Vec<Estimate>,
    selects: Vec<Option<usize>>,
}

impl Estimates {
    /// From the number of series that each select of the plan has.
    pub(crate) fn new(plan: &Plan, selects: Vec<Option<usize>>) -> Self {
        let mut estimates = Self {
            nodes: vec![Estimate::default(); plan.nodes],
            selects,
        };
        match &plan.root {
            Root::Steps(node) | Root::Subquery { node: Some(node) } => {
                estimates.visit(node);
            }
            _ => {}
        }
        estimates
    }

    fn of_select(&self, select: usize) -> Option<usize> {
        self.selects.get(select).copied().flatten()
    }

    fn visit(&mut self, node: &Node) -> Option<usize> {
        let children = node.children();
        let mut inputs: Vec<Option<usize>> = Vec::new();
        for child in children.into_iter().chain(node.subquery()) {
            inputs.push(self.visit(child));
        }
        let input = inputs.last().copied().flatten();
        let source = node.select().and_then(|select| self.of_select(select));
        let series = series(&node.kind, &inputs, input, source);
        let values = node.grid.len() * 8;
        let all = |series: Option<usize>| series.map(|series| series * (values + LABEL_BYTES));
        let bytes = match &node.kind {
            // Series pass by one after the other.
            Kind::Instant { .. } | Kind::Over { .. } | Kind::Map { .. } | Kind::Negate(_) => {
                Some(values)
            }
            Kind::VectorScalar { .. } => Some(values),
            // Groups have a sum and what was lost of it.
            Kind::Aggregate(aggregate) if is_running(aggregate.op) => all(series).map(|b| b * 2),
            Kind::Binary { .. } | Kind::Set { .. } => inputs
                .iter()
                .try_fold(0, |sum, input| Some(sum + all(*input)?)),
            _ if node.is_scalar() => Some(values),
            _ => all(input.or(series)),
        };
        self.nodes[node.id] = Estimate { series, bytes };
        series
    }
}

impl Remarks for Estimates {
    fn node(&self, node: &Node) -> String {
        let Estimate { series, bytes } = self.nodes[node.id];
        let series = count("series", series);
        bytes.map_or_else(
            || series.clone(),
            |bytes| format!("{series}, about {bytes} bytes"),
        )
    }

    fn select(&self, select: usize) -> String {
        count("series", self.of_select(select))
    }
}

fn count(what: &str, number: Option<usize>) -> String {
    match number {
        Some(number) => format!("about {number} {what}"),
        None => format!("an unknown number of {what}"),
    }
}

const fn is_running(op: AggregateOp) -> bool {
    !op.picks_series() && !matches!(op, AggregateOp::Quantile | AggregateOp::CountValues)
}

/// Series that come out of an operator. `input` is its last input, `source` the select it walks over.
fn series(
    kind: &Kind,
    inputs: &[Option<usize>],
    input: Option<usize>,
    source: Option<usize>,
) -> Option<usize> {
    let groups = |series: usize| series.div_ceil(SERIES_A_GROUP);
    match kind {
        Kind::Number(_)
        | Kind::Time
        | Kind::ScalarOf(_)
        | Kind::ScalarNegate(_)
        | Kind::ScalarBinary { .. }
        | Kind::Choose { .. }
        | Kind::VectorOf(_)
        | Kind::DateNow(_)
        | Kind::Absent { .. }
        | Kind::AbsentOver { .. } => Some(1),
        Kind::Instant { .. } => source,
        Kind::Over { .. } => source.or(input),
        Kind::Map { .. } | Kind::VectorScalar { .. } => {
            // Scalars stand beside the vector; there is one vector.
            inputs.iter().copied().max_by_key(|series| *series)?
        }
        Kind::Info { .. } | Kind::Negate(_) | Kind::Fixed(_) => input,
        Kind::LabelReplace { .. }
        | Kind::LabelJoin { .. }
        | Kind::Sort { .. }
        | Kind::SortByLabel { .. } => input,
        Kind::HistogramQuantile { quantiles, .. } => {
            input.map(|series| groups(series) * quantiles.len())
        }
        Kind::HistogramFraction { .. } => input.map(groups),
        Kind::Aggregate(aggregate) => {
            let series = input?;
            let groups = match aggregate.grouping.is_empty() && !aggregate.without {
                true => series.min(1),
                false => groups(series),
            };
            let chosen = match (&aggregate.op, &aggregate.param) {
                (AggregateOp::LimitRatio | AggregateOp::CountValues, _) => return Some(series),
                (AggregateOp::Quantile, _) => 1,
                (_, Some(Param::Number(param))) => match param.kind {
                    Kind::Number(count) => count.max(0.0) as usize,
                    _ => return Some(series),
                },
                _ => 1,
            };
            Some(groups.saturating_mul(chosen).min(series))
        }
        Kind::Binary { matching, .. } => {
            let [lhs, rhs] = [inputs[0]?, inputs[1]?];
            Some(match matching.cardinality {
                Cardinality::ManyToOne => lhs,
                Cardinality::OneToMany => rhs,
                _ => lhs.min(rhs),
            })
        }
        Kind::Set { op, .. } => {
            let [lhs, rhs] = [inputs[0]?, inputs[1]?];
            Some(match op {
                crate::syntax::ast::BinaryOp::Or => lhs + rhs,
                _ => lhs,
            })
        }
    }
}
