//! Numbers without labels: one a step.

use std::sync::Arc;
use std::time::Instant;

use headwater_query::is_present;

use super::block::{Block, Row};
use super::column::{Column, Key};
use super::elements::scalar_op;
use super::{Exec, Result};
use crate::functions::math::{larger, smaller};
use crate::plan::{Kind, Node};

impl Exec {
    /// The value of a scalar at each step. Computed once, however many ask.
    pub(crate) fn scalar(self: &Arc<Self>, node: &Arc<Node>) -> Result<Arc<[f64]>> {
        if let Some(known) = self.scalars.lock().get(&node.id) {
            return Ok(known.clone());
        }
        let begun = self.measures.as_ref().map(|_| Instant::now());
        let values: Arc<[f64]> = self.compute_scalar(node)?.into();
        if let (Some(measures), Some(begun)) = (&self.measures, begun) {
            measures.scalar(node, begun, values.len());
        }
        self.scalars.lock().insert(node.id, values.clone());
        Ok(values)
    }

    fn compute_scalar(self: &Arc<Self>, node: &Arc<Node>) -> Result<Vec<f64>> {
        let steps = node.grid.len();
        Ok(match &node.kind {
            Kind::Number(value) => vec![*value; steps],
            Kind::Time => node.grid.times().map(|time| time as f64 / 1000.0).collect(),
            Kind::ScalarOf(input) => self.scalar_of(node, input)?,
            Kind::ScalarNegate(input) => self.scalar(input)?.iter().map(|value| -value).collect(),
            Kind::ScalarBinary { op, lhs, rhs } => {
                let (lhs, rhs) = (self.scalar(lhs)?, self.scalar(rhs)?);
                lhs.iter()
                    .zip(rhs.iter())
                    .map(|(lhs, rhs)| scalar_op(*op, *lhs, *rhs))
                    .collect()
            }
            Kind::Choose { max, lhs, rhs } => {
                let (lhs, rhs) = (self.scalar(lhs)?, self.scalar(rhs)?);
                lhs.iter()
                    .zip(rhs.iter())
                    .map(|(lhs, rhs)| choose(*max, *lhs, *rhs))
                    .collect()
            }
            Kind::Fixed(inner) => vec![self.scalar(inner)?[0]; steps],
            _ => vec![f64::NAN; steps],
        })
    }

    /// The value of a vector's only float; NaN if there is none or more than one.
    fn scalar_of(self: &Arc<Self>, node: &Arc<Node>, input: &Arc<Node>) -> Result<Vec<f64>> {
        let mut values = vec![f64::NAN; node.grid.len()];
        let mut found = vec![0u8; values.len()];
        self.stream(input, None, &mut |_: Key, column: &mut Column| {
            for (step, value) in column
                .floats
                .iter()
                .enumerate()
                .filter(|(_, value)| is_present(**value))
            {
                found[step] = found[step].saturating_add(1);
                values[step] = if found[step] == 1 { *value } else { f64::NAN };
            }
            Ok(())
        })?;
        Ok(values)
    }

    pub(super) fn vector_of(self: &Arc<Self>, _: &Arc<Node>, input: &Arc<Node>) -> Result<Block> {
        let floats = self.scalar(input)?.to_vec();
        Ok(Block::of(vec![Row {
            key: Key::empty(),
            column: Column {
                floats,
                hists: Vec::new(),
            },
        }]))
    }
}

fn choose(max: bool, lhs: f64, rhs: f64) -> f64 {
    if max {
        larger(lhs, rhs)
    } else {
        smaller(lhs, rhs)
    }
}
