//! Optimiser rule: a selector with one step looks at the newest sample of its range and at no other, so
//! the store need not decode them.

use super::{Kind, Node, Plan, Root};
use crate::syntax::ast::Extension;

/// Applies the rule to all selectors of a plan.
pub(super) fn apply(plan: &mut Plan) {
    let mut found = Vec::new();
    if let Root::Steps(node) | Root::Subquery { node: Some(node) } = &plan.root {
        visit(node, &mut found);
    }
    for select in found {
        let select = &mut plan.selects[select];
        // Where resets of histograms are found while reading, the sample before is needed too.
        select.newest = select.extension == Extension::None && !select.stats_only;
    }
}

fn visit(node: &Node, found: &mut Vec<usize>) {
    if let Kind::Instant { select, .. } = &node.kind
        && node.grid.len() == 1
    {
        found.push(*select);
    }
    for child in node.children().into_iter().chain(node.subquery()) {
        visit(child, found);
    }
}
