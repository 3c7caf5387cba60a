//! `limitk` and `limit_ratio`: some series of each group, whatever their values.

use std::sync::Arc;

use headwater_model::Labels;

use super::block::Block;
use super::grouping::Grouping;
use super::topk::{Chosen, counts};
use super::{Exec, Result, execution};
use crate::annotation::Note;
use crate::plan::{AggregateNode, Node};
use crate::syntax::ast::AggregateOp;

impl Exec {
    pub(super) fn limit(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
        param: &Arc<Node>,
    ) -> Result<Block> {
        let params = self.scalar(param)?;
        if aggregate.op == AggregateOp::LimitRatio {
            return self.limit_ratio(node, aggregate, param, &params);
        }
        let Some(counts) = counts(&params)? else {
            return Ok(Block::default());
        };
        let input = self.block(&aggregate.input)?;
        let mut grouping = Grouping::new(aggregate);
        let groups: Vec<usize> = input
            .rows
            .iter()
            .map(|row| grouping.of(&row.key.labels))
            .collect();
        let mut chosen = Chosen::new(self, input.rows.len(), node.grid.len())?;
        for (step, count) in counts.iter().enumerate() {
            let mut taken = vec![0; grouping.len()];
            for (row, group) in groups.iter().enumerate() {
                if taken[*group] < *count && input.rows[row].column.has(step) {
                    taken[*group] += 1;
                    chosen.choose(&input, row, step)?;
                }
            }
        }
        Ok(chosen.into_block(input))
    }

    fn limit_ratio(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
        param: &Arc<Node>,
        ratios: &[f64],
    ) -> Result<Block> {
        if ratios.iter().any(|ratio| ratio.is_nan()) {
            return Err(execution("Ratio value is NaN"));
        }
        let largest = ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let smallest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        if largest > 1.0 {
            self.notes.add(
                Note::InvalidRatio {
                    given: largest,
                    used: 1.0,
                },
                param.place,
            );
        }
        if smallest < -1.0 {
            self.notes.add(
                Note::InvalidRatio {
                    given: smallest,
                    used: -1.0,
                },
                param.place,
            );
        }
        let input = self.block(&aggregate.input)?;
        let mut chosen = Chosen::new(self, input.rows.len(), node.grid.len())?;
        for row in 0..input.rows.len() {
            let place = place(&input.rows[row].key.labels);
            for (step, ratio) in ratios.iter().enumerate() {
                if takes(ratio.clamp(-1.0, 1.0), place) && input.rows[row].column.has(step) {
                    chosen.choose(&input, row, step)?;
                }
            }
        }
        Ok(chosen.into_block(input))
    }
}

/// Whether a ratio takes the series at a place; a negative one takes those that its complement leaves.
fn takes(ratio: f64, place: f64) -> bool {
    match ratio {
        0.0 => false,
        ratio if ratio > 0.0 => place < ratio,
        ratio => place >= 1.0 + ratio,
    }
}

/// Where a series lies between 0 and 1, by the hash that Prometheus has of it, so that the same
/// series are chosen here as there.
fn place(labels: &Labels) -> f64 {
    let mut bytes = Vec::with_capacity(labels.packed_len() + 8);
    for (name, value) in labels {
        for text in [name, value] {
            push_len(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0) as f64 / u64::MAX as f64
}

/// Prometheus writes lengths in one byte, or as 255 and three bytes more.
fn push_len(bytes: &mut Vec<u8>, len: usize) {
    match u8::try_from(len) {
        Ok(len) if len < 255 => bytes.push(len),
        _ => {
            bytes.push(255);
            bytes.extend_from_slice(&(len as u32).to_le_bytes()[..3]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_and_its_complement_share_the_series() {
        for place in [0.0, 0.25, 0.31, 1.0] {
            assert!(takes(0.25, place) != takes(-0.75, place), "{place}");
        }
        assert!(takes(-1.0, 0.0) && !takes(0.0, 0.0));
    }
}
