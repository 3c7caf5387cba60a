//! `count_values`: how many series have each value.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_model::{Labels, LabelsBuilder};

use super::block::{Block, Row};
use super::column::{Cell, Column, Key};
use super::grouping::Grouping;
use super::{Exec, Result, execution};
use crate::plan::{AggregateNode, Node};

impl Exec {
    pub(super) fn count_values(
        self: &Arc<Self>,
        node: &Arc<Node>,
        aggregate: &AggregateNode,
        (label, shown, valid): (&str, &str, bool),
    ) -> Result<Block> {
        if !valid {
            return Err(execution(format!("invalid label name {shown}")));
        }
        let input = self.block(&aggregate.input)?;
        let mut grouping = Grouping::new(aggregate);
        // `without` takes the label of the values away too if it names it.
        let hidden = aggregate.without
            && (label == "__name__" || aggregate.grouping.iter().any(|name| name == label));
        let mut counts: HashMap<(usize, String), Vec<f64>> = HashMap::new();
        let mut order = Vec::new();
        let mut hold = self.budget.hold(0, 0, "count_values")?;
        for row in &input.rows {
            self.check()?;
            // The label of the values replaces one of the same name.
            let group = grouping.of(&row.key.labels.project(|name| name != label));
            for step in 0..node.grid.len() {
                let value = match row.column.at(step) {
                    Cell::None => continue,
                    _ if hidden => String::new(),
                    Cell::Float(value) => shown_float(value),
                    Cell::Hist(hist) => hist.to_string(),
                };
                let key = (group, value);
                if let Some(steps) = counts.get_mut(&key) {
                    steps[step] += 1.0;
                    continue;
                }
                hold.grow(
                    node.grid.len() as u64,
                    node.grid.len() as u64 * 8,
                    "count_values",
                )?;
                let mut steps = vec![0.0; node.grid.len()];
                steps[step] = 1.0;
                order.push(key.clone());
                counts.insert(key, steps);
            }
        }
        let groups = grouping.into_labels();
        let rows = order.into_iter().filter_map(|key| {
            let floats = counts.remove(&key)?;
            Some(row(&groups[key.0], label, &key.1, floats))
        });
        Ok(Block::of(rows.collect()))
    }
}

fn row(group: &Labels, label: &str, value: &str, mut floats: Vec<f64>) -> Row {
    let mut labels = LabelsBuilder::new();
    labels.reset_to(group);
    labels.set(label, value);
    floats
        .iter_mut()
        .filter(|count| **count == 0.0)
        .for_each(|count| *count = headwater_query::ABSENT);
    Row {
        key: Key::new(labels.build()),
        column: Column {
            floats,
            hists: Vec::new(),
        },
    }
}

/// Never with an exponent.
fn shown_float(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        headwater_model::number::format_float(value)
    }
}
