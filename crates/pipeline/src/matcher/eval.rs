//! Does this message match?

use std::cmp::Ordering;

use crate::event::Event;
use crate::message::{FieldView, Value};

use super::Dialect;
use super::lex::{FieldPath, NumberVar, Op, TextVar};
use super::parse::{Expr, FieldTest, Number, TextTest};

pub(crate) fn matches(expr: &Expr, event: &Event, dialect: Dialect) -> bool {
    match expr {
        Expr::Const(value) => *value,
        Expr::Text(var, test) => text_matches(*var, test, event),
        Expr::Number(var, op, number) => number_matches(*var, *op, *number, event),
        Expr::Field(path, test) => field_matches(path, test, event, dialect),
        Expr::Not(inner) => !matches(inner, event, dialect),
        Expr::And(all) => all.iter().all(|expr| matches(expr, event, dialect)),
        Expr::Or(any) => any.iter().any(|expr| matches(expr, event, dialect)),
    }
}

fn text_matches(var: TextVar, test: &TextTest, event: &Event) -> bool {
    let text = match var {
        TextVar::Uuid => return test.holds(event.uuid_text().as_bytes()),
        TextVar::Type => event.kind(),
        TextVar::Logger => event.logger(),
        TextVar::Payload => event.payload(),
        TextVar::EnvVersion => event.env_version(),
        TextVar::Hostname => event.hostname(),
    };
    test.holds(text)
}

impl TextTest {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            TextTest::Compare(Op::Eq, value) => text == &value[..],
            TextTest::Compare(op, value) => op.holds(Some(text.cmp(value))),
            TextTest::Regex { negate, regex } => regex.is_match_bytes(text) != *negate,
        }
    }
}

impl Op {
    /// `None` stands for numbers that do not compare (NaN): only != holds.
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Op::Eq => ordering == Some(Ordering::Equal),
            Op::Ne => ordering != Some(Ordering::Equal),
            Op::Gt => ordering == Some(Ordering::Greater),
            Op::Ge => matches!(ordering, Some(Ordering::Greater | Ordering::Equal)),
            Op::Lt => ordering == Some(Ordering::Less),
            Op::Le => matches!(ordering, Some(Ordering::Less | Ordering::Equal)),
            // The grammar pairs these with regular expressions only.
            Op::Match | Op::NotMatch => false,
        }
    }
}

fn number_matches(var: NumberVar, op: Op, number: Number, event: &Event) -> bool {
    let value = match var {
        NumberVar::Timestamp => event.timestamp(),
        NumberVar::Severity => i64::from(event.severity()),
        NumberVar::Pid => i64::from(event.pid()),
    };
    op.holds(compare_integer(value, number))
}

fn compare_integer(value: i64, number: Number) -> Option<Ordering> {
    match number {
        Number::Integer(other) => Some(value.cmp(&other)),
        Number::Float(other) => (value as f64).partial_cmp(&other),
    }
}

fn compare_double(value: f64, number: Number) -> Option<Ordering> {
    match number {
        Number::Integer(other) => value.partial_cmp(&(other as f64)),
        Number::Float(other) => value.partial_cmp(&other),
    }
}

fn field_matches(path: &FieldPath, test: &FieldTest, event: &Event, dialect: Dialect) -> bool {
    let field = event.field(&path.name, path.field);
    let value = field.and_then(|field: FieldView<'_>| field.value(path.value));
    match (test, value) {
        (FieldTest::Nil { negate }, value) => value.is_none() != *negate,
        (_, None) => false,
        (FieldTest::Text(test), Some(Value::String(text) | Value::Bytes(text))) => test.holds(text),
        (FieldTest::Number(op, number), Some(Value::Integer(value))) => {
            op.holds(compare_integer(value, *number))
        }
        (FieldTest::Number(op, number), Some(Value::Double(value))) => {
            op.holds(compare_double(value, *number))
        }
        (FieldTest::Bool(wanted), Some(Value::Bool(value))) => value == *wanted,
        // To heka TRUE is also the text "TRUE".
        (FieldTest::Bool(wanted), Some(Value::String(text) | Value::Bytes(text))) => {
            let word: &[u8] = if *wanted { b"TRUE" } else { b"FALSE" };
            dialect == Dialect::Heka && text == word
        }
        // To heka anything but TRUE, compared in whatever way with a boolean,
        // means FALSE.
        (_, Some(Value::Bool(value))) => dialect == Dialect::Heka && !value,
        _ => false,
    }
}
