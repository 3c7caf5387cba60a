//! From tokens to an expression tree.
//!
//! ```text
//! expression = and { "||" and }
//! and        = primary { "&&" primary }
//! primary    = "(" expression ")" | "TRUE" | "FALSE" | test
//! test       = text-variable ( relation string | match regex )
//!            | number-variable relation number
//!            | field ( relation ( number | string ) | "==" ( "TRUE" | "FALSE" )
//!                    | match regex | ( "==" | "!=" ) "NIL" )
//! ```
//!
//! The extended dialect adds `! primary`, negative numbers, line feeds as
//! blanks, and comments from `#` to the end of the line.

use headwater_regexp::Regex;

use super::lex::{FieldPath, Lexer, NumberVar, Op, TextVar, Token};
use super::{Dialect, MatcherError};

/// Parentheses may nest this deep, so that no expression exhausts the stack.
const DEPTH_MAX: usize = 200;

#[derive(Debug, Clone)]
pub(crate) enum Expr {
    Const(bool),
    Text(TextVar, TextTest),
    Number(NumberVar, Op, Number),
    Field(FieldPath, FieldTest),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

#[derive(Debug, Clone)]
pub(crate) enum TextTest {
    Compare(Op, Box<[u8]>),
    Regex { negate: bool, regex: Regex },
}

#[derive(Debug, Clone)]
pub(crate) enum FieldTest {
    Text(TextTest),
    Number(Op, Number),
    Bool(bool),
    Nil { negate: bool },
}

/// A literal. heka compares everything as floats, which loses the last
/// digits of nanosecond timestamps; the extended dialect compares integers
/// with integers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Integer(i64),
    Float(f64),
}

pub(crate) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    dialect: Dialect,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(crate) fn parse(text: &'a str, dialect: Dialect) -> Result<Expr, MatcherError> {
        let mut lexer = Lexer::new(text, dialect);
        let token = lexer.next()?;
        let mut parser = Parser {
            lexer,
            token,
            dialect,
            depth: 0,
        };
        let mut expr = parser.expression()?;
        // heka's grammar takes several expressions in a row and lets the
        // last one decide.
        while parser.token != Token::End && dialect == Dialect::Heka {
            expr = parser.expression()?;
        }
        match parser.token {
            Token::End => Ok(expr),
            _ => Err(parser.error("expected && or || or the end")),
        }
    }

    fn error(&self, reason: impl Into<String>) -> MatcherError {
        self.lexer.error(reason)
    }

    fn advance(&mut self) -> Result<Token, MatcherError> {
        Ok(std::mem::replace(&mut self.token, self.lexer.next()?))
    }

    fn expression(&mut self) -> Result<Expr, MatcherError> {
        self.chain(&Token::Or, Expr::Or, |parser| {
            parser.chain(&Token::And, Expr::And, Parser::primary)
        })
    }

    fn chain(
        &mut self,
        between: &Token,
        join: fn(Vec<Expr>) -> Expr,
        operand: impl Fn(&mut Self) -> Result<Expr, MatcherError>,
    ) -> Result<Expr, MatcherError> {
        let first = operand(self)?;
        if self.token != *between {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.token == *between {
            self.advance()?;
            all.push(operand(self)?);
        }
        Ok(join(all))
    }

    fn primary(&mut self) -> Result<Expr, MatcherError> {
        match &self.token {
            Token::True => self.advance().map(|_| Expr::Const(true)),
            Token::False => self.advance().map(|_| Expr::Const(false)),
            Token::Open => self.nested(Parser::group),
            Token::Not => self.nested(Parser::negation),
            Token::Text(var) => {
                let var = *var;
                self.advance()?;
                let test = self.text_test()?;
                Ok(Expr::Text(var, test))
            }
            Token::Number(var) => {
                let var = *var;
                self.advance()?;
                let op = self.relation()?;
                let number = self.number()?;
                Ok(Expr::Number(var, op, number))
            }
            Token::Field(path) => {
                let path = path.clone();
                self.advance()?;
                let test = self.field_test()?;
                Ok(Expr::Field(path, test))
            }
            _ => Err(self.error("expected a test, TRUE, FALSE or (")),
        }
    }

    fn nested(
        &mut self,
        inner: fn(&mut Self) -> Result<Expr, MatcherError>,
    ) -> Result<Expr, MatcherError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {DEPTH_MAX}")));
        }
        self.depth += 1;
        self.advance()?;
        let expr = inner(self)?;
        self.depth -= 1;
        Ok(expr)
    }

    fn group(&mut self) -> Result<Expr, MatcherError> {
        let expr = self.expression()?;
        if self.token != Token::Close {
            return Err(self.error("expected && or || or )"));
        }
        self.advance()?;
        Ok(expr)
    }

    fn negation(&mut self) -> Result<Expr, MatcherError> {
        Ok(Expr::Not(Box::new(self.primary()?)))
    }

    fn relation(&mut self) -> Result<Op, MatcherError> {
        match self.token {
            Token::Op(op) if !matches!(op, Op::Match | Op::NotMatch) => {
                self.advance()?;
                Ok(op)
            }
            _ => Err(self.error("expected one of == != > >= < <=")),
        }
    }

    fn text_test(&mut self) -> Result<TextTest, MatcherError> {
        let Token::Op(op) = self.token else {
            return Err(self.error("expected an operator"));
        };
        self.advance()?;
        match (op, &self.token) {
            (Op::Match | Op::NotMatch, Token::Regex(_)) => self.regex(op),
            (Op::Match | Op::NotMatch, _) => Err(self.error("expected a /regular expression/")),
            (_, Token::String(_)) => self.string(op),
            _ => Err(self.error("expected a quoted string")),
        }
    }

    fn string(&mut self, op: Op) -> Result<TextTest, MatcherError> {
        match self.advance()? {
            Token::String(text) => Ok(TextTest::Compare(op, text.into())),
            _ => Err(self.error("expected a quoted string")),
        }
    }

    fn regex(&mut self, op: Op) -> Result<TextTest, MatcherError> {
        let Token::Regex(pattern) = &self.token else {
            return Err(self.error("expected a /regular expression/"));
        };
        let regex = Regex::from_bytes(pattern).map_err(|error| self.error(error.to_string()))?;
        self.advance()?;
        Ok(TextTest::Regex {
            negate: op == Op::NotMatch,
            regex,
        })
    }

    fn field_test(&mut self) -> Result<FieldTest, MatcherError> {
        let Token::Op(op) = self.token else {
            return Err(self.error("expected an operator"));
        };
        self.advance()?;
        let matches = matches!(op, Op::Match | Op::NotMatch);
        match &self.token {
            Token::Regex(_) if matches => self.regex(op).map(FieldTest::Text),
            _ if matches => Err(self.error("expected a /regular expression/")),
            Token::String(_) => self.string(op).map(FieldTest::Text),
            Token::Num(_) => self.number().map(|number| FieldTest::Number(op, number)),
            Token::True | Token::False if op == Op::Eq => {
                Ok(FieldTest::Bool(self.advance()? == Token::True))
            }
            Token::Nil if matches!(op, Op::Eq | Op::Ne) => {
                self.advance()?;
                Ok(FieldTest::Nil {
                    negate: op == Op::Ne,
                })
            }
            Token::True | Token::False => Err(self.error("booleans can only be compared with ==")),
            Token::Nil => Err(self.error("NIL can only be compared with == and !=")),
            _ => Err(self.error("expected a string, a number, TRUE, FALSE or NIL")),
        }
    }

    fn number(&mut self) -> Result<Number, MatcherError> {
        let Token::Num(text) = &self.token else {
            return Err(self.error("expected a number"));
        };
        let number = match (self.dialect, text.parse::<i64>(), parse_float(text)) {
            (Dialect::Extended, Ok(integer), _) => Number::Integer(integer),
            (_, _, Some(float)) => Number::Float(float),
            (Dialect::Extended, _, None) => return Err(self.error("not a number")),
            // heka logs the failed conversion and goes on with zero.
            (Dialect::Heka, _, None) => Number::Float(0.0),
        };
        self.advance()?;
        Ok(number)
    }
}

/// A finite float. Rust reads `6e999` as infinity where Go reports a range
/// error.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
