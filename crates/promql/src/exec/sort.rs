//! `sort`, `sort_desc`, `sort_by_label`: orders that instant queries show.

use std::cmp::Ordering;
use std::sync::Arc;

use super::block::{Block, Row};
use super::{Exec, Result};
use crate::annotation::Note;
use crate::plan::Node;

impl Exec {
    fn note_sort(&self, node: &Node) {
        if !self.settings.instant {
            self.notes.add(Note::SortInRange, node.place);
        }
    }

    /// By value; NaN comes last either way, histograms are left out.
    pub(super) fn sort(
        self: &Arc<Self>,
        node: &Arc<Node>,
        input: &Arc<Node>,
        descending: bool,
    ) -> Result<Block> {
        self.note_sort(node);
        let mut block = self.block(input)?;
        let mut rows = std::mem::take(&mut block.rows);
        for row in &mut rows {
            row.column.hists.clear();
        }
        rows.retain(|row| !row.column.is_empty());
        if node.grid.len() == 1 {
            sort_rows(&mut rows, descending);
        }
        Ok(block.with_rows(rows))
    }

    /// By the values of labels in natural order, then by all labels.
    pub(super) fn sort_by_label(
        self: &Arc<Self>,
        node: &Arc<Node>,
        input: &Arc<Node>,
        labels: &[String],
        descending: bool,
    ) -> Result<Block> {
        self.note_sort(node);
        let mut block = self.block(input)?;
        let rows = &mut block.rows;
        let value = |row: &Row, label: &str| row.key.labels.get(label).unwrap_or("").to_owned();
        rows.sort_by(|a, b| {
            let by_label = labels
                .iter()
                .map(|label| natural(&value(a, label), &value(b, label)));
            let order = by_label
                .fold(Ordering::Equal, Ordering::then)
                .then_with(|| a.key.labels.cmp(&b.key.labels));
            if descending { order.reverse() } else { order }
        });
        Ok(block)
    }
}

/// Up to this many elements Go's sort inserts one after the other.
const INSERTED: usize = 12;

fn sort_rows(rows: &mut [Row], descending: bool) {
    let value = |row: &Row| row.column.floats[0];
    if rows.len() > INSERTED {
        return rows.sort_by(|a, b| compare(value(a), value(b), descending));
    }
    // NaN counts as larger than NaN, which is no order, so the steps of the sort show in answers.
    for end in 1..rows.len() {
        for at in (1..=end).rev() {
            let (before, now) = (value(&rows[at - 1]), value(&rows[at]));
            let behind = if descending {
                before < now
            } else {
                before > now
            };
            if !(before.is_nan() || behind) {
                break;
            }
            rows.swap(at - 1, at);
        }
    }
}

fn compare(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

/// Runs of digits compare as numbers, other runs as text.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let (left, right) = (run(a), run(b));
        let digits = |text: &str| text.as_bytes()[0].is_ascii_digit();
        let order = if digits(left) && digits(right) {
            numbers(left, right)
        } else {
            left.cmp(right)
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (&a[left.len()..], &b[right.len()..]);
    }
    a.len().cmp(&b.len())
}

/// The digits, or the characters that are none, at the head of a text.
fn run(text: &str) -> &str {
    let digit = text.as_bytes()[0].is_ascii_digit();
    let end = text
        .bytes()
        .position(|byte| byte.is_ascii_digit() != digit)
        .unwrap_or(text.len());
    &text[..end]
}

fn numbers(a: &str, b: &str) -> Ordering {
    let (x, y) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    x.len()
        .cmp(&y.len())
        .then_with(|| x.cmp(y))
        .then_with(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_count() {
        let mut names = ["node-10", "node-9", "node-1", "cpu", "node"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["cpu", "node", "node-1", "node-9", "node-10"]);
    }
}
