//! The functions of Loki's templates.

use std::borrow::Cow;
use std::sync::LazyLock;

use headwater_regexp::Regex;
use headwater_template::{CallResult, Funcs, GoTime, Kind, Signature, Value};

use super::decimal::{Decimal, Operation};
use crate::units::{parse_bytes, parse_float, parse_go_duration};

/// The function that answers the current line.
pub(crate) const LINE: &str = "__line__";
/// The function that answers the time of the current line.
pub(crate) const TIMESTAMP: &str = "__timestamp__";

/// Longest text a function makes, in bytes.
const MAX_TEXT: usize = 8 << 20;

const S: &[Kind] = &[Kind::Str];
const SS: &[Kind] = &[Kind::Str, Kind::Str];
const SSS: &[Kind] = &[Kind::Str, Kind::Str, Kind::Str];
const IS: &[Kind] = &[Kind::Int, Kind::Str];
const A: &[Kind] = &[Kind::Any];
const AA: &[Kind] = &[Kind::Any, Kind::Any];

/// All functions, built once.
pub(crate) fn all() -> &'static Funcs {
    static ALL: LazyLock<Funcs> = LazyLock::new(|| {
        let mut funcs = Funcs::new();
        funcs.add_data(LINE, Signature::of(&[]));
        funcs.add_data(TIMESTAMP, Signature::of(&[]));
        texts(&mut funcs);
        cuts(&mut funcs);
        conversions(&mut funcs);
        numbers(&mut funcs);
        times(&mut funcs);
        funcs
    });
    &ALL
}

fn s(args: &[Value], at: usize) -> &str {
    args.get(at).and_then(Value::as_str).unwrap_or_default()
}

fn i(args: &[Value], at: usize) -> i64 {
    match args.get(at) {
        Some(Value::Int(n)) => *n,
        _ => 0,
    }
}

fn text(value: impl Into<String>) -> CallResult {
    Ok(Value::from(value.into()))
}

/// A function of texts that cannot fail.
fn plain(
    funcs: &mut Funcs,
    name: &str,
    params: &'static [Kind],
    call: impl Fn(&[Value]) -> String + Send + Sync + 'static,
) {
    funcs.add(name, Signature::of(params), move |args| text(call(args)));
}

fn chars(set: &str) -> impl Fn(char) -> bool + '_ {
    move |c| set.contains(c)
}

fn texts(funcs: &mut Funcs) {
    for name in ["ToLower", "lower"] {
        plain(funcs, name, S, |a| s(a, 0).chars().map(lower).collect());
    }
    for name in ["ToUpper", "upper"] {
        plain(funcs, name, S, |a| s(a, 0).chars().map(upper).collect());
    }
    for name in ["TrimSpace", "trim"] {
        plain(funcs, name, S, |a| s(a, 0).trim().to_owned());
    }
    plain(funcs, "title", S, |a| title(s(a, 0)));
    plain(funcs, "Trim", SS, |a| {
        s(a, 0).trim_matches(chars(s(a, 1))).to_owned()
    });
    plain(funcs, "TrimLeft", SS, |a| {
        s(a, 0).trim_start_matches(chars(s(a, 1))).to_owned()
    });
    plain(funcs, "TrimRight", SS, |a| {
        s(a, 0).trim_end_matches(chars(s(a, 1))).to_owned()
    });
    plain(funcs, "trimAll", SS, |a| {
        s(a, 1).trim_matches(chars(s(a, 0))).to_owned()
    });
    plain(funcs, "TrimPrefix", SS, |a| {
        without_prefix(s(a, 0), s(a, 1))
    });
    plain(funcs, "trimPrefix", SS, |a| {
        without_prefix(s(a, 1), s(a, 0))
    });
    plain(funcs, "TrimSuffix", SS, |a| {
        without_suffix(s(a, 0), s(a, 1))
    });
    plain(funcs, "trimSuffix", SS, |a| {
        without_suffix(s(a, 1), s(a, 0))
    });
    let replace = Signature::of(&[Kind::Str, Kind::Str, Kind::Str, Kind::Int]);
    funcs.add("Replace", replace, |a| {
        text(match usize::try_from(i(a, 3)) {
            Ok(count) => s(a, 0).replacen(s(a, 1), s(a, 2), count),
            Err(_) => s(a, 0).replace(s(a, 1), s(a, 2)),
        })
    });
    plain(funcs, "replace", SSS, |a| s(a, 2).replace(s(a, 0), s(a, 1)));
    funcs.add("contains", Signature::of(SS), |a| {
        Ok(s(a, 1).contains(s(a, 0)).into())
    });
    funcs.add("hasPrefix", Signature::of(SS), |a| {
        Ok(s(a, 1).starts_with(s(a, 0)).into())
    });
    funcs.add("hasSuffix", Signature::of(SS), |a| {
        Ok(s(a, 1).ends_with(s(a, 0)).into())
    });
    funcs.add("repeat", Signature::of(IS), |a| repeat(i(a, 0), s(a, 1)));
    funcs.add("indent", Signature::of(IS), |a| {
        indent("", i(a, 0), s(a, 1))
    });
    funcs.add("nindent", Signature::of(IS), |a| {
        indent("\n", i(a, 0), s(a, 1))
    });
    funcs.add("regexReplaceAll", Signature::of(SSS), |a| {
        text(regex(s(a, 0))?.replace_all(s(a, 1), s(a, 2)))
    });
    funcs.add("regexReplaceAllLiteral", Signature::of(SSS), |a| {
        text(regex(s(a, 0))?.replace_all_literal(s(a, 1), s(a, 2)))
    });
    funcs.add("count", Signature::of(SS), |a| {
        Ok(Value::Int(
            regex(s(a, 0))?.captures_iter(s(a, 1)).count() as i64
        ))
    });
}

/// Go changes case one character at a time: what would become two stays.
fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(upper), None) => upper,
        _ => c,
    }
}

fn lower(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

fn without_prefix(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap_or(text).to_owned()
}

fn without_suffix(text: &str, suffix: &str) -> String {
    text.strip_suffix(suffix).unwrap_or(text).to_owned()
}

fn regex(pattern: &str) -> Result<Regex, String> {
    Regex::new(pattern).map_err(|e| e.to_string())
}

/// Go's `strings.Title`: the first letter of every word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        let starts = match before {
            b if b.is_ascii() => !(b.is_ascii_alphanumeric() || b == '_'),
            b => b.is_whitespace(),
        };
        match starts {
            true => out.push(upper(c)),
            false => out.push(c),
        }
        before = c;
    }
    out
}

fn repeat(count: i64, unit: &str) -> CallResult {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count")?;
    match count.checked_mul(unit.len()) {
        Some(length) if length <= MAX_TEXT => text(unit.repeat(count)),
        _ => Err(format!("the text would be longer than {MAX_TEXT} bytes")),
    }
}

fn indent(before: &str, count: i64, lines: &str) -> CallResult {
    let count = usize::try_from(count).map_err(|_| "strings: negative Repeat count")?;
    let breaks = lines.matches('\n').count() + 1;
    if count.saturating_mul(breaks) > MAX_TEXT {
        return Err(format!("the text would be longer than {MAX_TEXT} bytes"));
    }
    let pad = " ".repeat(count);
    text(format!(
        "{before}{pad}{}",
        lines.replace('\n', &format!("\n{pad}"))
    ))
}

/// Bytes of a text; a cut character is replaced.
fn cut(text: &str, range: std::ops::Range<usize>) -> String {
    String::from_utf8_lossy(&text.as_bytes()[range]).into_owned()
}

fn cuts(funcs: &mut Funcs) {
    funcs.add("trunc", Signature::of(IS), |a| {
        let (count, line) = (i(a, 0), s(a, 1));
        let length = line.len() as i64;
        text(match count {
            c if c < 0 && length + c > 0 => cut(line, (length + c) as usize..line.len()),
            c if c >= 0 && length > c => cut(line, 0..c as usize),
            _ => line.to_owned(),
        })
    });
    let substr = Signature::of(&[Kind::Int, Kind::Int, Kind::Str]);
    funcs.add("substr", substr, |a| substr_of(i(a, 0), i(a, 1), s(a, 2)));
    plain(funcs, "alignLeft", IS, |a| align(i(a, 0), s(a, 1), true));
    plain(funcs, "alignRight", IS, |a| align(i(a, 0), s(a, 1), false));
}

fn substr_of(start: i64, end: i64, line: &str) -> CallResult {
    let length = line.len() as i64;
    let out_of = |what: String| Err(format!("runtime error: slice bounds out of range {what}"));
    let (start, end) = match (start, end) {
        (start, end) if start < 0 => (0, end),
        (start, end) if end < 0 || end > length => (start, length),
        both => both,
    };
    match () {
        () if end < 0 => out_of(format!("[:{end}]")),
        () if end > length => out_of(format!("[:{end}] with length {length}")),
        () if start > end => out_of(format!("[{start}:{end}]")),
        () => text(cut(line, start as usize..end as usize)),
    }
}

fn align(count: i64, line: &str, left: bool) -> String {
    let Ok(count) = usize::try_from(count) else {
        return line.to_owned();
    };
    let length = line.chars().count();
    if count == 0 || count == length {
        return line.to_owned();
    }
    if count > length {
        let pad = " ".repeat((count - length).min(MAX_TEXT));
        return if left {
            format!("{line}{pad}")
        } else {
            format!("{pad}{line}")
        };
    }
    let skip = if left { 0 } else { length - count };
    line.chars().skip(skip).take(count).collect()
}

fn conversions(funcs: &mut Funcs) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    plain(funcs, "b64enc", S, |a| STANDARD.encode(s(a, 0)));
    plain(funcs, "b64dec", S, |a| match STANDARD.decode(s(a, 0)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(_) => String::new(),
    });
    plain(funcs, "urlencode", S, |a| url_encode(s(a, 0)));
    funcs.add("urldecode", Signature::of(S), |a| {
        text(url_decode(s(a, 0))?)
    });
    funcs.add("bytes", Signature::of(S), |a| {
        Ok(Value::Float(parse_bytes(s(a, 0))? as f64))
    });
    for name in ["duration", "duration_seconds"] {
        funcs.add(name, Signature::of(S), |a| {
            Ok(Value::Float(parse_go_duration(s(a, 0))? as f64 / 1e9))
        });
    }
    funcs.add("int", Signature::of(A), |a| Ok(Value::Int(to_int(&a[0]))));
    funcs.add("float64", Signature::of(A), |a| {
        Ok(Value::Float(to_float(&a[0])))
    });
    funcs.add("default", Signature::variadic(A, Kind::Any), |a| {
        Ok(match a.get(1) {
            Some(given) if given.truth() => given.clone(),
            _ => a[0].clone(),
        })
    });
    funcs.add("fromJson", Signature::of(S), |a| {
        let text = without_lone_surrogates(s(a, 0));
        let parsed = serde_json::from_str::<serde_json::Value>(&text);
        Ok(parsed.map_or(Value::Nil, from_json))
    });
}

/// Half of a surrogate pair in an escape stands for no character: Go reads U+FFFD, where the parser
/// here would refuse the whole text.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        let escape = at + found;
        at = match unit(escape) {
            Some(0xd800..=0xdbff) if matches!(unit(escape + 6), Some(0xdc00..=0xdfff)) => {
                escape + 12
            }
            Some(0xd800..=0xdfff) => {
                lone.push(escape);
                escape + 6
            }
            Some(_) => escape + 6,
            None => (escape + 2).min(text.len()),
        };
    }
    if lone.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = text.to_owned();
    for escape in lone.into_iter().rev() {
        out.replace_range(escape..escape + 6, "\u{fffd}");
    }
    Cow::Owned(out)
}

fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(b) => Value::Bool(b),
        serde_json::Value::Number(n) => Value::Float(n.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => Value::list(items.into_iter().map(from_json)),
        serde_json::Value::Object(map) => {
            Value::map(map.into_iter().map(|(key, value)| (key, from_json(value))))
        }
    }
}

fn url_encode(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    for byte in line.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b if b.is_ascii_alphanumeric() => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn url_decode(line: &str) -> Result<String, String> {
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = rest.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                let code = digits.and_then(|d| u8::from_str_radix(d, 16).ok());
                let Some(code) = code else {
                    let shown = String::from_utf8_lossy(&rest[..rest.len().min(2)]);
                    let shown = headwater_model::quote::go_quoted(&format!("%{shown}"));
                    return Err(format!("invalid URL escape {shown}"));
                };
                out.push(code);
                rest = &rest[2..];
            }
            byte => out.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// The cast package's `ToInt64`: what is no number is 0.
fn to_int(value: &Value) -> i64 {
    match value {
        Value::Int(n) => *n,
        Value::Float(f) => *f as i64,
        Value::Bool(b) => i64::from(*b),
        Value::Str(text) => {
            let text = match text.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
                _ => text,
            };
            based(text).unwrap_or(0)
        }
        _ => 0,
    }
}

fn based(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_lowercase();
    let parsed = match lower.get(..2) {
        Some("0x") => i64::from_str_radix(&lower[2..], 16),
        Some("0b") => i64::from_str_radix(&lower[2..], 2),
        Some("0o") => i64::from_str_radix(&lower[2..], 8),
        Some(_) if lower.starts_with('0') => i64::from_str_radix(&lower[1..], 8),
        _ => lower.parse(),
    };
    parsed.ok().map(|n| n * sign)
}

/// The cast package's `ToFloat64`: what is no number is 0.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Int(n) => *n as f64,
        Value::Float(f) => *f,
        Value::Bool(b) => f64::from(u8::from(*b)),
        Value::Str(text) => parse_float(text).unwrap_or(0.0),
        _ => 0.0,
    }
}

fn numbers(funcs: &mut Funcs) {
    let some = Signature::variadic(A, Kind::Any);
    let any = Signature::variadic(&[], Kind::Any);
    fold(funcs, "add", any, |a, b| Some(a.wrapping_add(b)));
    fold(funcs, "mul", some, |a, b| Some(a.wrapping_mul(b)));
    fold(funcs, "max", some, |a, b| Some(a.max(b)));
    fold(funcs, "min", some, |a, b| Some(a.min(b)));
    fold(funcs, "sub", Signature::of(AA), |a, b| {
        Some(a.wrapping_sub(b))
    });
    fold(funcs, "div", Signature::of(AA), i64::checked_div);
    fold(funcs, "mod", Signature::of(AA), i64::checked_rem);
    for (name, op, signature) in [
        ("addf", Operation::Add, any),
        ("subf", Operation::Sub, some),
        ("mulf", Operation::Mul, some),
        ("divf", Operation::Div, some),
    ] {
        funcs.add(name, signature, move |args| {
            let mut values = args.iter().map(to_float);
            let first = values.next().unwrap_or(0.0);
            let result = values.fold(first, |a, b| Decimal::apply(op, a, b));
            Ok(Value::Float(result))
        });
    }
    floats(funcs, "maxf", some, f64::max);
    floats(funcs, "minf", some, f64::min);
    funcs.add("ceil", Signature::of(A), |a| {
        Ok(Value::Float(to_float(&a[0]).ceil()))
    });
    funcs.add("floor", Signature::of(A), |a| {
        Ok(Value::Float(to_float(&a[0]).floor()))
    });
    let round = Signature::variadic(&[Kind::Any, Kind::Int], Kind::Float);
    funcs.add("round", round, |a| {
        let threshold = match a.get(2) {
            Some(Value::Float(t)) => *t,
            _ => 0.5,
        };
        Ok(Value::Float(round_to(to_float(&a[0]), i(a, 1), threshold)))
    });
}

fn fold(funcs: &mut Funcs, name: &str, signature: Signature, step: fn(i64, i64) -> Option<i64>) {
    funcs.add(name, signature, move |args| {
        let mut values = args.iter().map(to_int);
        let first = values.next().unwrap_or(0);
        match values.try_fold(first, step) {
            Some(result) => Ok(Value::Int(result)),
            None => Err("runtime error: integer divide by zero".to_owned()),
        }
    });
}

fn floats(funcs: &mut Funcs, name: &str, signature: Signature, step: fn(f64, f64) -> f64) {
    funcs.add(name, signature, move |args| {
        let values = args.iter().map(to_float);
        Ok(Value::Float(values.reduce(step).unwrap_or(0.0)))
    });
}

fn round_to(value: f64, places: i64, threshold: f64) -> f64 {
    let power = 10f64.powi(places.clamp(-300, 300) as i32);
    let digits = power * value;
    let fraction = digits.fract();
    let rounded = if fraction >= threshold {
        digits.ceil()
    } else {
        digits.floor()
    };
    rounded / power
}

fn times(funcs: &mut Funcs) {
    funcs.add("now", Signature::of(&[]), |_| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let nanos = now.map_or(0, |d| d.as_nanos() as i128);
        Ok(Value::object(GoTime::from_unix_nanos(nanos)))
    });
    funcs.add("date", Signature::of(&[Kind::Str, Kind::Any]), |a| {
        text(time_of(&a[1]).format(s(a, 0)))
    });
    funcs.add("toDate", Signature::of(SS), |a| {
        let time = GoTime::parse(s(a, 0), s(a, 1), "Local");
        Ok(Value::object(time.unwrap_or_else(GoTime::zero)))
    });
    funcs.add("toDateInZone", Signature::of(SSS), |a| {
        let time = GoTime::parse(s(a, 0), s(a, 2), s(a, 1));
        let time = time.or_else(|| GoTime::parse(s(a, 0), s(a, 2), "UTC"));
        Ok(Value::object(time.unwrap_or_else(GoTime::zero)))
    });
    funcs.add("unixToTime", Signature::of(S), |a| unix_to_time(s(a, 0)));
    for (name, unit) in [
        ("unixEpoch", 1_000_000_000),
        ("unixEpochMillis", 1_000_000),
        ("unixEpochNanos", 1),
    ] {
        funcs.add(name, Signature::of(A), move |a| {
            let Some(time) = a[0].downcast::<GoTime>() else {
                return Err(format!(
                    "wrong type {}; expected time.Time",
                    a[0].type_name()
                ));
            };
            text(time.unix_nanos().div_euclid(unit).to_string())
        });
    }
}

/// A time, or seconds since the epoch.
fn time_of(value: &Value) -> GoTime {
    match (value.downcast::<GoTime>(), value) {
        (Some(time), _) => time.clone(),
        (None, Value::Int(seconds)) => {
            GoTime::from_unix_nanos(i128::from(*seconds) * 1_000_000_000)
        }
        _ => GoTime::zero(),
    }
}

/// Days, seconds, milliseconds, microseconds or nanoseconds, told apart by
/// the number of digits.
fn unix_to_time(epoch: &str) -> CallResult {
    let unparsable = |why: &str| Err(format!("unable to parse time '{epoch}': {why}"));
    let Ok(number) = epoch.parse::<i64>() else {
        let quoted = headwater_model::quote::go_quoted(epoch);
        return unparsable(&format!(
            "strconv.ParseInt: parsing {quoted}: invalid syntax"
        ));
    };
    let unit: i128 = match epoch.len() {
        5 => 86_400_000_000_000,
        10 => 1_000_000_000,
        13 => 1_000_000,
        16 => 1_000,
        19 => 1,
        _ => return unparsable("%!w(<nil>)"),
    };
    Ok(Value::object(GoTime::from_unix_nanos(
        i128::from(number) * unit,
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_surrogate_pairs_become_replacement_characters() {
        for (text, want) in [
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud800x\udc00""#, "\"\u{fffd}x\u{fffd}\""),
            (r#""\\ud800""#, r#""\\ud800""#),
            (r#""\u00e9\u12""#, r#""\u00e9\u12""#),
            ("\\\u{e9}\\", "\\\u{e9}\\"),
        ] {
            assert_eq!(without_lone_surrogates(text), want);
        }
    }
}
