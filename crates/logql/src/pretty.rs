//! A query over several lines, as Loki's `format_query` lays it out.

use crate::ast::*;
use crate::print::{brackets, offset, operator, selector};

/// A node longer than this is divided, in characters.
const MAX_WIDTH: usize = 100;

impl Expr {
    /// The query on one line if it is short, else over several.
    ///
    /// ```
    /// let query = headwater_logql::parse(r#"{app="a"}|="x""#)?;
    /// assert_eq!(query.pretty(), r#"{app="a"} |= "x""#);
    /// # Ok::<(), headwater_logql::ParseError>(())
    /// ```
    pub fn pretty(&self) -> String {
        expr(self, 0)
    }
}

fn indent(level: usize) -> String {
    "  ".repeat(level)
}

fn fits(text: &str) -> bool {
    text.chars().count() <= MAX_WIDTH
}

fn expr(node: &Expr, level: usize) -> String {
    let line = node.to_string();
    if fits(&line) {
        return format!("{}{line}", indent(level));
    }
    match node {
        Expr::Log(log) => log_expr(log, level),
        Expr::Range(range) => range_aggregation(range, level),
        Expr::Vector(vector) => vector_aggregation(vector, level),
        Expr::Binary(binary) => {
            let left = expr(&binary.left, level + 1);
            let right = expr(&binary.right, level + 1);
            let op = operator(binary);
            format!("{left}\n{}{op}\n{right}", indent(level))
        }
        Expr::LabelReplace(replace) => label_replace(replace, level),
        Expr::Literal(_) | Expr::VectorLiteral(_) => format!("{}{line}", indent(level)),
    }
}

fn log_expr(log: &LogExpr, level: usize) -> String {
    let line = log.to_string();
    if fits(&line) || log.stages.is_empty() {
        return format!("{}{line}", indent(level));
    }
    let mut lines = vec![format!("{}{}", indent(level), selector(log))];
    let mut filters: Vec<String> = Vec::new();
    for stage in &log.stages {
        if matches!(stage, Stage::LineFilter(_)) {
            filters.push(stage.to_string());
            continue;
        }
        flush(&mut filters, &mut lines, level);
        // Loki forgets to indent this one.
        let margin = match stage {
            Stage::Decolorize => String::new(),
            _ => indent(level + 1),
        };
        lines.push(format!("{margin}{stage}"));
    }
    flush(&mut filters, &mut lines, level);
    lines.join("\n")
}

/// Line filters that follow each other stay on one line.
fn flush(filters: &mut Vec<String>, lines: &mut Vec<String>, level: usize) {
    if !filters.is_empty() {
        lines.push(format!("{}{}", indent(level + 1), filters.join(" ")));
        filters.clear();
    }
}

fn range_aggregation(node: &RangeAggregation, level: usize) -> String {
    let mut text = format!("{}{}(\n", indent(level), node.op.as_str());
    if let Some(param) = node.param {
        text.push_str(&format!("{}{param},\n", indent(level + 1)));
    }
    text.push_str(&log_expr(&node.range.log, level + 1));
    if let Some(unwrap) = &node.range.unwrap {
        text.push_str(&format!("\n{}{unwrap}", indent(level + 2)));
    }
    text.push_str(&format!(
        " {}{}\n{})",
        brackets(node.range.range),
        offset(node.range.offset),
        indent(level)
    ));
    if let Some(grouping) = &node.grouping {
        text.push_str(&grouping.to_string());
    }
    text
}

fn vector_aggregation(node: &VectorAggregation, level: usize) -> String {
    let mut text = format!("{}{}", indent(level), node.op.as_str());
    if let Some(grouping) = &node.grouping {
        text.push_str(&grouping.to_string());
        text.push(' ');
    }
    text.push_str("(\n");
    if node.op.takes_k() {
        text.push_str(&format!("{}{},\n", indent(level + 1), node.k));
    }
    text.push_str(&expr(&node.inner, level + 1));
    text.push_str(&format!("\n{})", indent(level)));
    text
}

fn label_replace(node: &LabelReplace, level: usize) -> String {
    let mut text = format!(
        "{}label_replace(\n{},\n",
        indent(level),
        expr(&node.inner, level + 1)
    );
    let texts = [&node.target, &node.replacement, &node.source, &node.regex];
    let args: Vec<String> = texts
        .iter()
        .map(|t| {
            format!(
                "{}{}",
                indent(level + 1),
                headwater_model::quote::go_quoted(t)
            )
        })
        .collect();
    text.push_str(&args.join(",\n"));
    text.push_str(&format!("\n{})", indent(level)));
    text
}
