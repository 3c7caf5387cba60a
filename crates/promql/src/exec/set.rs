//! `and`, `or`, `unless`: which series are there, by labels, step by step.

use std::sync::Arc;

use super::binary::Groups;
use super::block::{Block, Row, merge_same};
use super::{Exec, Result};
use crate::plan::Node;
use crate::syntax::ast::{BinaryOp, Matching};

/// Steps at which any series of a group has a value.
type Presence = Vec<Vec<bool>>;

fn presence(rows: &[Row], groups: &[usize], count: usize, steps: usize) -> Presence {
    let mut out: Presence = vec![Vec::new(); count];
    for (row, group) in rows.iter().zip(groups) {
        let steps_of = &mut out[*group];
        steps_of.resize(steps, false);
        for (step, there) in steps_of.iter_mut().enumerate() {
            *there |= row.column.has(step);
        }
    }
    out
}

/// Keeps the steps of each row at which its group is on the other side, or is not.
fn filter(rows: &mut Vec<Row>, groups: &[usize], other: &Presence, wanted: bool) {
    for (row, group) in rows.iter_mut().zip(groups) {
        let there = &other[*group];
        row.column
            .retain(|step| there.get(step).copied().unwrap_or(false) == wanted);
    }
    rows.retain(|row| !row.column.is_empty());
}

impl Exec {
    pub(super) fn set(
        self: &Arc<Self>,
        node: &Arc<Node>,
        op: BinaryOp,
        lhs: &Arc<Node>,
        rhs: &Arc<Node>,
        matching: &Matching,
    ) -> Result<Block> {
        let (mut left_block, mut right_block) = (self.block(lhs)?, self.block(rhs)?);
        let (mut lhs, mut rhs) = (
            std::mem::take(&mut left_block.rows),
            std::mem::take(&mut right_block.rows),
        );
        let mut groups = Groups::default();
        let mut number = |rows: &[Row]| -> Vec<usize> {
            rows.iter()
                .map(|row| groups.of(&row.key.labels, matching))
                .collect()
        };
        let (left, right) = (number(&lhs), number(&rhs));
        let (count, steps) = (groups.len(), node.grid.len());
        let _presence = self.budget.hold(0, (count * steps) as u64, op.as_str())?;
        match op {
            BinaryOp::Or => {
                filter(
                    &mut rhs,
                    &right,
                    &presence(&lhs, &left, count, steps),
                    false,
                );
                lhs.append(&mut rhs);
                lhs = merge_same(lhs)?;
            }
            op => filter(
                &mut lhs,
                &left,
                &presence(&rhs, &right, count, steps),
                op == BinaryOp::And,
            ),
        }
        if op == BinaryOp::Or {
            left_block.join(right_block);
        }
        Ok(left_block.with_rows(lhs))
    }
}
