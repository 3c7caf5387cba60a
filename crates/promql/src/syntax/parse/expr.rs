//! Operators, parentheses, calls and what follows a primary expression.

use super::Parser;
use crate::functions::function;
use crate::syntax::ast::{
    At, Binary, BinaryOp, Call, Cardinality, Expr, Extension, Matching, Paren, Unary,
};
use crate::syntax::error::ParseError;
use crate::syntax::position::PosRange;
use crate::syntax::token::Token;

impl Parser<'_> {
    /// An expression whose binary operators bind tighter than `min`.
    pub(super) fn expression(&mut self, min: u8) -> Result<Expr, ParseError> {
        let depth = self.enter()?;
        let mut lhs = self.prefix()?;
        while let Token::Op(op) = self.peek()
            && op.precedence() > min
        {
            // A chain grows to the left, one level an operator.
            self.deepen()?;
            self.take()?;
            lhs = self.binary(lhs, op)?;
        }
        self.leave(depth);
        Ok(lhs)
    }

    fn binary(&mut self, lhs: Expr, op: BinaryOp) -> Result<Expr, ParseError> {
        let return_bool = self.accept(Token::Bool)?;
        let matching = self.matching()?;
        // Powers associate to the right.
        let min = op.precedence() - u8::from(op == BinaryOp::Pow);
        let rhs = self.expression(min)?;
        let fills = matching.fill_left.is_some() || matching.fill_right.is_some();
        if fills && !self.options.fill_modifiers {
            self.check_next()?;
            let range = lhs.range().merge(rhs.range());
            let message = "binop fill modifiers are experimental and not enabled";
            return Err(self.error(range, message));
        }
        Ok(Expr::Binary(Box::new(Binary {
            op,
            lhs,
            rhs,
            matching: Some(matching),
            return_bool,
        })))
    }

    fn matching(&mut self) -> Result<Matching, ParseError> {
        let mut matching = Matching::default();
        if matches!(self.peek(), Token::On | Token::Ignoring) {
            matching.on = self.take()?.token == Token::On;
            matching.labels = self.grouping_labels()?;
            if matches!(self.peek(), Token::GroupLeft | Token::GroupRight) {
                let left = self.take()?.token == Token::GroupLeft;
                matching.cardinality = if left {
                    Cardinality::ManyToOne
                } else {
                    Cardinality::OneToMany
                };
                if !self.may_end_matching() {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok(matching)
    }

    /// Whether the labels of `group_left` may be left out here. A parenthesis belongs to them.
    const fn may_end_matching(&self) -> bool {
        match self.peek() {
            Token::LeftParen => false,
            Token::Fill | Token::FillLeft | Token::FillRight => true,
            token => token.may_begin_expression(),
        }
    }

    /// `fill(0)`, or `fill_left(0)` and `fill_right(0)` in any order.
    fn fill_modifiers(&mut self, matching: &mut Matching) -> Result<(), ParseError> {
        match self.peek() {
            Token::Fill => {
                let value = Some(self.fill_value()?);
                (matching.fill_left, matching.fill_right) = (value, value);
                matching.fill_alike = true;
            }
            Token::FillLeft => {
                matching.fill_left = Some(self.fill_value()?);
                if self.peek() == Token::FillRight {
                    matching.fill_right = Some(self.fill_value()?);
                }
            }
            Token::FillRight => {
                matching.fill_right = Some(self.fill_value()?);
                if self.peek() == Token::FillLeft {
                    matching.fill_left = Some(self.fill_value()?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.take()?;
        self.expect(Token::LeftParen, "", "")?;
        let value = self.signed_number("", "")?;
        self.expect(Token::RightParen, "", "")?;
        Ok(value)
    }

    fn prefix(&mut self) -> Result<Expr, ParseError> {
        let Token::Op(op @ (BinaryOp::Add | BinaryOp::Sub)) = self.peek() else {
            return self.postfix();
        };
        let start = self.take()?.range.start;
        let negative = op == BinaryOp::Sub;
        // A sign binds as multiplication does: -a^b is -(a^b).
        let operand = self.expression(BinaryOp::Mul.precedence())?;
        Ok(match operand {
            Expr::Number(mut number) => {
                if negative {
                    number.value = -number.value;
                }
                number.range.start = start;
                Expr::Number(number)
            }
            expr => Expr::Unary(Box::new(Unary {
                negative,
                expr,
                start,
            })),
        })
    }

    fn postfix(&mut self) -> Result<Expr, ParseError> {
        let mut expr = self.primary()?;
        loop {
            expr = match self.peek() {
                Token::LeftBracket => self.brackets(expr)?,
                Token::Offset => self.offset(expr)?,
                Token::At => self.at(expr)?,
                Token::Anchored => self.extension(expr, Extension::Anchored)?,
                Token::Smoothed => self.extension(expr, Extension::Smoothed)?,
                _ => return Ok(expr),
            };
        }
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        match self.peek() {
            Token::Number | Token::Duration => Ok(Expr::Number(self.number_literal()?)),
            Token::String => Ok(Expr::String(self.string_literal()?)),
            Token::LeftParen => self.paren(),
            Token::Aggregate(op) if self.aggregation_follows() => self.aggregate(op),
            Token::Identifier
            | Token::Start
            | Token::End
            | Token::Step
            | Token::Range
            | Token::MinOf
            | Token::MaxOf
                if self.paren_follows() =>
            {
                self.call()
            }
            Token::LeftBrace => Ok(Expr::Vector(Box::new(self.vector_selector()?))),
            token if token.may_name_metric() => Ok(Expr::Vector(Box::new(self.vector_selector()?))),
            _ => Err(self.unexpected("", "")),
        }
    }

    fn paren(&mut self) -> Result<Expr, ParseError> {
        let open = self.take()?;
        let expr = self.expression(0)?;
        let close = self.expect(Token::RightParen, "", "")?;
        Ok(Expr::Paren(Box::new(Paren {
            expr,
            range: open.range.merge(close.range),
        })))
    }

    fn call(&mut self) -> Result<Expr, ParseError> {
        let item = self.take()?;
        let args = self.arguments()?;
        let name = self.text_of(item);
        let range = PosRange::new(item.range.start, self.last_closing);
        let quoted = || headwater_model::quote::go_quoted(name);
        let Some(function) = function(name) else {
            return Err(self.error(
                item.range,
                format!("unknown function with name {}", quoted()),
            ));
        };
        if function.experimental && !self.options.experimental_functions {
            return Err(self.error(item.range, format!("function {} is not enabled", quoted())));
        }
        Ok(Expr::Call(Box::new(Call {
            function,
            args,
            range,
        })))
    }

    /// `(a, b, c)`, possibly empty.
    pub(super) fn arguments(&mut self) -> Result<Vec<Expr>, ParseError> {
        self.expect(Token::LeftParen, "", "")?;
        let mut args = Vec::new();
        if self.accept(Token::RightParen)? {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            if self.accept(Token::RightParen)? {
                return Ok(args);
            }
            let comma = self.expect(Token::Comma, "", "")?;
            if !self.peek().may_begin_expression() {
                self.check_next()?;
                return Err(self.error(
                    comma.range,
                    "trailing commas not allowed in function call args",
                ));
            }
        }
    }

    fn at(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        self.take()?;
        let range = expr.range();
        let time = match self.peek() {
            Token::Start | Token::End => {
                let start = self.take()?.token == Token::Start;
                self.expect(Token::LeftParen, "@", "timestamp")?;
                self.expect(Token::RightParen, "@", "timestamp")?;
                if start { At::Start } else { At::End }
            }
            _ => At::Time(self.at_time(range)?),
        };
        let (at, end) = match &mut expr {
            Expr::Vector(selector) => (&mut selector.at, &mut selector.range.end),
            Expr::Matrix(matrix) => (&mut matrix.selector.at, &mut matrix.end),
            Expr::Subquery(subquery) => (&mut subquery.at, &mut subquery.end),
            _ => {
                let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                return Err(self.error(range, message));
            }
        };
        if at.is_some() {
            return Err(self.error(range, "@ <timestamp> may not be set multiple times"));
        }
        *at = Some(time);
        *end = self.last_closing;
        Ok(expr)
    }

    fn at_time(&mut self, range: PosRange) -> Result<i64, ParseError> {
        let seconds = self.signed_number("@", "timestamp")?;
        if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
            let shown = match seconds {
                s if s.is_finite() => format!("{s:.6}"),
                s => headwater_model::number::format_float(s),
            };
            return Err(self.error(
                range,
                format!("timestamp out of bounds for @ modifier: {shown}"),
            ));
        }
        Ok((seconds * 1000.0).round() as i64)
    }

    fn extension(&mut self, mut expr: Expr, extension: Extension) -> Result<Expr, ParseError> {
        self.take()?;
        let range = expr.range();
        let word = if extension == Extension::Anchored {
            "anchored"
        } else {
            "smoothed"
        };
        if !self.options.extended_ranges {
            return Err(self.error(
                range,
                format!("{word} modifier is experimental and not enabled"),
            ));
        }
        let place = match &mut expr {
            Expr::Vector(selector) => &mut selector.extension,
            Expr::Matrix(matrix) => &mut matrix.selector.extension,
            Expr::Subquery(_) => {
                return Err(self.error(
                    range,
                    format!("{word} modifier is not supported for subqueries"),
                ));
            }
            _ => return Err(self.error(range, format!("{word} modifier not implemented"))),
        };
        if *place != Extension::None && *place != extension {
            return Err(self.error(
                range,
                "anchored and smoothed modifiers cannot be used together",
            ));
        }
        *place = extension;
        Ok(expr)
    }
}
