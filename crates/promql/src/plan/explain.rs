//! Plans as text.

use std::fmt::{self, Display, Formatter};

use super::{Kind, Node, Part, Plan, RangeInput, Root, SelectPlan};
use crate::syntax::ast::BinaryOp;

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Text(text) => writeln!(f, "text {text:?}"),
            Root::Samples { select } => write_select(f, &self.selects[*select], "samples", 0),
            Root::Subquery { node } => match node {
                Some(node) => write_node(f, node, &self.selects, 0),
                None => writeln!(f, "nothing"),
            },
            Root::Steps(node) => write_node(f, node, &self.selects, 0),
        }
    }
}

fn indent(f: &mut Formatter<'_>, level: usize) -> fmt::Result {
    write!(f, "{:1$}", "", level * 2)
}

fn write_select(
    f: &mut Formatter<'_>,
    select: &SelectPlan,
    what: &str,
    level: usize,
) -> fmt::Result {
    indent(f, level)?;
    let matchers: Vec<String> = select.matchers.iter().map(ToString::to_string).collect();
    let range = select.range;
    write!(
        f,
        "select {what} {{{}}} from {} to {} ms",
        matchers.join(","),
        range.start,
        range.end
    )?;
    if select.window > 0 {
        write!(f, " window {} ms", select.window)?;
    }
    if select.offset != 0 {
        write!(f, " offset {} ms", select.offset)?;
    }
    writeln!(f)
}

fn write_range(
    f: &mut Formatter<'_>,
    input: &RangeInput,
    selects: &[SelectPlan],
    level: usize,
) -> fmt::Result {
    match input {
        RangeInput::Select(select) => write_select(f, &selects[*select], "ranges", level),
        RangeInput::Subquery { node: None, .. } => {
            indent(f, level)?;
            writeln!(f, "nothing")
        }
        RangeInput::Subquery {
            node: Some(node),
            window,
            ..
        } => {
            indent(f, level)?;
            writeln!(f, "subquery window {window} ms")?;
            write_node(f, node, selects, level + 1)
        }
    }
}

fn write_node(
    f: &mut Formatter<'_>,
    node: &Node,
    selects: &[SelectPlan],
    level: usize,
) -> fmt::Result {
    if let Kind::Instant { select, part } = &node.kind {
        let what = match part {
            Part::Value => "values",
            Part::Time | Part::TimeOfFloat => "times",
            Part::Start => "start times",
        };
        return write_select(f, &selects[*select], what, level);
    }
    indent(f, level)?;
    write!(f, "{}", Head(&node.kind))?;
    match node.grid.len() {
        1 => writeln!(f, " [1 step]")?,
        steps => writeln!(f, " [{steps} steps of {} ms]", node.grid.step())?,
    }
    match &node.kind {
        Kind::Over { input, .. } | Kind::AbsentOver { input, .. } => {
            write_range(f, input, selects, level + 1)?
        }
        Kind::Info { select, .. } => write_select(f, &selects[*select], "info", level + 1)?,
        _ => {}
    }
    for child in children(&node.kind) {
        write_node(f, child, selects, level + 1)?;
    }
    Ok(())
}

/// The operators below one, in the order of the query.
fn children(kind: &Kind) -> Vec<&Node> {
    match kind {
        Kind::Number(_)
        | Kind::Time
        | Kind::Instant { .. }
        | Kind::DateNow(_)
        | Kind::AbsentOver { .. } => Vec::new(),
        Kind::ScalarOf(input)
        | Kind::ScalarNegate(input)
        | Kind::Negate(input)
        | Kind::VectorOf(input)
        | Kind::Fixed(input)
        | Kind::Absent { input, .. }
        | Kind::LabelReplace { input, .. }
        | Kind::LabelJoin { input, .. }
        | Kind::Sort { input, .. }
        | Kind::SortByLabel { input, .. }
        | Kind::Info { base: input, .. } => vec![input],
        Kind::ScalarBinary { lhs, rhs, .. }
        | Kind::Choose { lhs, rhs, .. }
        | Kind::Binary { lhs, rhs, .. }
        | Kind::Set { lhs, rhs, .. } => vec![lhs, rhs],
        Kind::VectorScalar {
            vector,
            scalar,
            swapped,
            ..
        } => {
            if *swapped {
                vec![scalar, vector]
            } else {
                vec![vector, scalar]
            }
        }
        Kind::Over { params, .. } => params.iter().map(|param| &**param).collect(),
        Kind::Map { input, params, .. } => std::iter::once(input)
            .chain(params)
            .map(|node| &**node)
            .collect(),
        Kind::HistogramQuantile {
            quantiles, input, ..
        } => quantiles
            .iter()
            .map(|(quantile, _)| &**quantile)
            .chain([&**input])
            .collect(),
        Kind::HistogramFraction {
            lower,
            upper,
            input,
            ..
        } => vec![lower, upper, input],
        Kind::Aggregate(aggregate) => match &aggregate.param {
            Some(super::Param::Number(param)) => vec![param, &aggregate.input],
            _ => vec![&aggregate.input],
        },
    }
}

/// An operator without what stands below it.
struct Head<'a>(&'a Kind);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let op =
            |f: &mut Formatter<'_>, what: &str, op: BinaryOp| write!(f, "{what} {}", op.as_str());
        match self.0 {
            Kind::Number(value) => write!(f, "number {value}"),
            Kind::Time => f.write_str("time"),
            Kind::ScalarOf(_) => f.write_str("scalar"),
            Kind::ScalarNegate(_) | Kind::Negate(_) => f.write_str("negate"),
            Kind::ScalarBinary { op: kind, .. } => op(f, "scalars", *kind),
            Kind::Choose { max, .. } => f.write_str(if *max { "larger of" } else { "smaller of" }),
            Kind::Instant { .. } => f.write_str("select"),
            Kind::Over { function, .. } => write!(f, "slide {}", function.as_str()),
            Kind::Map { function, .. } => write!(f, "map {}", function.as_str()),
            Kind::VectorScalar { op: kind, .. } => op(f, "vector with scalar", *kind),
            Kind::VectorOf(_) => f.write_str("vector"),
            Kind::DateNow(function) => write!(f, "date {}", function.as_str()),
            Kind::Absent { labels, .. } => write!(f, "absent {labels}"),
            Kind::AbsentOver { labels, .. } => write!(f, "absent over time {labels}"),
            Kind::LabelReplace { destination, .. } => write!(f, "replace label {destination}"),
            Kind::LabelJoin { destination, .. } => write!(f, "join into label {destination}"),
            Kind::Sort { descending, .. } => f.write_str(if *descending {
                "sort descending"
            } else {
                "sort"
            }),
            Kind::SortByLabel { labels, .. } => write!(f, "sort by labels {}", labels.join(", ")),
            Kind::HistogramQuantile { .. } => f.write_str("histogram quantile"),
            Kind::HistogramFraction { .. } => f.write_str("histogram fraction"),
            Kind::Info { .. } => f.write_str("info"),
            Kind::Aggregate(aggregate) => {
                let by = if aggregate.without { "without" } else { "by" };
                write!(
                    f,
                    "aggregate {} {by} ({})",
                    aggregate.op.as_str(),
                    aggregate.grouping.join(", ")
                )
            }
            Kind::Binary { op: kind, .. } => op(f, "join", *kind),
            Kind::Set { op: kind, .. } => op(f, "set", *kind),
            Kind::Fixed(_) => f.write_str("same at every step"),
        }
    }
}
