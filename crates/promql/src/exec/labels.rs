//! `label_replace` and `label_join`: new labels out of old ones; values pass through.

use std::sync::Arc;

use headwater_model::{Labels, LabelsBuilder};
use headwater_regexp::Regex;

use super::block::{Block, merge_same};
use super::{Exec, Result, execution};
use crate::plan::{Kind, Node};

impl Exec {
    pub(super) fn relabel(self: &Arc<Self>, node: &Arc<Node>) -> Result<Block> {
        match &node.kind {
            Kind::LabelReplace {
                input,
                destination,
                replacement,
                source,
                pattern,
            } => {
                let regex = Regex::anchored(pattern).map_err(|_| {
                    execution(format!(
                        "invalid regular expression in label_replace(): {pattern}"
                    ))
                })?;
                check_name("destination", "label_replace", destination)?;
                self.change(input, destination, |labels| {
                    let captures = regex.captures(labels.get(source).unwrap_or(""))?;
                    let mut value = String::new();
                    captures.expand(replacement, &mut value);
                    Some(value)
                })
            }
            Kind::LabelJoin {
                input,
                destination,
                separator,
                sources,
            } => {
                sources
                    .iter()
                    .try_for_each(|source| check_name("source", "label_join", source))?;
                check_name("destination", "label_join", destination)?;
                self.change(input, destination, |labels| {
                    let values: Vec<&str> = sources
                        .iter()
                        .map(|source| labels.get(source).unwrap_or(""))
                        .collect();
                    Some(values.join(separator))
                })
            }
            _ => Ok(Block::default()),
        }
    }

    /// Sets a label of each series to what `value` says, or leaves the series as it is.
    fn change(
        self: &Arc<Self>,
        input: &Arc<Node>,
        destination: &str,
        value: impl Fn(&Labels) -> Option<String>,
    ) -> Result<Block> {
        let mut block = self.block(input)?;
        let mut builder = LabelsBuilder::new();
        for row in &mut block.rows {
            let Some(value) = value(&row.key.labels) else {
                continue;
            };
            builder.reset_to(&row.key.labels);
            builder.set(destination, &value);
            row.key.labels = builder.build();
            // A name that is given on purpose stays.
            if destination == "__name__" {
                row.key.drop_name = false;
            }
        }
        let rows = merge_same(std::mem::take(&mut block.rows))?;
        Ok(block.with_rows(rows))
    }
}

/// Any text that is not empty may be a label's name.
fn check_name(what: &str, function: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(execution(format!(
            "invalid {what} label name in {function}(): {name}"
        )));
    }
    Ok(())
}
