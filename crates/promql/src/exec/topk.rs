//! `topk` and `bottomk`: the series with the largest or smallest values, chosen anew at each step.

use std::sync::Arc;

use headwater_query::{Hold, is_present};

use super::best::{Best, Candidate};
use super::block::{Block, Row, row_bytes};
use super::column::Column;
use super::grouping::Grouping;
use super::{Exec, Result, execution};
use crate::annotation::Note;
use crate::plan::{AggregateNode, Node};
use crate::syntax::ast::AggregateOp;

/// Checks the parameter of `topk`, `bottomk` and `limitk`: how many series at each step, 0 for none.
pub(super) fn counts(params: &[f64]) -> Result<Option<Vec<usize>>> {
    let has_nan = params.iter().any(|param| param.is_nan());
    let largest = params.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let smallest = params.iter().copied().fold(f64::INFINITY, f64::min);
    if !has_nan && largest < 1.0 {
        return Ok(None);
    }
    if has_nan {
        return Err(execution("Parameter value is NaN"));
    }
    let shown = headwater_model::number::format_float_go;
    if smallest <= i64::MIN as f64 {
        return Err(execution(format!(
            "Scalar value {} underflows int64",
            shown(smallest)
        )));
    }
    if largest >= i64::MAX as f64 {
        return Err(execution(format!(
            "Scalar value {} overflows int64",
            shown(largest)
        )));
    }
    Ok(Some(
        params.iter().map(|param| param.max(0.0) as usize).collect(),
    ))
}

/// Chosen steps of rows, in the order of choice.
pub(super) struct Chosen {
    columns: Vec<Option<Column>>,
    order: Vec<usize>,
    steps: usize,
    hold: Hold,
}

impl Chosen {
    pub(super) fn new(exec: &Exec, rows: usize, steps: usize) -> Result<Self> {
        Ok(Self {
            columns: vec![None; rows],
            order: Vec::new(),
            steps,
            hold: exec.budget.hold(0, 0, "a choice of series")?,
        })
    }

    pub(super) fn choose(&mut self, input: &Block, row: usize, step: usize) -> Result<()> {
        if self.columns[row].is_none() {
            let bytes = row_bytes(self.steps);
            self.hold.grow(0, bytes, "a choice of series")?;
            self.order.push(row);
        }
        let steps = self.steps;
        let column = self.columns[row].get_or_insert_with(|| Column::absent(steps));
        column.set(step, input.rows[row].column.at(step));
        Ok(())
    }

    pub(super) fn into_block(mut self, input: Block) -> Block {
        let mut rows = Vec::with_capacity(self.order.len());
        for at in self.order {
            if let Some(column) = self.columns[at].take() {
                rows.push(Row {
                    key: input.rows[at].key.clone(),
                    column,
                });
            }
        }
        Block::held(rows, self.hold)
    }
}

impl Exec {
    pub(super) fn topk(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
        param: &Arc<Node>,
    ) -> Result<Block> {
        let Some(counts) = counts(&self.scalar(param)?)? else {
            return Ok(Block::default());
        };
        let input = self.block(&aggregate.input)?;
        let mut grouping = Grouping::new(aggregate);
        let groups: Vec<usize> = input
            .rows
            .iter()
            .map(|row| grouping.of(&row.key.labels))
            .collect();
        if input.rows.iter().any(|row| !row.column.hists.is_empty()) {
            self.notes
                .add(Note::HistogramIgnored(aggregate.op.as_str()), node.place);
        }
        let mut chosen = Chosen::new(self, input.rows.len(), node.grid.len())?;
        let largest = aggregate.op == AggregateOp::TopK;
        let mut best: Vec<Best> = vec![Best::new(largest); grouping.len()];
        for (step, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.check()?;
            for (row, group) in groups.iter().enumerate() {
                let value = input.rows[row].column.floats[step];
                if is_present(value) {
                    best[*group].offer(Candidate { value, row }, count);
                }
            }
            for best in &mut best {
                best.drain_ordered(|candidate| chosen.choose(&input, candidate.row, step))?;
            }
        }
        Ok(chosen.into_block(input))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        assert!(counts(&[0.5]).unwrap().is_none());
        assert_eq!(counts(&[2.7, -1.0]).unwrap(), Some(vec![2, 0]));
        assert_eq!(
            counts(&[f64::INFINITY]).unwrap_err().to_string(),
            "Scalar value +Inf overflows int64"
        );
        assert_eq!(
            counts(&[f64::NAN]).unwrap_err().to_string(),
            "Parameter value is NaN"
        );
    }
}
