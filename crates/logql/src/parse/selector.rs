//! `{app="a", env!="b"}` and the pipeline behind it.

use headwater_model::{MatchOp, Matcher};

use super::{Parser, Result};
use crate::ast::LogExpr;
use crate::error::ParseError;
use crate::lex::Tok;

/// The operators of matchers in the order in which Loki lists them.
const MATCH_SIGNS: [&str; 4] = ["=", "=~", "!~", "!="];

impl Parser {
    /// A selector with its pipeline.
    pub(super) fn log_expr(&mut self) -> Result<LogExpr> {
        let matchers = self.selector()?;
        let mut stages = Vec::new();
        while let Some(stage) = self.stage()? {
            stages.push(stage);
        }
        Ok(LogExpr { matchers, stages })
    }

    pub(super) fn selector(&mut self) -> Result<Vec<Matcher>> {
        self.expect("{")?;
        let mut matchers = Vec::new();
        if self.eat("}") {
            return Ok(matchers);
        }
        loop {
            let expected: &[&str] = match matchers.is_empty() {
                true => &["IDENTIFIER", "}"],
                false => &["IDENTIFIER"],
            };
            let name = match self.kind() {
                Tok::Identifier => self.take().text,
                _ => return self.unexpected(expected),
            };
            let Some(op) = self.match_op() else {
                return self.unexpected(&MATCH_SIGNS);
            };
            matchers.push(self.matcher(name, op)?);
            if self.eat("}") {
                return Ok(matchers);
            }
            if !self.eat(",") {
                return self.unexpected(&["}", ","]);
            }
        }
    }

    /// Takes the operator of a matcher, if one stands here.
    pub(super) fn match_op(&mut self) -> Option<MatchOp> {
        let op = match self.kind() {
            Tok::Sign("=") => MatchOp::Equal,
            Tok::Sign("!=") => MatchOp::NotEqual,
            Tok::Sign("=~") => MatchOp::Regex,
            Tok::Sign("!~") => MatchOp::NotRegex,
            _ => return None,
        };
        self.at += 1;
        Some(op)
    }

    /// The matcher whose text stands here.
    pub(super) fn matcher(&mut self, name: String, op: MatchOp) -> Result<Matcher> {
        let value = self.expect_kind(Tok::String, "STRING")?.text;
        match Matcher::new(op, name.clone(), value) {
            Ok(matcher) => Ok(matcher),
            Err(e) => {
                self.note(ParseError::new(e.to_string()));
                Ok(Matcher::equal(name, ""))
            }
        }
    }
}
