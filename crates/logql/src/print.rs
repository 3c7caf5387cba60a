//! The canonical text of a query, as Loki prints it.

use std::fmt::{self, Display, Formatter};

use headwater_model::quote::go_quoted;

use crate::ast::*;
use crate::units::{format_bytes, format_go_duration};

fn joined<T: Display>(items: &[T], with: &str) -> String {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    texts.join(with)
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(log) => log.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Vector(vector) => vector.fmt(f),
            Self::Binary(binary) => binary.fmt(f),
            Self::Literal(value) => {
                f.write_str(&headwater_template::format_float(*value, 'g', None))
            }
            Self::VectorLiteral(value) => write!(f, "vector({value:.6})"),
            Self::LabelReplace(replace) => replace.fmt(f),
        }
    }
}

/// The matchers between braces.
pub(crate) fn selector(log: &LogExpr) -> String {
    format!("{{{}}}", joined(&log.matchers, ", "))
}

impl Display for LogExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&selector(self))?;
        self.stages
            .iter()
            .try_for_each(|stage| write!(f, " {stage}"))
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineFilter(filter) => filter.fmt(f),
            Self::Json(fields) if fields.is_empty() => f.write_str("| json"),
            Self::Json(fields) => write!(f, "| json {}", joined(fields, ",")),
            Self::Logfmt {
                strict,
                keep_empty,
                fields,
            } => {
                f.write_str("| logfmt")?;
                f.write_str(if *strict { " --strict" } else { "" })?;
                f.write_str(if *keep_empty { " --keep-empty" } else { "" })?;
                match fields.is_empty() {
                    true => Ok(()),
                    false => write!(f, " {}", joined(fields, ",")),
                }
            }
            Self::Regexp(text) => write!(f, "| regexp {}", go_quoted(text)),
            Self::Pattern(text) => write!(f, "| pattern {}", go_quoted(text)),
            Self::Unpack => f.write_str("| unpack"),
            Self::Decolorize => f.write_str("| decolorize"),
            Self::LabelFilter(filter) => write!(f, "| {filter}"),
            Self::LineFormat(text) => write!(f, "| line_format {}", go_quoted(text)),
            Self::LabelFormat(formats) => write!(f, "| label_format {}", joined(formats, ",")),
            Self::Drop(labels) => write!(f, "| drop {}", joined(labels, ",")),
            Self::Keep(labels) => write!(f, "| keep {}", joined(labels, ",")),
        }
    }
}

impl Display for Extraction {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, go_quoted(&self.source))
    }
}

impl Display for LabelFormat {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.source {
            FormatSource::Label(label) => write!(f, "{}={label}", self.target),
            FormatSource::Template(text) => write!(f, "{}={}", self.target, go_quoted(text)),
        }
    }
}

impl Display for NamedLabel {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Matcher(matcher) => matcher.fmt(f),
        }
    }
}

impl Display for LineFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.op.as_str(), joined(&self.operands, " or "))
    }
}

impl Display for LineOperand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let text = go_quoted(&self.text);
        match self.ip {
            true => write!(f, "ip({text})"),
            false => f.write_str(&text),
        }
    }
}

impl Display for LabelFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(a, b) => write!(f, "( {a} , {b} )"),
            Self::Or(a, b) => write!(f, "( {a} or {b} )"),
            Self::Text(matcher) => matcher.fmt(f),
            Self::Number(name, op, value) => write!(f, "{name}{}{value}", op.as_str()),
            Self::Duration(name, op, nanos) => {
                write!(f, "{name}{}{}", op.as_str(), format_go_duration(*nanos))
            }
            Self::Bytes(name, op, bytes) => {
                write!(f, "{name}{}{}", op.as_str(), format_bytes(*bytes))
            }
            Self::Ip(name, negative, range) => {
                let op = if *negative { "!=" } else { "=" };
                write!(f, "{name}{op}ip({})", go_quoted(range))
            }
        }
    }
}

impl Display for Unwrap {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.conversion {
            Conversion::Number => write!(f, "| unwrap {}", self.label)?,
            conversion => write!(f, "| unwrap {}({})", conversion.as_str(), self.label)?,
        }
        self.filters
            .iter()
            .try_for_each(|filter| write!(f, " | {filter}"))
    }
}

/// ` offset 5m0s`, or nothing.
pub(crate) fn offset(nanos: i64) -> String {
    match nanos {
        0 => String::new(),
        nanos => format!(" offset {}", format_go_duration(nanos)),
    }
}

/// `[5m]`.
pub(crate) fn brackets(nanos: i64) -> String {
    let text = headwater_model::duration::format_duration(nanos / 1_000_000);
    format!("[{text}]")
}

impl Display for LogRange {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.log.fmt(f)?;
        if let Some(unwrap) = &self.unwrap {
            write!(f, " {unwrap}")?;
        }
        f.write_str(&brackets(self.range))?;
        f.write_str(&offset(self.offset))
    }
}

impl Display for Grouping {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = if self.without { "without" } else { "by" };
        write!(f, " {word} ({})", self.labels.join(","))
    }
}

fn grouped(grouping: &Option<Grouping>) -> String {
    grouping
        .as_ref()
        .map(Grouping::to_string)
        .unwrap_or_default()
}

impl Display for RangeAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.op.as_str())?;
        if let Some(param) = self.param {
            write!(f, "{},", headwater_template::format_float(param, 'f', None))?;
        }
        write!(f, "{}){}", self.range, grouped(&self.grouping))
    }
}

impl Display for VectorAggregation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}(", self.op.as_str(), grouped(&self.grouping))?;
        if self.op.takes_k() {
            write!(f, "{},", self.k)?;
        }
        write!(f, "{})", self.inner)
    }
}

/// The operator with its modifiers.
pub(crate) fn operator(binary: &Binary) -> String {
    let mut text = binary.op.as_str().to_owned();
    if binary.return_bool {
        text.push_str(" bool");
    }
    let matching = &binary.matching;
    if matching.on || !matching.labels.is_empty() {
        let word = if matching.on { "on" } else { "ignoring" };
        text.push_str(&format!(" {word} ({})", matching.labels.join(",")));
        match matching.group {
            Group::OneToOne => {}
            Group::ManyToOne => text.push_str(" group_left"),
            Group::OneToMany => text.push_str(" group_right"),
        }
        if !matching.include.is_empty() {
            text.push_str(&format!(" ({})", matching.include.join(",")));
        }
    }
    text
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "({} {} {})", self.left, operator(self), self.right)
    }
}

impl Display for LabelReplace {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "label_replace({}", self.inner)?;
        for text in [&self.target, &self.replacement, &self.source, &self.regex] {
            write!(f, ",{}", go_quoted(text))?;
        }
        f.write_str(")")
    }
}
