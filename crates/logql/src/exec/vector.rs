//! Functions over the series of one moment.

use std::collections::HashMap;

use headwater_model::Labels;
use headwater_query::{ABSENT, FloatAggregate, FloatGroup, StepGrid, is_absent, is_present};

use super::rows::{Row, tidy};
use crate::ast::{Grouping, VectorOp};

/// The labels of the group that a series belongs to.
pub(crate) fn group_labels(labels: &Labels, grouping: Option<&Grouping>) -> Labels {
    match grouping {
        None => Labels::empty(),
        Some(g) => labels.project(|name| g.labels.iter().any(|l| l == name) != g.without),
    }
}

/// Carries a function out.
pub(crate) fn aggregate(
    op: VectorOp,
    k: usize,
    grouping: Option<&Grouping>,
    rows: Vec<Row>,
    grid: &StepGrid,
) -> Vec<Row> {
    match op {
        VectorOp::Sum => reduce(FloatAggregate::Sum, grouping, rows, grid),
        VectorOp::Avg => reduce(FloatAggregate::Avg, grouping, rows, grid),
        VectorOp::Max => reduce(FloatAggregate::Max, grouping, rows, grid),
        VectorOp::Min => reduce(FloatAggregate::Min, grouping, rows, grid),
        VectorOp::Count => reduce(FloatAggregate::Count, grouping, rows, grid),
        VectorOp::Stddev => reduce(FloatAggregate::Stddev, grouping, rows, grid),
        VectorOp::Stdvar => reduce(FloatAggregate::Stdvar, grouping, rows, grid),
        VectorOp::Topk | VectorOp::ApproxTopk => select(k, grouping, rows, grid, false),
        VectorOp::Bottomk => select(k, grouping, rows, grid, true),
        VectorOp::Sort => sort(rows, false),
        VectorOp::SortDesc => sort(rows, true),
    }
}

fn reduce(
    kind: FloatAggregate,
    grouping: Option<&Grouping>,
    rows: Vec<Row>,
    grid: &StepGrid,
) -> Vec<Row> {
    let mut groups: HashMap<Labels, FloatGroup> = HashMap::new();
    for row in rows {
        let labels = group_labels(&row.labels, grouping);
        let group = groups
            .entry(labels)
            .or_insert_with(|| FloatGroup::new(kind, grid.len()));
        group.add(&row.values);
    }
    let rows = groups.into_iter().map(|(labels, group)| Row {
        labels,
        values: group.finish(),
    });
    tidy(rows.collect())
}

/// Keeps the `k` greatest (or least) values of every group at every step. Of
/// equal values the series stays that Loki's heap happens to keep.
fn select(
    k: usize,
    grouping: Option<&Grouping>,
    mut rows: Vec<Row>,
    grid: &StepGrid,
    least: bool,
) -> Vec<Row> {
    rows.sort_by(|a, b| a.labels.cmp(&b.labels));
    let mut groups: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        let labels = group_labels(&row.labels, grouping);
        groups.entry(labels).or_default().push(index);
    }
    for members in groups.values().filter(|members| members.len() > k) {
        for step in 0..grid.len() {
            let mut heap = Heap::default();
            for &at in members {
                let value = rows[at].values[step];
                if is_present(value) {
                    heap.offer(k, at, if least { -value } else { value });
                }
            }
            for &at in members {
                if !heap.0.iter().any(|(kept, _)| *kept == at) {
                    rows[at].values[step] = ABSENT;
                }
            }
        }
    }
    tidy(rows)
}

/// A binary heap as Go keeps it, the least value first: which of several equal
/// values leaves depends on how its entries move.
#[derive(Default)]
struct Heap(Vec<(usize, f64)>);

impl Heap {
    fn offer(&mut self, k: usize, at: usize, value: f64) {
        if self.0.len() == k {
            let least = self.0[0].1;
            if !(least < value || least.is_nan()) {
                return;
            }
            self.pop();
        }
        self.0.push((at, value));
        self.up();
    }

    /// Not a number is less than anything.
    fn less(&self, a: usize, b: usize) -> bool {
        self.0[a].1.is_nan() || self.0[a].1 < self.0[b].1
    }

    fn up(&mut self) {
        let mut child = self.0.len() - 1;
        while child > 0 {
            let parent = (child - 1) / 2;
            if !self.less(child, parent) {
                return;
            }
            self.0.swap(parent, child);
            child = parent;
        }
    }

    fn pop(&mut self) {
        self.0.swap_remove(0);
        let mut parent = 0;
        loop {
            let left = 2 * parent + 1;
            if left >= self.0.len() {
                return;
            }
            let right = left + 1;
            let child = match right < self.0.len() && self.less(right, left) {
                true => right,
                false => left,
            };
            if !self.less(child, parent) {
                return;
            }
            self.0.swap(parent, child);
            parent = child;
        }
    }
}

/// Orders by the value at the first step; only instant queries show it.
fn sort(mut rows: Vec<Row>, descend: bool) -> Vec<Row> {
    rows.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match (is_absent(a) || a.is_nan(), is_absent(b) || b.is_nan()) {
            (false, false) if descend => b.total_cmp(&a),
            (false, false) => a.total_cmp(&b),
            (a, b) => a.cmp(&b),
        }
    });
    rows
}
