//! Expressions as one line of text, in Prometheus's canonical form. Parsing it again gives the same tree.

use std::fmt::{self, Display, Formatter, Write};

use headwater_model::MatchOp;
use headwater_model::duration::format_duration;
use headwater_model::label::METRIC_NAME;
use headwater_model::name::is_legacy_label_name;
use headwater_model::quote::write_go_quoted;

use super::ast::{
    Aggregate, At, Binary, Cardinality, Duration, DurationExpr, DurationKind, Expr, Extension,
    MatrixSelector, NumberLiteral, StringLiteral, Subquery, VectorSelector,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::String(text) => text.fmt(f),
            Self::Vector(selector) => selector.fmt(f),
            Self::Matrix(matrix) => matrix.fmt(f),
            Self::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubquerySuffix(subquery)),
            Self::Aggregate(aggregate) => {
                write!(f, "{}(", AggregateHead(aggregate))?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            Self::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (at, arg) in call.args.iter().enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    arg.fmt(f)?;
                }
                f.write_char(')')
            }
            Self::Binary(binary) => {
                write!(f, "{} {} {}", binary.lhs, BinaryHead(binary), binary.rhs)
            }
            Self::Unary(unary) => write!(
                f,
                "{}{}",
                if unary.negative { '-' } else { '+' },
                unary.expr
            ),
            Self::Paren(paren) => write!(f, "({})", paren.expr),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            return f.write_str(&format_duration((self.value * 1000.0).round() as i64));
        }
        match self.value {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.not_utf8 {
            Some(quoted) => f.write_str(quoted),
            None => write_go_quoted(f, &self.value),
        }
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, self)?;
        write_at(f, self.at)?;
        write_extension(f, self.extension)?;
        write_offset(f, &self.offset)
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_series(f, &self.selector)?;
        write!(f, "[{}]", self.window)?;
        write_extension(f, self.selector.extension)?;
        write_at(f, self.selector.at)?;
        write_offset(f, &self.selector.offset)
    }
}

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(millis) => f.write_str(&format_duration(*millis)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.wrapped {
            f.write_char('(')?;
        }
        match &self.kind {
            DurationKind::Number(number) => number.fmt(f)?,
            DurationKind::Step => f.write_str("step()")?,
            DurationKind::Range => f.write_str("range()")?,
            DurationKind::Sign(true, operand) => write!(f, "-{operand}")?,
            DurationKind::Sign(false, operand) => operand.fmt(f)?,
            DurationKind::Binary(op, lhs, rhs) => write!(f, "{lhs} {} {rhs}", op.as_str())?,
            DurationKind::MinOf(lhs, rhs) => write!(f, "min_of({lhs}, {rhs})")?,
            DurationKind::MaxOf(lhs, rhs) => write!(f, "max_of({lhs}, {rhs})")?,
        }
        if self.wrapped {
            f.write_char(')')?;
        }
        Ok(())
    }
}

fn write_series(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    f.write_str(&selector.name)?;
    let own_name = |matcher: &headwater_model::Matcher| {
        matcher.name == METRIC_NAME
            && matcher.op == MatchOp::Equal
            && matcher.value == selector.name
            && !matcher.value.is_empty()
    };
    let others = selector
        .matchers
        .iter()
        .filter(|matcher| !own_name(matcher));
    let mut matchers: Vec<String> = others.map(ToString::to_string).collect();
    if matchers.is_empty() {
        return if selector.name.is_empty() {
            f.write_str("{}")
        } else {
            Ok(())
        };
    }
    matchers.sort_unstable();
    write!(f, "{{{}}}", matchers.join(","))
}

fn write_at(f: &mut Formatter<'_>, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Time(millis)) => write!(f, " @ {:.3}", millis as f64 / 1000.0),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
    }
}

fn write_extension(f: &mut Formatter<'_>, extension: Extension) -> fmt::Result {
    match extension {
        Extension::None => Ok(()),
        Extension::Anchored => f.write_str(" anchored"),
        Extension::Smoothed => f.write_str(" smoothed"),
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: &Duration) -> fmt::Result {
    if offset.is_zero() {
        Ok(())
    } else {
        write!(f, " offset {offset}")
    }
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            f.write_str(", ")?;
        }
        if is_legacy_label_name(label) {
            f.write_str(label)?;
        } else {
            write_go_quoted(f, label)?;
        }
    }
    Ok(())
}

/// `[1h:1m] @ 12.000 offset 5m`
pub(super) struct SubquerySuffix<'a>(pub(super) &'a Subquery);

impl Display for SubquerySuffix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(subquery) = self;
        write!(f, "[{}:", subquery.window)?;
        if !subquery.step.is_zero() {
            subquery.step.fmt(f)?;
        }
        f.write_char(']')?;
        write_at(f, subquery.at)?;
        write_offset(f, &subquery.offset)
    }
}

/// `sum by (a, b) `
pub(crate) struct AggregateHead<'a>(pub(crate) &'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(aggregate) = self;
        f.write_str(aggregate.op.as_str())?;
        if !aggregate.without && aggregate.grouping.is_empty() {
            return Ok(());
        }
        f.write_str(if aggregate.without {
            " without ("
        } else {
            " by ("
        })?;
        write_labels(f, &aggregate.grouping)?;
        f.write_str(") ")
    }
}

/// `+ on (a) group_left (b)`
pub(crate) struct BinaryHead<'a>(pub(crate) &'a Binary);

impl Display for BinaryHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(binary) = self;
        f.write_str(binary.op.as_str())?;
        if binary.return_bool {
            f.write_str(" bool")?;
        }
        let Some(matching) = &binary.matching else {
            return Ok(());
        };
        let group = match matching.cardinality {
            Cardinality::ManyToOne => Some(" group_left ("),
            Cardinality::OneToMany => Some(" group_right ("),
            _ => None,
        };
        if !matching.labels.is_empty() || matching.on || group.is_some() {
            f.write_str(if matching.on { " on (" } else { " ignoring (" })?;
            write_labels(f, &matching.labels)?;
            f.write_char(')')?;
        }
        if let Some(group) = group {
            f.write_str(group)?;
            write_labels(f, &matching.include)?;
            f.write_char(')')?;
        }
        match (matching.fill_left, matching.fill_right) {
            (Some(value), _) if matching.fill_alike => write_fill(f, "fill", value),
            (left, right) => {
                left.map_or(Ok(()), |value| write_fill(f, "fill_left", value))?;
                right.map_or(Ok(()), |value| write_fill(f, "fill_right", value))
            }
        }
    }
}

fn write_fill(f: &mut Formatter<'_>, word: &str, value: f64) -> fmt::Result {
    write!(
        f,
        " {word} ({})",
        headwater_model::number::format_float_go(value)
    )
}
