//! Ranges, subqueries and offsets, with the arithmetic that durations allow.

use super::Parser;
use crate::syntax::ast::{
    BinaryOp, Duration, DurationExpr, DurationKind, Expr, MatrixSelector, NumberLiteral, Subquery,
};
use crate::syntax::error::ParseError;
use crate::syntax::lex::Item;
use crate::syntax::position::PosRange;
use crate::syntax::token::Token;

/// What a duration may be.
const DURATION: &str = "number, duration, step(), or range()";

/// The rules of the grammar that hold a duration: where in it something cannot stand, the message
/// names the rule.
#[derive(Clone, Copy)]
enum Rule {
    Range,
    Step,
    Offset,
}

impl Rule {
    const fn context(self) -> &'static str {
        match self {
            Self::Range => "subquery or range selector",
            Self::Step => "subquery selector",
            Self::Offset => "offset",
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Range | Self::Offset => DURATION,
            Self::Step => "number, duration, step(), range(), or \"]\"",
        }
    }
}

impl Parser<'_> {
    /// `[5m]` or `[1h:1m]` after an expression.
    pub(super) fn brackets(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.take()?;
        let window = self.positive_duration(Rule::Range)?;
        match self.peek() {
            Token::RightBracket => {
                let close = self.take()?;
                self.matrix(expr, window, open.range.merge(close.range))
            }
            Token::Colon => {
                self.take()?;
                self.subquery(expr, window)
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn matrix(
        &mut self,
        expr: Expr,
        window: Duration,
        brackets: PosRange,
    ) -> Result<Expr, ParseError> {
        let Expr::Vector(selector) = expr else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if !selector.offset.is_zero() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        Ok(Expr::Matrix(Box::new(MatrixSelector {
            selector: *selector,
            window,
            end: self.last_closing,
        })))
    }

    fn subquery(&mut self, expr: Expr, window: Duration) -> Result<Expr, ParseError> {
        let step = match self.peek() {
            Token::RightBracket => Duration::Fixed(0),
            _ => self.positive_duration(Rule::Step)?,
        };
        let close = self.expect(Token::RightBracket, "subquery selector", "\"]\"")?;
        let (offset, at, end) = (Duration::Fixed(0), None, close.range.end);
        Ok(Expr::Subquery(Box::new(Subquery {
            expr,
            window,
            step,
            offset,
            at,
            end,
        })))
    }

    fn positive_duration(&mut self, rule: Rule) -> Result<Duration, ParseError> {
        let expr = self.duration_expr(0, rule)?;
        self.check_next()?;
        if let DurationKind::Number(number) = &expr.kind
            && number.value <= 0.0
        {
            return Err(self.error(number.range, "duration must be greater than 0"));
        }
        Ok(simplify(expr))
    }

    /// Arithmetic whose operators bind tighter than `min`.
    fn duration_expr(&mut self, min: u8, rule: Rule) -> Result<DurationExpr, ParseError> {
        let depth = self.enter()?;
        let mut lhs = match self.peek() {
            Token::Op(BinaryOp::Add | BinaryOp::Sub) => {
                let (start, negative) = self.sign()?;
                let operand = self.duration_expr(BinaryOp::Mul.precedence(), rule)?;
                signed(negative, start, operand)
            }
            _ => self.duration_primary(rule)?,
        };
        while let Token::Op(
            op @ (BinaryOp::Add
            | BinaryOp::Sub
            | BinaryOp::Mul
            | BinaryOp::Div
            | BinaryOp::Mod
            | BinaryOp::Pow),
        ) = self.peek()
            && op.precedence() > min
        {
            self.deepen()?;
            let sign = self.take()?.range;
            let rhs = self.duration_expr(op.precedence() - u8::from(op == BinaryOp::Pow), rule)?;
            if let (BinaryOp::Div | BinaryOp::Mod, DurationKind::Number(number)) = (op, &rhs.kind)
                && number.value == 0.0
            {
                let what = if op == BinaryOp::Div {
                    "division"
                } else {
                    "modulo"
                };
                return Err(self.error(sign, format!("{what} by zero")));
            }
            let range = lhs.range.merge(rhs.range);
            let kind = DurationKind::Binary(op, Box::new(lhs), Box::new(rhs));
            lhs = DurationExpr {
                kind,
                wrapped: false,
                range,
            };
        }
        self.leave(depth);
        Ok(lhs)
    }

    fn sign(&mut self) -> Result<(u32, bool), ParseError> {
        let item = self.take()?;
        Ok((item.range.start, item.token == Token::Op(BinaryOp::Sub)))
    }

    fn duration_primary(&mut self, rule: Rule) -> Result<DurationExpr, ParseError> {
        match self.peek() {
            Token::Number | Token::Duration => {
                let number = self.number_literal()?;
                self.check_size(number, number.range)?;
                Ok(number_expr(number))
            }
            Token::LeftParen => {
                let open = self.take()?;
                let mut expr = self.duration_expr(0, rule)?;
                let close = self.duration_token(Token::RightParen, rule)?;
                if !matches!(expr.kind, DurationKind::Number(_)) {
                    expr.wrapped = true;
                    expr.range = open.range.merge(close.range);
                }
                Ok(expr)
            }
            Token::Step | Token::Range => {
                let item = self.take()?;
                self.duration_token(Token::LeftParen, rule)?;
                let close = self.duration_token(Token::RightParen, rule)?;
                let kind = if item.token == Token::Step {
                    DurationKind::Step
                } else {
                    DurationKind::Range
                };
                Ok(DurationExpr {
                    kind,
                    wrapped: false,
                    range: item.range.merge(close.range),
                })
            }
            Token::MinOf | Token::MaxOf => self.duration_choice(rule),
            _ => Err(self.unexpected(rule.context(), rule.expected())),
        }
    }

    fn duration_token(&mut self, token: Token, rule: Rule) -> Result<Item, ParseError> {
        self.expect(token, rule.context(), rule.expected())
    }

    /// `min_of(a, b)` or `max_of(a, b)`.
    fn duration_choice(&mut self, rule: Rule) -> Result<DurationExpr, ParseError> {
        let item = self.take()?;
        self.duration_token(Token::LeftParen, rule)?;
        let first = Box::new(self.duration_expr(0, rule)?);
        self.duration_token(Token::Comma, rule)?;
        let second = Box::new(self.duration_expr(0, rule)?);
        let close = self.duration_token(Token::RightParen, rule)?;
        let kind = match item.token {
            Token::MinOf => DurationKind::MinOf(first, second),
            _ => DurationKind::MaxOf(first, second),
        };
        Ok(DurationExpr {
            kind,
            wrapped: false,
            range: item.range.merge(close.range),
        })
    }

    fn check_size(&self, number: NumberLiteral, blamed: PosRange) -> Result<(), ParseError> {
        if number.value.abs() <= i64::MAX as f64 / 1e9 {
            return Ok(());
        }
        Err(self.error(blamed, "duration out of range"))
    }

    /// `offset 5m`, `offset -step()`, `offset (1m * 2)`; operators outside parentheses do not belong to it.
    pub(super) fn offset(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        self.take()?;
        let range = expr.range();
        let amount = match self.peek() {
            Token::Op(BinaryOp::Add | BinaryOp::Sub) => {
                let sign = self.next.range;
                let (start, negative) = self.sign()?;
                if matches!(self.peek(), Token::Number | Token::Duration) {
                    let number = self.number_literal()?;
                    self.check_size(number, sign)?;
                    signed(negative, start, number_expr(number))
                } else {
                    signed(negative, start, self.duration_primary(Rule::Offset)?)
                }
            }
            _ => self.duration_primary(Rule::Offset)?,
        };
        let (offset, end) = match &mut expr {
            Expr::Vector(selector) => (&mut selector.offset, &mut selector.range.end),
            Expr::Matrix(matrix) => (&mut matrix.selector.offset, &mut matrix.end),
            Expr::Subquery(subquery) => (&mut subquery.offset, &mut subquery.end),
            _ => {
                let message = "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
                return Err(self.error(range, message));
            }
        };
        if !offset.is_zero() {
            return Err(self.error(range, "offset may not be set multiple times"));
        }
        *offset = simplify(amount);
        *end = self.last_closing;
        Ok(expr)
    }
}

const fn number_expr(number: NumberLiteral) -> DurationExpr {
    DurationExpr {
        kind: DurationKind::Number(number),
        wrapped: false,
        range: number.range,
    }
}

/// A sign before arithmetic; before a number it becomes part of the number.
fn signed(negative: bool, start: u32, mut operand: DurationExpr) -> DurationExpr {
    let range = PosRange::new(start, operand.range.end);
    if let DurationKind::Number(number) = &mut operand.kind {
        if negative {
            number.value = -number.value;
        }
        number.range = range;
        operand.range = range;
        return operand;
    }
    DurationExpr {
        kind: DurationKind::Sign(negative, Box::new(operand)),
        wrapped: false,
        range,
    }
}

fn simplify(expr: DurationExpr) -> Duration {
    match expr.kind {
        // Counted in nanoseconds; what is left beyond milliseconds is dropped.
        DurationKind::Number(number) => {
            Duration::Fixed((number.value * 1e9).round() as i64 / 1_000_000)
        }
        _ => Duration::Expr(Box::new(expr)),
    }
}
