//! `absent` and `absent_over_time`: 1 where there is nothing.

use std::sync::Arc;

use headwater_model::Labels;
use headwater_query::ABSENT;

use super::block::{Block, Row};
use super::column::{Column, Key};
use super::{Exec, Result, Sink};
use crate::functions::FunctionId;
use crate::plan::{Node, RangeInput};
use crate::syntax::position::PosRange;

/// Notes the steps at which any series has a value.
struct Seen(Vec<bool>);

impl Sink for Seen {
    fn push(&mut self, _: Key, column: &mut Column) -> Result<()> {
        for (step, seen) in self.0.iter_mut().enumerate() {
            *seen |= column.has(step);
        }
        Ok(())
    }
}

impl Seen {
    fn into_block(self, labels: &Labels) -> Block {
        let floats: Vec<f64> = self
            .0
            .into_iter()
            .map(|seen| if seen { ABSENT } else { 1.0 })
            .collect();
        let column = Column {
            floats,
            hists: Vec::new(),
        };
        if column.is_empty() {
            return Block::default();
        }
        Block::of(vec![Row {
            key: Key::new(labels.clone()),
            column,
        }])
    }
}

impl Exec {
    pub(super) fn absent(
        self: &Arc<Self>,
        node: &Arc<Node>,
        input: &Arc<Node>,
        labels: &Labels,
    ) -> Result<Block> {
        let mut seen = Seen(vec![false; node.grid.len()]);
        self.stream(input, None, &mut seen)?;
        Ok(seen.into_block(labels))
    }

    pub(super) fn absent_over(
        self: &Arc<Self>,
        node: &Arc<Node>,
        input: &RangeInput,
        labels: &Labels,
        range_place: PosRange,
    ) -> Result<Block> {
        let mut seen = Seen(vec![false; node.grid.len()]);
        // Names are kept while looking: that series collide without them does not matter here.
        let over = super::window::Over {
            node,
            function: FunctionId::PresentOverTime,
            params: &[],
            range_place,
            keep_names: true,
        };
        match input {
            RangeInput::Select(select) => {
                let cursor = self.take_cursor(*select)?;
                self.over_select(&over, *select, cursor, &mut seen)?;
            }
            RangeInput::Subquery {
                node: inner,
                window,
                offset,
                at,
            } => {
                self.over_subquery(&over, inner.as_ref(), (*window, *offset, *at), &mut seen)?;
            }
        }
        Ok(seen.into_block(labels))
    }
}
