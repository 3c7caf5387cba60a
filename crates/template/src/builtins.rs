//! Go's built-in functions other than the comparisons.

use crate::funcs::{CallResult, Funcs, Kind, Signature};
use crate::printf::sprintf;
use crate::value::Value;

pub(crate) fn register(funcs: &mut Funcs) {
    let any = Signature::variadic(&[], Kind::Any);
    let one = Signature::of(&[Kind::Any]);
    let format = Signature::variadic(&[Kind::Str], Kind::Any);
    funcs.add("not", one, |args| Ok(Value::Bool(!args[0].truth())));
    funcs.add("len", one, |args| len(&args[0]));
    funcs.add("index", Signature::variadic(&[Kind::Any], Kind::Any), index);
    funcs.add("slice", Signature::variadic(&[Kind::Any], Kind::Any), slice);
    funcs.add("print", any, |args| Ok(Value::from(sprint(args))));
    funcs.add("println", any, |args| Ok(Value::from(sprintln(args))));
    funcs.add("printf", format, |args| {
        let pattern = args[0].as_str().unwrap_or_default();
        Ok(Value::from(sprintf(pattern, &args[1..])))
    });
    funcs.add("html", any, |args| Ok(Value::from(html(&joined(args)))));
    funcs.add("js", any, |args| Ok(Value::from(js(&joined(args)))));
    funcs.add("urlquery", any, |args| {
        Ok(Value::from(url_query(&joined(args))))
    });
}

fn len(value: &Value) -> CallResult {
    let len = match value {
        Value::Str(s) => s.len(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.entries.len(),
        Value::Nil => return Err("len of nil pointer".to_owned()),
        other => return Err(format!("len of type {}", other.type_name())),
    };
    Ok(Value::Int(len as i64))
}

fn index(args: &[Value]) -> CallResult {
    let mut value = args[0].clone();
    for key in &args[1..] {
        value = index_once(&value, key)?;
    }
    Ok(value)
}

fn index_once(value: &Value, key: &Value) -> CallResult {
    match (value, key) {
        (Value::Map(map), Value::Str(key)) => {
            Ok(map.entries.get(&**key).unwrap_or(&map.missing).clone())
        }
        (Value::Map(_), key) => Err(format!(
            "value has type {}; should be string",
            key.type_name()
        )),
        (Value::List(items), key) => {
            let at = position(key, items.len(), false)?;
            Ok(items[at].clone())
        }
        (Value::Str(text), key) => {
            let at = position(key, text.len(), false)?;
            Ok(Value::Int(i64::from(text.as_bytes()[at])))
        }
        (Value::Nil, _) => Err("index of untyped nil".to_owned()),
        (other, _) => Err(format!("can't index item of type {}", other.type_name())),
    }
}

/// An index argument as a position; a slice end may equal the length.
fn position(key: &Value, len: usize, inclusive: bool) -> Result<usize, String> {
    let Value::Int(at) = key else {
        return Err(match key {
            Value::Nil => "cannot index slice/array with nil".to_owned(),
            other => format!("cannot index slice/array with type {}", other.type_name()),
        });
    };
    match usize::try_from(*at) {
        Ok(at) if at < len || (inclusive && at == len) => Ok(at),
        _ => Err(format!("index out of range: {at}")),
    }
}

fn slice(args: &[Value]) -> CallResult {
    let (value, bounds) = (&args[0], &args[1..]);
    let len = match value {
        Value::Str(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Nil => return Err("slice of untyped nil".to_owned()),
        other => return Err(format!("can't slice item of type {}", other.type_name())),
    };
    if bounds.len() > 3 {
        return Err(format!("too many slice indexes: {}", bounds.len()));
    }
    if bounds.len() == 3 && matches!(value, Value::Str(_)) {
        return Err("cannot 3-index slice a string".to_owned());
    }
    let start = bounds.first().map_or(Ok(0), |k| position(k, len, true))?;
    let end = bounds.get(1).map_or(Ok(len), |k| position(k, len, true))?;
    if start > end {
        return Err(format!("invalid slice index: {start} > {end}"));
    }
    Ok(match value {
        Value::Str(text) => Value::from(cut(text, start, end)),
        Value::List(items) => Value::list(items[start..end].iter().cloned()),
        _ => Value::Nil,
    })
}

/// Bytes `start..end` of a text; a cut character is replaced.
fn cut(text: &str, start: usize, end: usize) -> String {
    String::from_utf8_lossy(&text.as_bytes()[start..end]).into_owned()
}

/// Go's `Sprint`: a blank between operands when neither is a string.
pub(crate) fn sprint(args: &[Value]) -> String {
    let mut out = String::new();
    for (i, arg) in args.iter().enumerate() {
        let texts = |v: &Value| matches!(v, Value::Str(_));
        if i > 0 && !texts(arg) && !texts(&args[i - 1]) {
            out.push(' ');
        }
        out.push_str(&arg.to_string());
    }
    out
}

fn sprintln(args: &[Value]) -> String {
    let parts: Vec<String> = args.iter().map(Value::to_string).collect();
    parts.join(" ") + "\n"
}

/// The text the escapers work on.
fn joined(args: &[Value]) -> String {
    match args {
        [Value::Str(text)] => text.to_string(),
        args => sprint(args),
    }
}

fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}
