//! From an event to a line.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use super::LogFormat;
use super::time::rfc3339_millis;

/// Keys and values of an event or a span, in the order they were given.
#[derive(Debug, Default)]
pub(super) struct Fields {
    message: String,
    rest: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug)]
enum Value {
    /// Numbers and booleans: never quoted.
    Bare(String),
    Text(String),
}

impl Fields {
    pub(super) fn extend(&mut self, more: &Self) {
        self.rest.extend(more.rest.iter().cloned());
    }

    /// The whole line, with its end.
    pub(super) fn line(&self, format: LogFormat, of: &Metadata<'_>, now: SystemTime) -> String {
        let time = rfc3339_millis(now);
        let file = of.file().unwrap_or("unknown");
        let file = file.rsplit(['/', '\\']).next().unwrap_or(file);
        let source = format!("{file}:{}", of.line().unwrap_or(0));
        let level = level_word(*of.level());
        let mut line = String::with_capacity(128);
        match format {
            LogFormat::Logfmt => {
                let _ = write!(line, "time={time} level={level} source={source} msg=");
                self.logfmt(&mut line);
            }
            LogFormat::LogfmtTs => {
                let level = level.to_ascii_lowercase();
                let _ = write!(line, "ts={time} caller={source} level={level} msg=");
                self.logfmt(&mut line);
            }
            LogFormat::Json => {
                let _ = write!(
                    line,
                    r#"{{"time":"{time}","level":"{level}","source":"{source}","msg":"#
                );
                self.json(&mut line);
            }
        }
        line.push('\n');
        line
    }

    fn logfmt(&self, line: &mut String) {
        push_logfmt(line, &self.message);
        for (key, value) in &self.rest {
            let _ = write!(line, " {key}=");
            match value {
                Value::Bare(text) => line.push_str(text),
                Value::Text(text) => push_logfmt(line, text),
            }
        }
    }

    fn json(&self, line: &mut String) {
        push_quoted(line, &self.message);
        for (key, value) in &self.rest {
            line.push(',');
            push_quoted(line, key);
            line.push(':');
            match value {
                Value::Bare(text) => line.push_str(text),
                Value::Text(text) => push_quoted(line, text),
            }
        }
        line.push('}');
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            name => self.rest.push((name, Value::Text(text))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => self.rest.push((name, Value::Text(value.to_owned()))),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.rest
            .push((field.name(), Value::Bare(value.to_string())));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.rest
            .push((field.name(), Value::Bare(value.to_string())));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.rest
            .push((field.name(), Value::Bare(value.to_string())));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let text = value.to_string();
        // JSON has no word for these.
        let value = if value.is_finite() {
            Value::Bare(text)
        } else {
            Value::Text(text)
        };
        self.rest.push((field.name(), value));
    }
}

fn level_word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

/// As it is, unless it could be mistaken for something else.
fn push_logfmt(line: &mut String, text: &str) {
    let plain = |c: char| c > ' ' && c != '"' && c != '=' && c != '\u{7f}' && !c.is_control();
    if !text.is_empty() && text.chars().all(plain) {
        line.push_str(text);
    } else {
        push_quoted(line, text);
    }
}

/// In double quotes, with the escapes that JSON and logfmt share.
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for c in text.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(line, "\\u{:04x}", c as u32);
            }
            c => line.push(c),
        }
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_gets_them() {
        for (text, want) in [
            ("a", "a"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("é", "é"),
            ("\u{1b}[0m", "\"\\u001b[0m\""),
        ] {
            let mut line = String::new();
            push_logfmt(&mut line, text);
            assert_eq!(line, want);
        }
    }
}
