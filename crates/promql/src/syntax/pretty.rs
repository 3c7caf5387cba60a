//! Expressions over several lines where they are long, as `format_query` shows them.

use super::ast::Expr;
use super::print::{AggregateHead, BinaryHead, SubquerySuffix};

/// Expressions that fit in this many bytes stay on one line.
const LINE_BYTES: usize = 100;

/// Formats an expression for people.
///
/// ```
/// use headwater_promql::{ParseOptions, parse, prettify};
/// let expr = parse("sum(up)by(job)", ParseOptions::stable()).unwrap();
/// assert_eq!(prettify(&expr), "sum by (job) (up)");
/// ```
pub fn prettify(expr: &Expr) -> String {
    let mut out = String::new();
    write(&mut out, expr, 0);
    out
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write(out: &mut String, expr: &Expr, level: usize) {
    let line = expr.to_string();
    if line.len() <= LINE_BYTES {
        // Short subqueries are not indented; that is how Prometheus writes them.
        if !matches!(expr, Expr::Subquery(_)) {
            indent(out, level);
        }
        out.push_str(&line);
        return;
    }
    match expr {
        Expr::Aggregate(aggregate) => {
            indent(out, level);
            out.push_str(&AggregateHead(aggregate).to_string());
            let args = aggregate.param.iter().chain([&aggregate.expr]);
            write_args(out, args, level);
        }
        Expr::Call(call) => {
            indent(out, level);
            out.push_str(call.function.name);
            write_args(out, call.args.iter(), level);
        }
        Expr::Paren(paren) => {
            indent(out, level);
            write_args(out, [&paren.expr].into_iter(), level);
        }
        Expr::Binary(binary) => {
            write(out, &binary.lhs, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(&BinaryHead(binary).to_string());
            out.push('\n');
            write(out, &binary.rhs, level + 1);
        }
        Expr::Subquery(subquery) => {
            write(out, &subquery.expr, level);
            out.push_str(&SubquerySuffix(subquery).to_string());
        }
        Expr::Unary(unary) => {
            indent(out, level);
            out.push(if unary.negative { '-' } else { '+' });
            let mut operand = String::new();
            write(&mut operand, &unary.expr, level);
            out.push_str(operand.trim());
        }
        Expr::Number(_) | Expr::String(_) | Expr::Vector(_) | Expr::Matrix(_) => {
            indent(out, level);
            out.push_str(&line);
        }
    }
}

fn write_args<'a>(out: &mut String, args: impl Iterator<Item = &'a Expr>, level: usize) {
    out.push_str("(\n");
    for (at, arg) in args.enumerate() {
        if at > 0 {
            out.push_str(",\n");
        }
        write(out, arg, level + 1);
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
}
