//! Go's `fmt.Sprintf` over template values.

use crate::float::format_float;
use crate::quote::{quote, quote_with};
use crate::value::Value;

/// Widths and precisions beyond this are refused, as Go refuses them.
const MAX_WIDTH: i64 = 1_000_000;

/// Formats by Go's verbs. Mistakes are written into the text, as Go does:
/// `%!d(string=hi)`, `%!d(MISSING)`, `%!(EXTRA int=3)`.
///
/// ```
/// use headwater_template::{Value, sprintf};
/// assert_eq!(sprintf("%05.1f|%-4s|%x", &[2.25.into(), "a".into(), 255i64.into()]), "002.2|a   |ff");
/// ```
pub fn sprintf(pattern: &str, args: &[Value]) -> String {
    let mut printer = Printer {
        args,
        next: 0,
        reordered: false,
        good: true,
        out: String::new(),
    };
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        printer.out.push_str(&rest[..at]);
        rest = printer.directive(&rest[at + 1..]);
    }
    printer.out.push_str(rest);
    printer.extra();
    printer.out
}

#[derive(Debug, Default, Clone, Copy)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

struct Printer<'a> {
    args: &'a [Value],
    next: usize,
    reordered: bool,
    good: bool,
    out: String,
}

impl<'a> Printer<'a> {
    /// Handles what follows a percent sign; returns what is left.
    fn directive<'p>(&mut self, pattern: &'p str) -> &'p str {
        let mut spec = Spec::default();
        let mut rest = pattern;
        self.good = true;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                '0' => spec.zero = true,
                _ => break,
            }
            rest = &rest[1..];
        }
        rest = self.arg_number(rest);
        rest = self.width(rest, &mut spec);
        if let Some(after) = rest.strip_prefix('.') {
            rest = self.arg_number(after);
            rest = self.precision(rest, &mut spec);
        }
        rest = self.arg_number(rest);
        let Some(verb) = rest.chars().next() else {
            self.out.push_str("%!(NOVERB)");
            return "";
        };
        self.verb(verb, spec);
        &rest[verb.len_utf8()..]
    }

    fn verb(&mut self, verb: char, spec: Spec) {
        if verb == '%' {
            self.out.push('%');
        } else if !self.good {
            self.out.push_str(&format!("%!{verb}(BADINDEX)"));
        } else if let Some(arg) = self.args.get(self.next) {
            self.next += 1;
            let text = format_value(arg, verb, &spec);
            self.out.push_str(&text);
        } else {
            self.out.push_str(&format!("%!{verb}(MISSING)"));
        }
    }

    /// `[n]` chooses the next argument.
    fn arg_number<'p>(&mut self, rest: &'p str) -> &'p str {
        let Some(after) = rest.strip_prefix('[') else {
            return rest;
        };
        self.reordered = true;
        let Some(end) = after.find(']') else {
            self.good = false;
            return after;
        };
        match after[..end].parse::<usize>() {
            Ok(n) if n >= 1 && n <= self.args.len() => self.next = n - 1,
            _ => self.good = false,
        }
        &after[end + 1..]
    }

    fn width<'p>(&mut self, rest: &'p str, spec: &mut Spec) -> &'p str {
        if let Some(after) = rest.strip_prefix('*') {
            match self.star() {
                Some(n) => {
                    spec.minus |= n < 0;
                    spec.zero &= n >= 0;
                    spec.width = Some(n.unsigned_abs() as usize);
                }
                None => self.out.push_str("%!(BADWIDTH)"),
            }
            return after;
        }
        let (number, after) = leading_number(rest);
        spec.width = number;
        after
    }

    fn precision<'p>(&mut self, rest: &'p str, spec: &mut Spec) -> &'p str {
        if let Some(after) = rest.strip_prefix('*') {
            match self.star() {
                Some(n) if n >= 0 => spec.precision = Some(n as usize),
                Some(_) => {}
                None => self.out.push_str("%!(BADPREC)"),
            }
            return after;
        }
        let (number, after) = leading_number(rest);
        spec.precision = Some(number.unwrap_or(0));
        after
    }

    fn star(&mut self) -> Option<i64> {
        let arg = self.args.get(self.next)?;
        self.next += 1;
        match arg {
            Value::Int(n) if n.abs() <= MAX_WIDTH => Some(*n),
            _ => None,
        }
    }

    fn extra(&mut self) {
        if self.reordered || self.next >= self.args.len() {
            return;
        }
        let extra: Vec<String> = self.args[self.next..]
            .iter()
            .map(|arg| match arg {
                Value::Nil => "<nil>".to_owned(),
                arg => format!("{}={arg}", arg.type_name()),
            })
            .collect();
        self.out
            .push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
}

fn leading_number(text: &str) -> (Option<usize>, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text[..end].parse::<i64>().ok().filter(|n| *n <= MAX_WIDTH);
    (number.map(|n| n as usize), &text[end..])
}

fn format_value(value: &Value, verb: char, spec: &Spec) -> String {
    match (verb, value) {
        ('T', value) => return pad(&value.type_name(), spec),
        ('v', Value::Nil) => return pad("<nil>", spec),
        (_, Value::Nil) => return format!("%!{verb}(<nil>)"),
        (_, Value::List(items)) if verb != 'v' => {
            let parts: Vec<String> = items.iter().map(|i| format_value(i, verb, spec)).collect();
            return format!("[{}]", parts.join(" "));
        }
        (_, Value::Map(map)) if verb != 'v' => {
            let parts: Vec<String> = map
                .entries
                .iter()
                .map(|(k, v)| {
                    let key = format_value(&Value::str(k), verb, spec);
                    format!("{key}:{}", format_value(v, verb, spec))
                })
                .collect();
            return format!("map[{}]", parts.join(" "));
        }
        _ => {}
    }
    let formatted = match value {
        Value::Bool(b) if matches!(verb, 't' | 'v') => Some(pad(&b.to_string(), spec)),
        Value::Int(n) => integer(*n, verb, spec),
        Value::Float(f) => float(*f, verb, spec),
        Value::Str(text) => string(text, verb, spec),
        Value::Object(object) => string(&object.to_string(), verb, spec),
        other if verb == 'v' => Some(pad(&other.to_string(), spec)),
        _ => None,
    };
    formatted.unwrap_or_else(|| format!("%!{verb}({}={value})", value.type_name()))
}

fn string(text: &str, verb: char, spec: &Spec) -> Option<String> {
    let cut: String = match spec.precision {
        Some(p) if !matches!(verb, 'x' | 'X') => text.chars().take(p).collect(),
        _ => text.to_owned(),
    };
    let hex = |upper: bool| {
        let bytes = &text.as_bytes()[..spec.precision.unwrap_or(text.len()).min(text.len())];
        let hex: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let hex = hex.join(if spec.space { " " } else { "" });
        if upper { hex.to_uppercase() } else { hex }
    };
    Some(match verb {
        's' => pad(&cut, spec),
        'v' if spec.sharp => pad(&quote(&cut), spec),
        'v' => pad(&cut, spec),
        'q' if spec.sharp && !text.contains('`') => pad(&format!("`{cut}`"), spec),
        'q' => pad(&quote(&cut), spec),
        'x' => pad(&hex(false), spec),
        'X' => pad(&hex(true), spec),
        _ => return None,
    })
}

fn integer(n: i64, verb: char, spec: &Spec) -> Option<String> {
    let magnitude = n.unsigned_abs();
    let (digits, prefix) = match verb {
        'd' | 'v' => (magnitude.to_string(), ""),
        'b' => (format!("{magnitude:b}"), "0b"),
        'o' => (format!("{magnitude:o}"), "0"),
        'O' => (format!("0o{magnitude:o}"), ""),
        'x' => (format!("{magnitude:x}"), "0x"),
        'X' => (format!("{magnitude:X}"), "0X"),
        'c' => return Some(pad(&character(n).to_string(), spec)),
        'q' => return Some(pad(&quote_with(&character(n).to_string(), '\''), spec)),
        'U' => return Some(pad(&format!("U+{magnitude:04X}"), spec)),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 's' | 't' => return None,
        _ => return None,
    };
    let wanted = spec.precision.unwrap_or(0);
    let digits = format!("{digits:0>wanted$}");
    let body = if spec.sharp && verb != 'd' {
        format!("{prefix}{digits}")
    } else {
        digits
    };
    Some(signed(n < 0, &body, spec, spec.precision.is_none()))
}

fn character(n: i64) -> char {
    u32::try_from(n)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}')
}

fn float(value: f64, verb: char, spec: &Spec) -> Option<String> {
    let (form, precision) = match verb {
        'v' => ('g', spec.precision),
        'g' | 'G' => ('g', spec.precision),
        'e' | 'E' => ('e', Some(spec.precision.unwrap_or(6))),
        'f' | 'F' => ('f', Some(spec.precision.unwrap_or(6))),
        _ => return None,
    };
    let text = format_float(value.abs(), form, precision);
    let text = if verb.is_ascii_uppercase() && verb != 'F' {
        text.to_uppercase()
    } else {
        text
    };
    let body = match value.is_infinite() {
        true if spec.plus || value < 0.0 => "Inf",
        true => {
            return Some(pad(
                "+Inf",
                &Spec {
                    zero: false,
                    ..*spec
                },
            ));
        }
        false => &text,
    };
    let negative = value.is_sign_negative() && !value.is_nan();
    Some(signed(negative, body, spec, value.is_finite()))
}

/// Adds the sign, and zeros between sign and digits where asked for.
fn signed(negative: bool, body: &str, spec: &Spec, zeros: bool) -> String {
    let sign = match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    };
    if spec.zero && zeros && !spec.minus {
        let width = spec.width.unwrap_or(0).saturating_sub(sign.len());
        return format!("{sign}{body:0>width$}");
    }
    pad(
        &format!("{sign}{body}"),
        &Spec {
            zero: false,
            ..*spec
        },
    )
}

fn pad(text: &str, spec: &Spec) -> String {
    let width = spec.width.unwrap_or(0);
    match (spec.minus, spec.zero) {
        (true, _) => format!("{text:<width$}"),
        (false, true) => format!("{text:0>width$}"),
        (false, false) => format!("{text:>width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let s = Value::from("hi");
        let n = Value::Int(42);
        let f = Value::Float(1.5);
        for (pattern, args, want) in [
            (
                "%s|%v|%q",
                vec![s.clone(), s.clone(), s.clone()],
                "hi|hi|\"hi\"",
            ),
            (
                "%5s|%-5s|%.1s",
                vec![s.clone(), s.clone(), s.clone()],
                "   hi|hi   |h",
            ),
            (
                "%d|%5d|%-5d|%05d|%+d",
                vec![n.clone(); 5],
                "42|   42|42   |00042|+42",
            ),
            (
                "%x|%X|%o|%b|%#x",
                vec![n.clone(); 5],
                "2a|2A|52|101010|0x2a",
            ),
            (
                "%f|%.2f|%8.3f|%e|%g",
                vec![f.clone(); 5],
                "1.500000|1.50|   1.500|1.500000e+00|1.5",
            ),
            ("%t %T", vec![Value::Bool(true), f.clone()], "true float64"),
            ("%d", vec![s.clone()], "%!d(string=hi)"),
            ("%d", vec![], "%!d(MISSING)"),
            ("%s", vec![s.clone(), n.clone()], "hi%!(EXTRA int=42)"),
            ("100%%", vec![], "100%"),
            ("%!", vec![n.clone()], "%!!(int=42)"),
            ("%", vec![], "%!(NOVERB)"),
            ("%[2]d %[1]s", vec![s.clone(), n.clone()], "42 hi"),
            ("%*d", vec![Value::Int(5), n.clone()], "   42"),
            ("%c", vec![Value::Int(97)], "a"),
            ("%v", vec![Value::Nil], "<nil>"),
            ("%s", vec![Value::Nil], "%!s(<nil>)"),
            ("%v", vec![Value::Float(f64::INFINITY)], "+Inf"),
            ("%d", vec![Value::list([n.clone(), n])], "[42 42]"),
        ] {
            assert_eq!(sprintf(pattern, &args), want, "{pattern}");
        }
    }
}
