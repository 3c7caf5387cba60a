//! Plans as text.

use std::fmt::{self, Display, Formatter};

use headwater_storage::Projection;

use super::{Kind, Node, Part, Plan, RangeInput, Root, SelectPlan};
use crate::syntax::ast::BinaryOp;

/// What stands behind each line of a plan.
pub(crate) trait Remarks {
    fn node(&self, node: &Node) -> String;
    fn select(&self, select: usize) -> String;
}

/// Nothing beside the plan.
struct Silent;

impl Remarks for Silent {
    fn node(&self, _: &Node) -> String {
        String::new()
    }

    fn select(&self, _: usize) -> String {
        String::new()
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&explain(self, &Silent))
    }
}

/// A plan as text, an operator a line, inputs indented below.
pub(crate) fn explain(plan: &Plan, remarks: &dyn Remarks) -> String {
    let mut writer = Writer {
        selects: &plan.selects,
        remarks,
        out: String::new(),
    };
    match &plan.root {
        Root::Text(text) => writer.line(0, &format!("text {text:?}"), ""),
        Root::Samples { select } => writer.select(*select, "samples", 0),
        Root::Subquery { node } => match node {
            Some(node) => writer.node(node, 0),
            None => writer.line(0, "nothing", ""),
        },
        Root::Steps(node) => writer.node(node, 0),
    }
    writer.out
}

struct Writer<'a> {
    selects: &'a [SelectPlan],
    remarks: &'a dyn Remarks,
    out: String,
}

impl Writer<'_> {
    fn line(&mut self, level: usize, text: &str, remark: &str) {
        self.out.push_str(&"  ".repeat(level));
        self.out.push_str(text);
        if !remark.is_empty() {
            self.out.push_str("  # ");
            self.out.push_str(remark);
        }
        self.out.push('\n');
    }

    fn select(&mut self, select: usize, what: &str, level: usize) {
        let remark = self.remarks.select(select);
        self.line(level, &self.select_text(select, what), &remark);
    }

    fn select_text(&self, select: usize, what: &str) -> String {
        let select = &self.selects[select];
        let matchers: Vec<String> = select.matchers.iter().map(ToString::to_string).collect();
        let (matchers, range) = (matchers.join(","), select.range);
        let mut text = format!(
            "select {what} {{{matchers}}} from {} to {} ms",
            range.start, range.end
        );
        if select.window > 0 {
            text += &format!(" window {} ms", select.window);
        }
        if select.offset != 0 {
            text += &format!(" offset {} ms", select.offset);
        }
        if select.unused {
            return format!("select {what} {{{matchers}}} never");
        }
        if select.newest {
            text += " newest";
        }
        match &select.labels {
            Projection::All => {}
            Projection::Only(labels) => text += &format!(" labels {}", labels.join(",")),
            Projection::Except(labels) => text += &format!(" labels without {}", labels.join(",")),
        }
        text
    }

    fn range(&mut self, input: &RangeInput, level: usize) {
        match input {
            RangeInput::Select(select) => self.select(*select, "ranges", level),
            RangeInput::Subquery { node: None, .. } => self.line(level, "nothing", ""),
            RangeInput::Subquery {
                node: Some(node),
                window,
                ..
            } => {
                self.line(level, &format!("subquery window {window} ms"), "");
                self.node(node, level + 1);
            }
        }
    }

    fn node(&mut self, node: &Node, level: usize) {
        let remark = self.remarks.node(node);
        if let Kind::Instant { select, part } = &node.kind {
            let what = match part {
                Part::Value => "values",
                Part::Time | Part::TimeOfFloat => "times",
                Part::Start => "start times",
            };
            return self.line(level, &self.select_text(*select, what), &remark);
        }
        let steps = match node.grid.len() {
            1 => "[1 step]".to_owned(),
            steps => format!("[{steps} steps of {} ms]", node.grid.step()),
        };
        let shared = if node.is_shared() { " shared" } else { "" };
        self.line(
            level,
            &format!("{} {steps}{shared}", Head(&node.kind)),
            &remark,
        );
        match &node.kind {
            Kind::Over { input, .. } | Kind::AbsentOver { input, .. } => {
                self.range(input, level + 1);
            }
            Kind::Info { select, .. } => self.select(*select, "info", level + 1),
            _ => {}
        }
        for child in node.children() {
            self.node(child, level + 1);
        }
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
