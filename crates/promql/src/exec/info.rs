//! `info`: adds labels of info metrics, such as `target_info`, to series that come from the same place.

use std::collections::HashMap;
use std::sync::Arc;

use headwater_model::label::METRIC_NAME;
use headwater_model::{Labels, LabelsBuilder, Matcher};

use super::block::{Block, Row, merge_same, row_bytes};
use super::column::{Column, Key};
use super::{Exec, Result, execution};
use crate::plan::{Node, Part};

/// Labels by which series of one place know each other.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

fn identity(labels: &Labels) -> Labels {
    labels.project(|name| IDENTIFYING.contains(&name))
}

/// The info series of one name and place; more than one if labels changed over time.
type InfoRows = Vec<usize>;

impl Exec {
    pub(super) fn info(
        self: &Arc<Self>,
        node: &Arc<Node>,
        base: &Arc<Node>,
        select: usize,
        matchers: &[Matcher],
    ) -> Result<Block> {
        let base = self.block(base)?;
        let mut infos: Vec<Row> = Vec::new();
        let mut hold = self.budget.hold(0, 0, "info")?;
        let cursor = self.take_cursor(select)?;
        self.instant(
            node,
            select,
            Part::TimeOfFloat,
            cursor,
            &mut |key: Key, column: &mut Column| {
                if !column.hists.is_empty() {
                    let labels = &key.labels;
                    return Err(execution(format!(
                        "this should be an info metric, with float samples: {labels}"
                    )));
                }
                hold.grow(0, row_bytes(column.floats.len()), "info")?;
                infos.push(Row {
                    key,
                    column: column.clone(),
                });
                Ok(())
            },
        )?;
        let by_place = places(&infos);
        let conditions: Vec<&Matcher> = matchers
            .iter()
            .filter(|matcher| matcher.name != METRIC_NAME)
            .collect();
        let names: Vec<&Matcher> = matchers
            .iter()
            .filter(|matcher| matcher.name == METRIC_NAME)
            .collect();
        let enricher = Enricher {
            infos: &infos,
            conditions,
            steps: node.grid.len(),
        };
        let mut rows = Vec::new();
        for row in &base.rows {
            self.check()?;
            hold.grow(0, row_bytes(node.grid.len()), "info")?;
            let name = row.key.labels.metric_name().unwrap_or("");
            // Info series themselves are left as they are.
            if names.iter().all(|matcher| matcher.matches(name)) {
                rows.push(row.clone());
                continue;
            }
            let place = identity(&row.key.labels);
            let none = Vec::new();
            let found = if place.is_empty() {
                &none
            } else {
                by_place.get(&place).unwrap_or(&none)
            };
            enricher.enrich(row, found, &mut rows)?;
        }
        Ok(Block::held(merge_same(rows)?, hold))
    }
}

/// Info series by place, and for each place by name.
fn places(infos: &[Row]) -> HashMap<Labels, Vec<InfoRows>> {
    let mut places: HashMap<Labels, Vec<(String, InfoRows)>> = HashMap::new();
    for (at, row) in infos.iter().enumerate() {
        let name = row.key.labels.metric_name().unwrap_or("").to_owned();
        let names = places.entry(identity(&row.key.labels)).or_default();
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.push(at),
            None => names.push((name, vec![at])),
        }
    }
    let without_names =
        |names: Vec<(String, InfoRows)>| names.into_iter().map(|(_, rows)| rows).collect();
    places
        .into_iter()
        .map(|(place, names)| (place, without_names(names)))
        .collect()
}

struct Enricher<'a> {
    /// The values are the times of the samples.
    infos: &'a [Row],
    conditions: Vec<&'a Matcher>,
    steps: usize,
}

impl Enricher<'_> {
    /// Adds the rows that a series becomes: a new one whenever its info labels change.
    fn enrich(&self, row: &Row, found: &[InfoRows], out: &mut Vec<Row>) -> Result<()> {
        let mut made: HashMap<Vec<Option<usize>>, Option<usize>> = HashMap::new();
        for step in 0..self.steps {
            if !row.column.has(step) {
                continue;
            }
            let newest: Vec<Option<usize>> = found
                .iter()
                .map(|rows| self.newest(rows, step))
                .collect::<Result<_>>()?;
            let target = match made.get(&newest) {
                Some(target) => *target,
                None => {
                    let target = self.labels(&row.key.labels, &newest)?.map(|labels| {
                        let key = Key {
                            labels,
                            drop_name: row.key.drop_name,
                        };
                        out.push(Row {
                            key,
                            column: Column::absent(self.steps),
                        });
                        out.len() - 1
                    });
                    made.insert(newest, target);
                    target
                }
            };
            if let Some(target) = target {
                out[target].column.set(step, row.column.at(step));
            }
        }
        Ok(())
    }

    /// Of the info series of one name the one with the newest sample.
    fn newest(&self, rows: &[usize], step: usize) -> Result<Option<usize>> {
        let mut best: Option<(usize, f64)> = None;
        for &at in rows {
            let time = self.infos[at].column.floats[step];
            if headwater_query::is_absent(time) {
                continue;
            }
            match best {
                Some((other, newest)) if newest == time => {
                    let (first, second) =
                        (&self.infos[other].key.labels, &self.infos[at].key.labels);
                    let millis = (time * 1000.0).round();
                    return Err(execution(format!(
                        "found duplicate series for info metric: existing {first} @ {millis}, new {second} @ {millis}"
                    )));
                }
                Some((_, newest)) if newest > time => {}
                _ => best = Some((at, time)),
            }
        }
        Ok(best.map(|(at, _)| at))
    }

    /// The labels of a series with those of its info series; `None` if a condition is not met.
    fn labels(&self, base: &Labels, infos: &[Option<usize>]) -> Result<Option<Labels>> {
        let mut added: Vec<(&str, &str)> = Vec::new();
        for at in infos.iter().flatten() {
            for (name, value) in &self.infos[*at].key.labels {
                let wanted = self.conditions.is_empty()
                    || self.conditions.iter().any(|matcher| matcher.name == name);
                if name == METRIC_NAME || !wanted {
                    continue;
                }
                if added
                    .iter()
                    .any(|(known, other)| *known == name && *other != value)
                {
                    return Err(execution(format!("conflicting label: {name}")));
                }
                if !base.has(name) {
                    added.push((name, value));
                }
            }
        }
        let matched = infos.iter().any(Option::is_some);
        if !matched
            && self
                .conditions
                .iter()
                .any(|matcher| !matcher.matches_empty())
        {
            return Ok(None);
        }
        let mut labels = LabelsBuilder::new();
        labels.reset_to(base);
        for (name, value) in added {
            labels.set(name, value);
        }
        Ok(Some(labels.build()))
    }
}
