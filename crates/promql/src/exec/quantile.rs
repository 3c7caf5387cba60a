//! `quantile`: needs all values of a group at a step.

use std::sync::Arc;

use headwater_query::is_present;

use super::block::{Block, Row};
use super::column::{Column, Key};
use super::grouping::Grouping;
use super::{Exec, Result};
use crate::annotation::Note;
use crate::functions::over::order::quantile;
use crate::plan::{AggregateNode, Node};

impl Exec {
    pub(super) fn quantile(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
        param: &Arc<Node>,
    ) -> Result<Block> {
        let quantiles = self.scalar(param)?;
        self.note_quantiles(&quantiles, param);
        let input = self.block(&aggregate.input)?;
        let mut grouping = Grouping::new(aggregate);
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (at, row) in input.rows.iter().enumerate() {
            let group = grouping.of(&row.key.labels);
            members.resize_with(grouping.len(), Vec::new);
            members[group].push(at);
            if !row.column.hists.is_empty() {
                self.notes
                    .add(Note::HistogramIgnored("quantile"), aggregate.input.place);
            }
        }
        let mut rows = Vec::with_capacity(members.len());
        let mut values = Vec::new();
        for (labels, members) in grouping.into_labels().into_iter().zip(members) {
            self.check()?;
            let mut column = Column::absent(node.grid.len());
            for (step, q) in quantiles.iter().enumerate() {
                values.clear();
                values.extend(
                    members
                        .iter()
                        .map(|at| input.rows[*at].column.floats[step])
                        .filter(|v| is_present(*v)),
                );
                if !values.is_empty() {
                    column.floats[step] = quantile(*q, &values);
                }
            }
            let drop_name = members.iter().any(|at| input.rows[*at].key.drop_name);
            if !column.is_empty() {
                rows.push(Row {
                    key: Key { labels, drop_name },
                    column,
                });
            }
        }
        Ok(Block::of(rows))
    }

    fn note_quantiles(&self, quantiles: &[f64], param: &Node) {
        let odd = |wanted: fn(&&f64) -> bool| quantiles.iter().find(wanted).copied();
        let largest = quantiles.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = quantiles.iter().copied().fold(f64::INFINITY, f64::min);
        let over = (largest > 1.0).then_some(largest);
        let under = (smallest < 0.0).then_some(smallest);
        for q in [odd(|q| q.is_nan()), over, under].into_iter().flatten() {
            self.notes.add(Note::InvalidQuantile(q), param.place);
        }
    }
}
