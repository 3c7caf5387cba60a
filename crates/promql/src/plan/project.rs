//! Optimiser rule: an aggregation looks at the labels of its groups and at nothing else, so the store
//! need not deliver the others.
//!
//! Only where series are added up as they come from a select with one metric: elsewhere labels tell
//! series apart.

use headwater_model::label::METRIC_NAME;
use headwater_storage::Projection;

use super::{AggregateNode, Kind, Node, Plan, Root};
use crate::syntax::ast::AggregateOp;

/// Applies the rule to all aggregations of a plan.
pub(super) fn apply(plan: &mut Plan) {
    let mut found = Vec::new();
    if let Root::Steps(node) | Root::Subquery { node: Some(node) } = &plan.root {
        visit(node, &mut found);
    }
    for (select, labels) in found {
        let select = &mut plan.selects[select];
        if select.name.is_some() {
            select.labels = labels;
        }
    }
}

fn visit(node: &Node, found: &mut Vec<(usize, Projection)>) {
    if let Kind::Aggregate(aggregate) = &node.kind
        && adds_up(aggregate.op)
        && let Some(select) = aggregate.input.source()
    {
        found.push((select, needed(aggregate)));
    }
    for child in node.children().into_iter().chain(node.subquery()) {
        visit(child, found);
    }
}

/// Aggregations that forget each series once it was added to its group.
pub(super) const fn adds_up(op: AggregateOp) -> bool {
    use AggregateOp as Op;
    matches!(
        op,
        Op::Sum | Op::Avg | Op::Min | Op::Max | Op::Count | Op::Group | Op::Stddev | Op::Stdvar
    )
}

/// The labels of the groups, and what messages and hints about series show.
fn needed(aggregate: &AggregateNode) -> Projection {
    let shown = [METRIC_NAME, "__type__", "__unit__"];
    let mut labels = aggregate.grouping.clone();
    if aggregate.without {
        labels.retain(|label| !shown.contains(&label.as_str()));
        return Projection::Except(labels);
    }
    for label in shown {
        if !labels.iter().any(|known| known == label) {
            labels.push(label.to_owned());
        }
    }
    Projection::Only(labels)
}
