//! Optimiser rule: what matchers say about the series on one side of an operator holds for their
//! partners on the other side, as far as the labels take part in matching.
//!
//! Only where nobody can tell the difference: an operator that matches many series to one refuses
//! two series on its "one" side even if no partner meets them, so that side must have no two alike;
//! labels must come unchanged from the select; nothing on the way may refuse two series that become
//! alike (a select of several metrics, `label_replace`); and functions that usually remark on what
//! they are given are left alone.

use headwater_model::Matcher;

use super::{AggregateNode, Kind, Node, Plan, RangeInput, Root, SelectPlan};
use crate::exec::column::is_reserved;
use crate::functions::FunctionId;
use crate::syntax::ast::{AggregateOp, BinaryOp, Cardinality, Matching};

/// Applies the rule to all operators of a plan.
pub(super) fn apply(plan: &mut Plan) {
    if let Root::Steps(node) | Root::Subquery { node: Some(node) } = &plan.root {
        visit(node, &mut plan.selects);
    }
}

fn visit(node: &Node, selects: &mut [SelectPlan]) {
    for child in node.children().into_iter().chain(node.subquery()) {
        visit(child, selects);
    }
    match &node.kind {
        Kind::Binary {
            lhs, rhs, matching, ..
        } if matching.fill_left.is_none() && matching.fill_right.is_none() => {
            let one = match matching.cardinality {
                Cardinality::OneToMany => lhs,
                _ => rhs,
            };
            if is_unique(one, matching, selects) {
                hand_over(lhs, rhs, matching, selects);
                hand_over(rhs, lhs, matching, selects);
            }
        }
        Kind::Set {
            op,
            lhs,
            rhs,
            matching,
        } => {
            if matches!(op, BinaryOp::And | BinaryOp::Unless) {
                hand_over(lhs, rhs, matching, selects);
            }
            if *op == BinaryOp::And {
                hand_over(rhs, lhs, matching, selects);
            }
        }
        _ => {}
    }
}

/// Gives the matchers of one side to the other.
fn hand_over(from: &Node, to: &Node, matching: &Matching, selects: &mut [SelectPlan]) {
    let Some(source) = only_select(from) else {
        return;
    };
    let usable = |matcher: &&Matcher| {
        takes_part(matching, &matcher.name)
            && select_of(from, &matcher.name, selects) == Some(source)
    };
    let matchers: Vec<Matcher> = selects[source]
        .matchers
        .iter()
        .filter(usable)
        .cloned()
        .collect();
    for matcher in matchers {
        if let Some(target) = select_of(to, &matcher.name, selects)
            && !selects[target].matchers.contains(&matcher)
        {
            selects[target].matchers.push(matcher);
        }
    }
}

fn takes_part(matching: &Matching, label: &str) -> bool {
    matching.labels.iter().any(|name| name == label) == matching.on
}

/// The select at the end of a chain of operators with one vector each.
fn only_select(node: &Node) -> Option<usize> {
    match node.select() {
        Some(select) => Some(select).filter(|_| !matches!(node.kind, Kind::Info { .. })),
        None => input(node).and_then(only_select),
    }
}

/// The vector that an operator takes, if it takes one.
fn input(node: &Node) -> Option<&Node> {
    match &node.kind {
        Kind::Over {
            input: RangeInput::Subquery { node, .. },
            ..
        } => node.as_deref(),
        Kind::Map { input, .. }
        | Kind::Negate(input)
        | Kind::VectorScalar { vector: input, .. }
        | Kind::Fixed(input)
        | Kind::Sort { input, .. }
        | Kind::SortByLabel { input, .. } => Some(input),
        Kind::Aggregate(aggregate) => Some(&aggregate.input),
        _ => None,
    }
}

/// The select from whose series a label comes unchanged, if leaving some of them out changes nothing
/// for the series with other values of the label.
fn select_of(node: &Node, label: &str, selects: &[SelectPlan]) -> Option<usize> {
    if node.is_shared() || is_reserved(label) {
        return None;
    }
    let passes = match &node.kind {
        Kind::Instant { select, .. } => {
            return Some(*select).filter(|select| selects[*select].name.is_some());
        }
        Kind::Over {
            function,
            input: RangeInput::Select(select),
            ..
        } => return Some(*select).filter(|_| !remarks(*function, &selects[*select])),
        Kind::Over {
            function,
            input: RangeInput::Subquery { .. },
            ..
        } => !matches!(function, FunctionId::Rate | FunctionId::Increase),
        Kind::Map { .. }
        | Kind::Negate(_)
        | Kind::VectorScalar { .. }
        | Kind::Fixed(_)
        | Kind::Sort { .. }
        | Kind::SortByLabel { .. } => true,
        Kind::Aggregate(aggregate) => passes_groups(aggregate, label),
        _ => false,
    };
    input(node)
        .filter(|_| passes)
        .and_then(|node| select_of(node, label, selects))
}

fn passes_groups(aggregate: &AggregateNode, label: &str) -> bool {
    let listed = aggregate.grouping.iter().any(|name| name == label);
    keeps_groups(aggregate.op) && listed != aggregate.without
}

/// Aggregations that make one series of each group, whatever the other groups are.
const fn keeps_groups(op: AggregateOp) -> bool {
    !op.picks_series() && !matches!(op, AggregateOp::CountValues)
}

/// Whether a function says something about series that are not named like counters, or may refuse
/// series of several metrics, alike without their names.
pub(super) fn remarks(function: FunctionId, select: &SelectPlan) -> bool {
    let counter = |name: &String| {
        ["_total", "_sum", "_count", "_bucket"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
    };
    match &select.name {
        Some(name) => matches!(function, FunctionId::Rate | FunctionId::Increase) && !counter(name),
        None => true,
    }
}

/// Whether no two series of an operator match the same.
pub(super) fn is_unique(node: &Node, matching: &Matching, selects: &[SelectPlan]) -> bool {
    match &node.kind {
        Kind::Aggregate(aggregate) if keeps_groups(aggregate.op) => {
            let (grouping, labels) = (&aggregate.grouping, &matching.labels);
            let named = grouping.iter().any(|name| name == "__name__");
            match (matching.on, aggregate.without) {
                _ if named => false,
                (true, false) => grouping.iter().all(|name| labels.contains(name)),
                (false, false) => grouping.iter().all(|name| !labels.contains(name)),
                (false, true) => labels.iter().all(|name| grouping.contains(name)),
                (true, true) => false,
            }
        }
        Kind::Fixed(inner) => is_unique(inner, matching, selects),
        Kind::Map { .. } | Kind::Negate(_) | Kind::VectorScalar { .. } => {
            input(node).is_some_and(|node| is_unique(node, matching, selects))
        }
        // Series of one metric differ in their labels.
        Kind::Instant { select, .. }
        | Kind::Over {
            input: RangeInput::Select(select),
            ..
        } => !matching.on && matching.labels.is_empty() && selects[*select].name.is_some(),
        _ => false,
    }
}
