//! `sum by (a) (expr)`, `sum(expr) by (a)`, and the label lists of `by`, `on` and the like.

use super::Parser;
use crate::syntax::ast::{Aggregate, AggregateOp, Expr};
use crate::syntax::error::ParseError;
use crate::syntax::position::PosRange;
use crate::syntax::token::Token;

#[derive(Default)]
struct Grouping {
    labels: Vec<String>,
    without: bool,
}

impl Parser<'_> {
    /// Whether the aggregation word at hand is one, rather than a metric of that name.
    pub(super) fn aggregation_follows(&self) -> bool {
        let rest = self.after_next();
        if rest.starts_with('(') {
            return true;
        }
        let word = rest
            .bytes()
            .take_while(|byte| crate::syntax::lex::is_word(*byte))
            .count();
        rest[..word].eq_ignore_ascii_case("by") || rest[..word].eq_ignore_ascii_case("without")
    }

    pub(super) fn aggregate(&mut self, op: AggregateOp) -> Result<Expr, ParseError> {
        let start = self.take()?.range.start;
        self.aggregations += 1;
        let before = self.grouping()?;
        let args = self.arguments()?;
        self.aggregations -= 1;
        let grouping = match before {
            Some(grouping) => grouping,
            None => {
                self.check_next()?;
                self.grouping()?.unwrap_or_default()
            }
        };
        let range = PosRange::new(start, self.last_closing);
        let (expr, param) = self.aggregate_arguments(op, args, range)?;
        let Grouping { labels, without } = grouping;
        Ok(Expr::Aggregate(Box::new(Aggregate {
            op,
            expr,
            param,
            grouping: labels,
            without,
            range,
        })))
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, ParseError> {
        if !matches!(self.peek(), Token::By | Token::Without) {
            return Ok(None);
        }
        let without = self.take()?.token == Token::Without;
        Ok(Some(Grouping {
            labels: self.grouping_labels()?,
            without,
        }))
    }

    fn aggregate_arguments(
        &self,
        op: AggregateOp,
        args: Vec<Expr>,
        range: PosRange,
    ) -> Result<(Expr, Option<Expr>), ParseError> {
        let found = args.len();
        if found == 0 {
            return Err(self.error(range, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental_functions {
            let name = op.as_str();
            let message = format!(
                "{name}() is experimental and must be enabled with --enable-feature=promql-experimental-functions"
            );
            return Err(self.error(range, message));
        }
        let wanted = 1 + usize::from(op.has_param());
        let mut args = args.into_iter();
        match (found == wanted, args.next(), args.next()) {
            (true, Some(param), Some(expr)) => Ok((expr, Some(param))),
            (true, Some(expr), None) => Ok((expr, None)),
            _ => Err(self.error(
                range,
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {found}"),
            )),
        }
    }

    /// `(a, b, "c.d")`; a comma may stand before the closing parenthesis.
    pub(super) fn grouping_labels(&mut self) -> Result<Vec<String>, ParseError> {
        self.expect(Token::LeftParen, "grouping opts", "\"(\"")?;
        let mut labels = Vec::new();
        while self.peek() != Token::RightParen {
            labels.push(self.grouping_label()?);
            if self.peek() == Token::RightParen {
                break;
            }
            self.expect(Token::Comma, "grouping opts", "\",\" or \")\"")?;
        }
        self.take()?;
        Ok(labels)
    }

    fn grouping_label(&mut self) -> Result<String, ParseError> {
        if self.peek() == Token::String {
            let label = self.string_literal()?;
            if label.value.is_empty() || label.not_utf8.is_some() {
                let quoted = label.to_string();
                let message = format!("invalid label name for grouping: {quoted}");
                return Err(self.error(label.range, message));
            }
            return Ok(label.value);
        }
        if !self.peek().may_name_label() {
            return Err(self.unexpected("grouping opts", "label"));
        }
        let item = self.take()?;
        Ok(self.text_of(item).to_owned())
    }
}
