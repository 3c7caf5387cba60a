//! The answer: names that were to be dropped go, series are put in order.

use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use headwater_model::{Labels, SeriesColumns, Timestamp, is_stale_nan};
use headwater_query::{InstantSample, Point, RangeSeries, StepGrid, Value, is_present};

use super::block::{Row, merge_same};
use super::column::{Cell, Column, Key};
use super::{Exec, Pace, Result, same_labelset, without_reserved};
use crate::plan::{Counts, Node, Root};

impl Exec {
    /// Runs the plan. `time` is that of an instant query, `None` for range queries.
    pub(crate) fn run(self: &Arc<Self>, time: Option<Timestamp>) -> Result<Value> {
        match (&self.plan.root, time) {
            (Root::Text(text), time) => Ok(Value::String {
                time: time.unwrap_or_default(),
                value: text.clone(),
            }),
            (Root::Samples { select }, _) => self.samples_of(*select),
            (Root::Subquery { node }, _) => match node {
                Some(node) => self.matrix(node),
                None => Ok(Value::Matrix(Vec::new())),
            },
            (Root::Steps(node), Some(time)) if node.is_scalar() => Ok(Value::Scalar {
                time,
                value: self.scalar(node)?[0],
            }),
            (Root::Steps(node), Some(time)) => self.vector(node, time),
            (Root::Steps(node), None) if node.is_scalar() => {
                let column = Column {
                    floats: self.scalar(node)?.to_vec(),
                    hists: Vec::new(),
                };
                Ok(Value::Matrix(matrix(
                    vec![Row {
                        key: Key::empty(),
                        column,
                    }],
                    node.grid,
                )))
            }
            (Root::Steps(node), None) => self.matrix(node),
        }
    }

    /// The series of a plan with their final labels, as points.
    fn matrix(self: &Arc<Self>, node: &Arc<Node>) -> Result<Value> {
        let mut block = self.block(node)?;
        let mut rows = std::mem::take(&mut block.rows);
        for row in rows.iter_mut().filter(|row| row.key.drop_name) {
            row.key = Key::new(without_reserved(&row.key.labels));
        }
        let rows = merge_same(rows)?;
        // Points have their times beside them. What the rows hold is given back one by one meanwhile.
        let values: u64 = rows.iter().map(|row| row.column.floats.len() as u64).sum();
        let _times = self.budget.hold(0, values * 8, "the result")?;
        Ok(Value::Matrix(matrix(rows, node.grid)))
    }

    fn vector(self: &Arc<Self>, node: &Arc<Node>, time: Timestamp) -> Result<Value> {
        let mut block = self.block(node)?;
        let mut samples = Vec::with_capacity(block.rows.len());
        for row in std::mem::take(&mut block.rows) {
            let point = match row.column.at(0) {
                Cell::None => continue,
                Cell::Float(value) => Point::Float(value),
                Cell::Hist(hist) => Point::Histogram(hist.clone()),
            };
            let labels = if row.key.drop_name {
                without_reserved(&row.key.labels)
            } else {
                row.key.labels
            };
            samples.push(InstantSample {
                labels,
                time,
                point,
            });
        }
        if has_twins(&samples) {
            return Err(same_labelset());
        }
        Ok(Value::Vector(samples))
    }

    /// The samples of a range selector as they are stored.
    fn samples_of(self: &Arc<Self>, select: usize) -> Result<Value> {
        let mut cursor = self.take_cursor(select)?;
        let mut out = Vec::new();
        let mut hold = self.budget.hold(0, 0, "a range selector")?;
        let grid = StepGrid::instant(0);
        let mut counter = self.tally.counter(Counts::EachStep, grid);
        let mut pace = Pace::default();
        while let Some(labels) = cursor.advance()? {
            self.check_at(&mut pace)?;
            let mut columns = SeriesColumns::default();
            cursor.read(&mut columns)?;
            let columns = without_stale(&columns);
            hold.grow(
                columns.len() as u64,
                columns.len() as u64 * 16,
                "a range selector",
            )?;
            counter.add(0, columns.len() as u64, columns.len() as u64);
            if !columns.is_empty() {
                out.push(RangeSeries { labels, columns });
            }
        }
        self.tally.merge(&counter);
        self.keep_warnings(&mut cursor);
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(Value::Matrix(out))
    }
}

/// Whether two samples are of the same series.
fn has_twins(samples: &[InstantSample]) -> bool {
    let mut seen: HashTable<&Labels> = HashTable::with_capacity(samples.len());
    samples.iter().map(|sample| &sample.labels).any(|labels| {
        let same = |other: &&Labels| *other == labels;
        match seen.entry(labels.hash64(), same, |labels| labels.hash64()) {
            Entry::Occupied(_) => true,
            Entry::Vacant(entry) => {
                entry.insert(labels);
                false
            }
        }
    })
}

fn without_stale(columns: &SeriesColumns) -> SeriesColumns {
    let mut out = SeriesColumns::default();
    let floats = columns.floats.times.iter().zip(&columns.floats.values);
    for (time, value) in floats.filter(|(_, value)| !is_stale_nan(**value)) {
        out.floats.push(*time, *value);
    }
    for at in (0..columns.histograms.len()).filter(|at| !columns.histograms.get(*at).is_stale()) {
        out.histograms.push_from(&columns.histograms, at);
    }
    out
}

/// Rows as series of points, sorted by labels.
fn matrix(rows: Vec<Row>, grid: StepGrid) -> Vec<RangeSeries> {
    let mut series: Vec<RangeSeries> = rows
        .into_iter()
        .map(|row| range_series(row, grid))
        .collect();
    series.retain(|series| !series.columns.is_empty());
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

fn range_series(row: Row, grid: StepGrid) -> RangeSeries {
    let mut columns = SeriesColumns::default();
    let present = row
        .column
        .floats
        .iter()
        .filter(|value| is_present(**value))
        .count();
    columns.floats.times.reserve_exact(present);
    columns.floats.values.reserve_exact(present);
    for (step, value) in row
        .column
        .floats
        .iter()
        .enumerate()
        .filter(|(_, value)| is_present(**value))
    {
        columns.floats.push(grid.time(step), *value);
    }
    for (step, hist) in row.column.hists {
        columns
            .histograms
            .push_float(grid.time(step as usize), hist, 0);
    }
    RangeSeries {
        labels: row.key.labels,
        columns,
    }
}
