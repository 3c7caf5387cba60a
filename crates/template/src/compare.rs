//! `eq`, `ne`, `lt`, `le`, `gt`, `ge`: Go's comparisons, which refuse to mix types.

use std::cmp::Ordering;

use crate::funcs::{Funcs, Kind, Signature};
use crate::value::Value;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

pub(crate) fn register(funcs: &mut Funcs) {
    let two = Signature::of(&[Kind::Any, Kind::Any]);
    funcs.add("eq", Signature::variadic(&[Kind::Any], Kind::Any), |args| {
        let [first, rest @ ..] = args else {
            return Err("missing argument for comparison".to_owned());
        };
        if rest.is_empty() {
            return Err("missing argument for comparison".to_owned());
        }
        for other in rest {
            if equal(first, other)? {
                return Ok(Value::Bool(true));
            }
        }
        Ok(Value::Bool(false))
    });
    funcs.add("ne", two, |args| {
        Ok(Value::Bool(!equal(&args[0], &args[1])?))
    });
    funcs.add("lt", two, |args| order(args, Ordering::is_lt));
    funcs.add("le", two, |args| order(args, Ordering::is_le));
    funcs.add("gt", two, |args| order(args, Ordering::is_gt));
    funcs.add("ge", two, |args| order(args, Ordering::is_ge));
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Float(a), Value::Float(b)) => Ok(a == b),
        (Value::Str(a), Value::Str(b)) => Ok(a == b),
        (Value::Nil, other) | (other, Value::Nil) => Ok(matches!(other, Value::Nil)),
        (Value::List(_) | Value::Map(_), _) | (_, Value::List(_) | Value::Map(_)) => {
            let ty = if matches!(a, Value::List(_) | Value::Map(_)) {
                a
            } else {
                b
            };
            Err(format!("non-comparable type {ty}: {}", ty.type_name()))
        }
        (Value::Object(a), Value::Object(b)) if a.type_name() == b.type_name() => {
            Ok(a.to_string() == b.to_string())
        }
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

fn order(args: &[Value], test: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (&args[0], &args[1]) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Str(a), Value::Str(b)) => Some(a.cmp(b)),
        (Value::Int(_) | Value::Float(_) | Value::Str(_), other)
        | (other, Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
            return Err(match other {
                Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Bool(_) => INCOMPATIBLE,
                _ => INVALID,
            }
            .to_owned());
        }
        _ => return Err(INVALID.to_owned()),
    };
    // Not a number is neither less nor greater than anything.
    Ok(Value::Bool(ordering.is_some_and(test)))
}
