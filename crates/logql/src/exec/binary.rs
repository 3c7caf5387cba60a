//! Binary operators between vectors, and between vectors and numbers.

use std::collections::{HashMap, HashSet};

use headwater_model::Labels;
use headwater_query::{ABSENT, QueryError, QueryErrorKind, is_absent, is_present};

use super::rows::{Evaluated, Row, tidy};
use super::scalar_operation;
use crate::ast::{Binary, BinaryOp, Group, Matching};

/// Puts the values of two operands together.
pub(crate) fn combine(
    node: &Binary,
    left: Evaluated,
    right: Evaluated,
) -> Result<Evaluated, QueryError> {
    let op = node.op;
    Ok(match (left, right) {
        (Evaluated::Scalar(a), Evaluated::Scalar(b)) => {
            Evaluated::Scalar(scalar_operation(op, a, b))
        }
        (Evaluated::Scalar(a), Evaluated::Rows(rows)) => {
            let one = |value: f64| with_number(op, node.return_bool, a, value, value);
            Evaluated::Rows(each(rows, one))
        }
        (Evaluated::Rows(rows), Evaluated::Scalar(b)) => {
            let one = |value: f64| with_number(op, node.return_bool, value, b, value);
            Evaluated::Rows(each(rows, one))
        }
        (Evaluated::Rows(left), Evaluated::Rows(right)) => {
            Evaluated::Rows(tidy(match op.is_set() {
                true => sets(op, &node.matching, left, right),
                false => match_series(node, left, right)?,
            }))
        }
    })
}

fn each(rows: Vec<Row>, change: impl Fn(f64) -> Option<f64>) -> Vec<Row> {
    let mut rows: Vec<Row> = rows.into_iter().map(|row| row.map(&change)).collect();
    rows.retain(Row::has_values);
    rows
}

/// A value of a vector with a number: comparisons choose, unless they are
/// asked for 0 and 1.
fn with_number(op: BinaryOp, return_bool: bool, a: f64, b: f64, kept: f64) -> Option<f64> {
    let result = scalar_operation(op, a, b);
    match op.is_comparison() && !return_bool {
        true => (result != 0.0).then_some(kept),
        false => Some(result),
    }
}

/// The labels by which series find each other.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    labels.project(|name| matching.labels.iter().any(|l| l == name) == matching.on)
}

fn by_signature(rows: &[Row], matching: &Matching) -> HashMap<Labels, Vec<usize>> {
    let mut all: HashMap<Labels, Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate() {
        all.entry(signature(&row.labels, matching))
            .or_default()
            .push(index);
    }
    all
}

/// `and`, `or`, `unless`.
fn sets(op: BinaryOp, matching: &Matching, mut left: Vec<Row>, mut right: Vec<Row>) -> Vec<Row> {
    let (mine, theirs) = match op {
        BinaryOp::Or => (&mut right, &left),
        _ => (&mut left, &right),
    };
    let others = by_signature(theirs, matching);
    for row in mine.iter_mut() {
        let twins = others.get(&signature(&row.labels, matching));
        let twins = twins.map(Vec::as_slice).unwrap_or_default();
        for step in 0..row.values.len() {
            let met = twins.iter().any(|at| is_present(theirs[*at].values[step]));
            if met != (op == BinaryOp::And) {
                row.values[step] = ABSENT;
            }
        }
    }
    match op {
        BinaryOp::Or => {
            left.extend(right);
            merge_equal(left)
        }
        _ => left,
    }
}

fn execution<T>(message: &str) -> Result<T, QueryError> {
    Err(QueryError::new(QueryErrorKind::Execution, message))
}

/// Operators that need a series on both sides.
fn match_series(node: &Binary, left: Vec<Row>, right: Vec<Row>) -> Result<Vec<Row>, QueryError> {
    let matching = &node.matching;
    let swapped = matching.group == Group::OneToMany;
    // From here on the many stand on the left.
    let (many, one) = if swapped {
        (right, left)
    } else {
        (left, right)
    };
    let ones = by_signature(&one, matching);
    check_unique(&one, &ones, swapped)?;
    let manys = by_signature(&many, matching);
    let mut rows = Vec::new();
    for (sig, members) in manys {
        let Some(partners) = ones.get(&sig) else {
            continue;
        };
        check_members(node, &many, &members, &one, partners)?;
        for at in members {
            for partner in partners {
                rows.extend(pair(node, &many[at], &one[*partner], swapped));
            }
        }
    }
    Ok(merge_equal(rows))
}

/// At no step may two series of the one side have the same signature.
fn check_unique(
    one: &[Row],
    ones: &HashMap<Labels, Vec<usize>>,
    swapped: bool,
) -> Result<(), QueryError> {
    let side = if swapped { "left" } else { "right" };
    match ones.values().any(|members| meet(one, members)) {
        true => execution(&format!(
            "found duplicate series on the {side} hand-side;many-to-many matching not allowed: \
             matching labels must be unique on one side"
        )),
        false => Ok(()),
    }
}

/// Whether two of the series have a value at the same step.
fn meet(rows: &[Row], members: &[usize]) -> bool {
    let steps = members.first().map_or(0, |at| rows[*at].values.len());
    let count = |step: usize| {
        let present = members
            .iter()
            .filter(|at| is_present(rows[**at].values[step]));
        present.count()
    };
    members.len() > 1 && (0..steps).any(|step| count(step) > 1)
}

fn check_members(
    node: &Binary,
    many: &[Row],
    members: &[usize],
    one: &[Row],
    partners: &[usize],
) -> Result<(), QueryError> {
    let steps = many[members[0]].values.len();
    for step in (0..steps).filter(|_| members.len() > 1) {
        let partner = partners
            .iter()
            .find(|at| is_present(one[**at].values[step]));
        let Some(partner) = partner else {
            continue;
        };
        let present = members
            .iter()
            .filter(|at| is_present(many[**at].values[step]));
        let present: Vec<usize> = present.copied().collect();
        if node.matching.group == Group::OneToOne {
            if present.len() > 1 {
                return execution(
                    "multiple matches for labels: many-to-one matching must be explicit \
                     (group_left/group_right)",
                );
            }
            continue;
        }
        let mut seen = HashSet::new();
        for at in present {
            if !seen.insert(result_labels(node, &many[at].labels, &one[*partner].labels)) {
                return execution(
                    "multiple matches for labels: grouping labels must ensure unique matches",
                );
            }
        }
    }
    Ok(())
}

fn result_labels(node: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &node.matching;
    let mut builder = many.to_builder();
    if matching.group == Group::OneToOne {
        builder.retain(|name, _| matching.labels.iter().any(|l| l == name) == matching.on);
    }
    for name in &matching.include {
        builder.set(name, one.get(name).unwrap_or_default());
    }
    builder.build()
}

fn pair(node: &Binary, many: &Row, one: &Row, swapped: bool) -> Option<Row> {
    let op = node.op;
    let value = |(m, o): (&f64, &f64)| {
        if is_absent(*m) || is_absent(*o) {
            return ABSENT;
        }
        let (a, b) = if swapped { (*o, *m) } else { (*m, *o) };
        with_number(op, node.return_bool, a, b, a).unwrap_or(ABSENT)
    };
    let row = Row {
        labels: result_labels(node, &many.labels, &one.labels),
        values: many.values.iter().zip(&one.values).map(value).collect(),
    };
    row.has_values().then_some(row)
}

/// Joins series that came out with the same labels at different steps.
fn merge_equal(rows: Vec<Row>) -> Vec<Row> {
    let mut merged: HashMap<Labels, Row> = HashMap::new();
    for row in rows {
        match merged.get_mut(&row.labels) {
            None => {
                merged.insert(row.labels.clone(), row);
            }
            Some(held) => {
                for (mine, new) in held.values.iter_mut().zip(row.values) {
                    if is_absent(*mine) {
                        *mine = new;
                    }
                }
            }
        }
    }
    merged.into_values().collect()
}
