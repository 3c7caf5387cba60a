//! Optimiser rule: what is looked at only at some times is read for these times only.
//!
//! `expr and on () (hour() >= 8 < 18)` and `expr and on () vector(time()) > T` say which steps they
//! answer without a look into the store: nothing is there at the others, whatever `expr` gives. So the
//! selects below `expr` are cut to what these steps need, and not opened at all if there is no such step.
//! The other way round, `expr unless on () …` needs no step at which the right side has a value.
//!
//! Only where nobody can tell the difference: nothing on the way from the operator to the select may
//! fail at a step that is left out, or remark on it.

use headwater_model::{TimeRange, Timestamp};

use super::propagate::{is_unique, remarks};
use super::{Kind, Node, Plan, RangeInput, Root, SelectPlan};
use crate::exec::{float_op, scalar_op};
use crate::functions::{FunctionId, math};
use crate::syntax::ast::{BinaryOp, Cardinality, Matching};

/// Applies the rule to all operators of a plan.
pub(super) fn apply(plan: &mut Plan) {
    if let Root::Steps(node) | Root::Subquery { node: Some(node) } = &plan.root {
        visit(node, &mut plan.selects);
    }
}

fn visit(node: &Node, selects: &mut [SelectPlan]) {
    if let Kind::Set {
        op,
        lhs,
        rhs,
        matching,
    } = &node.kind
    {
        match op {
            BinaryOp::And => {
                cut_to(lhs, answered(rhs, |value| value.is_some()), selects);
                cut_to(rhs, answered(lhs, |value| value.is_some()), selects);
            }
            BinaryOp::Unless if matches_all(matching) => {
                cut_to(lhs, answered(rhs, |value| value.is_none()), selects);
            }
            _ => {}
        }
    }
    for child in node.children().into_iter().chain(node.subquery()) {
        visit(child, selects);
    }
}

/// Every series of one side meets every series of the other.
fn matches_all(matching: &Matching) -> bool {
    matching.on && matching.labels.is_empty()
}

/// First and last step that count.
type Steps = Option<(usize, usize)>;

/// The first and the last step at which a vector that needs no store is as wanted; `None` if it needs
/// one.
fn answered(node: &Node, wanted: impl Fn(Option<f64>) -> bool) -> Option<Steps> {
    let mut found: Steps = None;
    for step in 0..node.grid.len() {
        let value = match value(node, step) {
            Known::Nothing => None,
            Known::Value(value) => Some(value),
            Known::InTheStore => return None,
        };
        if wanted(value) {
            found = Some((found.map_or(step, |(first, _)| first), step));
        }
    }
    Some(found)
}

/// What an expression has at a step.
enum Known {
    Nothing,
    Value(f64),
    /// That depends on data.
    InTheStore,
}

/// A number, or the one series that an expression without selects gives.
fn value(node: &Node, step: usize) -> Known {
    let number = |node: &Node| match value(node, step) {
        Known::Value(value) => Some(value),
        Known::Nothing | Known::InTheStore => None,
    };
    let known = match &node.kind {
        Kind::Number(value) => Some(*value),
        Kind::Time => Some(node.grid.time(step) as f64 / 1000.0),
        Kind::ScalarNegate(inner) => number(inner).map(|value| -value),
        Kind::ScalarBinary { op, lhs, rhs } => number(lhs)
            .zip(number(rhs))
            .map(|(lhs, rhs)| scalar_op(*op, lhs, rhs)),
        Kind::VectorOf(inner) => number(inner),
        Kind::Fixed(inner) => return value(inner, 0),
        Kind::DateNow(function) => Some(date(*function, node.grid.time(step))),
        Kind::VectorScalar {
            op,
            vector,
            scalar,
            swapped,
            return_bool,
        } => {
            return compare(
                (*op, *return_bool),
                value(vector, step),
                number(scalar),
                *swapped,
            );
        }
        _ => None,
    };
    known.map_or(Known::InTheStore, Known::Value)
}

fn date(function: FunctionId, time: Timestamp) -> f64 {
    math::apply(function, (time / 1000) as f64, [0.0; 2])
}

/// An operator between a vector of one series and a number. Comparisons keep the value of the vector.
fn compare(
    (op, return_bool): (BinaryOp, bool),
    vector: Known,
    scalar: Option<f64>,
    swapped: bool,
) -> Known {
    let (vector, scalar) = match (vector, scalar) {
        (Known::Value(vector), Some(scalar)) => (vector, scalar),
        (Known::Nothing, Some(_)) => return Known::Nothing,
        _ => return Known::InTheStore,
    };
    if matches!(op, BinaryOp::TrimUpper | BinaryOp::TrimLower) {
        return Known::InTheStore;
    }
    let (lhs, rhs) = match swapped {
        true => (scalar, vector),
        false => (vector, scalar),
    };
    if !op.is_comparison() || return_bool {
        return Known::Value(scalar_op(op, lhs, rhs));
    }
    match float_op(op, lhs, rhs).1 {
        true => Known::Value(vector),
        false => Known::Nothing,
    }
}

/// Cuts what an operator reads to what it needs for some of its steps.
fn cut_to(node: &Node, steps: Option<Steps>, selects: &mut [SelectPlan]) {
    if let Some(steps) = steps {
        cut(node, steps, selects);
    }
}

fn cut(node: &Node, steps: Steps, selects: &mut [SelectPlan]) {
    if node.is_shared() || is_all(node, steps) {
        return;
    }
    match &node.kind {
        Kind::Instant { select, .. } if selects[*select].name.is_some() => {
            cut_select(&mut selects[*select], node, steps);
        }
        Kind::Over {
            function,
            input: RangeInput::Select(select),
            ..
        } if !remarks(*function, &selects[*select]) => {
            cut_select(&mut selects[*select], node, steps);
        }
        Kind::Map { input, .. }
        | Kind::Negate(input)
        | Kind::VectorScalar { vector: input, .. }
        | Kind::Sort { input, .. }
        | Kind::SortByLabel { input, .. } => cut(input, steps, selects),
        Kind::Aggregate(aggregate) => cut(&aggregate.input, steps, selects),
        Kind::HistogramQuantile { input, .. } if matches!(input.kind, Kind::Aggregate(_)) => {
            cut(input, steps, selects);
        }
        Kind::Fixed(inner) if steps.is_none() => cut(inner, steps, selects),
        Kind::Binary {
            lhs, rhs, matching, ..
        } if never_fails(lhs, rhs, matching, selects) => {
            cut(lhs, steps, selects);
            cut(rhs, steps, selects);
        }
        // `or` may find series of both sides alike, which is an error further up.
        Kind::Set { op, lhs, rhs, .. } if *op != BinaryOp::Or => {
            cut(lhs, steps, selects);
            cut(rhs, steps, selects);
        }
        _ => {}
    }
}

/// No series of either side meets two of the other.
fn never_fails(lhs: &Node, rhs: &Node, matching: &Matching, selects: &[SelectPlan]) -> bool {
    let is_unique = |node| is_unique(node, matching, selects);
    matching.cardinality == Cardinality::OneToOne
        && matching.fill_left.is_none()
        && matching.fill_right.is_none()
        && is_unique(lhs)
        && is_unique(rhs)
}

fn is_all(node: &Node, steps: Steps) -> bool {
    steps == Some((0, node.grid.len() - 1))
}

/// The range of a select reaches from somewhere before the first step to somewhere behind the last.
fn cut_select(select: &mut SelectPlan, node: &Node, steps: Steps) {
    let Some((first, last)) = steps else {
        select.unused = true;
        return;
    };
    if select.at.is_some() {
        return;
    }
    let grid = node.grid;
    let range = select.range;
    select.range = TimeRange::new(
        range.start.saturating_add(grid.time(first) - grid.first()),
        range.end.saturating_sub(grid.last() - grid.time(last)),
    );
}
