//! The tree as JSON, as `parse_query` answers it.

use headwater_model::MatchOp;
use serde_json::{Value, json};

use super::ast::{
    Aggregate, At, Binary, Call, Duration, DurationExpr, DurationKind, Expr, Extension,
    NumberLiteral, Subquery, VectorSelector,
};

/// The tree of an expression, fields and names as in Prometheus's `parse_query`.
pub fn to_json(expr: &Expr) -> Value {
    match expr {
        Expr::Number(number) => json!({"type": "numberLiteral", "val": number_text(number.value)}),
        Expr::String(text) => json!({"type": "stringLiteral", "val": text.value}),
        Expr::Vector(selector) => selector_json(selector, "vectorSelector"),
        Expr::Matrix(matrix) => {
            let mut node = selector_json(&matrix.selector, "matrixSelector");
            node["range"] = json!(matrix.window.millis());
            node["rangeExpr"] = duration_json(&matrix.window);
            node
        }
        Expr::Subquery(subquery) => subquery_json(subquery),
        Expr::Aggregate(aggregate) => aggregate_json(aggregate),
        Expr::Call(call) => call_json(call),
        Expr::Binary(binary) => binary_json(binary),
        Expr::Unary(unary) => {
            let op = if unary.negative { "-" } else { "+" };
            let node = json!({"type": "unaryExpr", "op": op});
            with(node, "expr", to_json(&unary.expr))
        }
        Expr::Paren(paren) => with(json!({"type": "parenExpr"}), "expr", to_json(&paren.expr)),
    }
}

/// Adds a subtree by moving it: `json!` would copy it, at every level of the tree anew.
fn with(mut node: Value, name: &str, subtree: Value) -> Value {
    node[name] = subtree;
    node
}

fn number_text(value: f64) -> String {
    NumberLiteral {
        value,
        duration: false,
        range: Default::default(),
    }
    .to_string()
}

fn selector_json(selector: &VectorSelector, kind: &str) -> Value {
    let matchers: Vec<Value> = selector
        .matchers
        .iter()
        .map(|matcher| json!({"name": matcher.name, "type": op_text(matcher.op), "value": matcher.value}))
        .collect();
    json!({
        "type": kind,
        "name": selector.name,
        "matchers": matchers,
        "offset": selector.offset.millis(),
        "offsetExpr": duration_json(&selector.offset),
        "timestamp": timestamp(selector.at),
        "startOrEnd": start_or_end(selector.at),
        "anchored": selector.extension == Extension::Anchored,
        "smoothed": selector.extension == Extension::Smoothed,
    })
}

const fn op_text(op: MatchOp) -> &'static str {
    op.as_str()
}

fn timestamp(at: Option<At>) -> Value {
    match at {
        Some(At::Time(millis)) => json!(millis),
        _ => Value::Null,
    }
}

fn start_or_end(at: Option<At>) -> Value {
    match at {
        Some(At::Start) => json!("start"),
        Some(At::End) => json!("end"),
        _ => Value::Null,
    }
}

fn duration_json(duration: &Duration) -> Value {
    match duration {
        Duration::Fixed(_) => Value::Null,
        Duration::Expr(expr) => duration_expr_json(expr),
    }
}

fn duration_expr_json(expr: &DurationExpr) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value| json!({"type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": expr.wrapped});
    match &expr.kind {
        DurationKind::Number(number) => {
            json!({"type": "numberLiteral", "val": number_text(number.value), "duration": number.duration})
        }
        DurationKind::Step => node("step", Value::Null, Value::Null),
        DurationKind::Range => node("range", Value::Null, Value::Null),
        DurationKind::Sign(negative, operand) => node(
            if *negative { "-" } else { "+" },
            Value::Null,
            duration_expr_json(operand),
        ),
        DurationKind::Binary(op, lhs, rhs) => node(
            op.as_str(),
            duration_expr_json(lhs),
            duration_expr_json(rhs),
        ),
        DurationKind::MinOf(lhs, rhs) => {
            node("min_of", duration_expr_json(lhs), duration_expr_json(rhs))
        }
        DurationKind::MaxOf(lhs, rhs) => {
            node("max_of", duration_expr_json(lhs), duration_expr_json(rhs))
        }
    }
}

fn subquery_json(subquery: &Subquery) -> Value {
    let node = json!({
        "type": "subquery",
        "range": subquery.window.millis(),
        "rangeExpr": duration_json(&subquery.window),
        "step": subquery.step.millis(),
        "stepExpr": duration_json(&subquery.step),
        "offset": subquery.offset.millis(),
        "offsetExpr": duration_json(&subquery.offset),
        "timestamp": timestamp(subquery.at),
        "startOrEnd": start_or_end(subquery.at),
    });
    with(node, "expr", to_json(&subquery.expr))
}

fn aggregate_json(aggregate: &Aggregate) -> Value {
    let node = json!({
        "type": "aggregation",
        "op": aggregate.op.as_str(),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    });
    let param = aggregate.param.as_ref().map_or(Value::Null, to_json);
    with(with(node, "expr", to_json(&aggregate.expr)), "param", param)
}

fn call_json(call: &Call) -> Value {
    let function = call.function;
    let types: Vec<&str> = function.args.iter().map(|kind| kind.short()).collect();
    let node = json!({
        "type": "call",
        "func": {
            "name": function.name,
            "argTypes": types,
            "variadic": function.variadic,
            "returnType": function.returns.short(),
        },
    });
    with(node, "args", call.args.iter().map(to_json).collect())
}

fn binary_json(binary: &Binary) -> Value {
    let matching = binary.matching.as_ref().map_or(Value::Null, |matching| {
        json!({
            "card": matching.cardinality.as_str(),
            "labels": matching.labels,
            "on": matching.on,
            "include": matching.include,
            "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
        })
    });
    let node = json!({
        "type": "binaryExpr",
        "op": binary.op.as_str(),
        "matching": matching,
        "bool": binary.return_bool,
    });
    with(
        with(node, "lhs", to_json(&binary.lhs)),
        "rhs",
        to_json(&binary.rhs),
    )
}
