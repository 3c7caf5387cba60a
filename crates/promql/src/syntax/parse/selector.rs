//! Selectors and their matchers.

use headwater_model::label::METRIC_NAME;
use headwater_model::{MatchOp, Matcher};

use super::Parser;
use crate::syntax::ast::{BinaryOp, Duration, Extension, VectorSelector};
use crate::syntax::error::ParseError;
use crate::syntax::position::PosRange;
use crate::syntax::token::Token;

impl Parser<'_> {
    /// `name`, `name{...}` or `{...}`.
    pub(super) fn vector_selector(&mut self) -> Result<VectorSelector, ParseError> {
        let mut range = self.next.range;
        let mut name = String::new();
        if self.peek() != Token::LeftBrace {
            let item = self.take()?;
            name = self.text_of(item).to_owned();
        }
        let mut matchers = Vec::new();
        if self.peek() == Token::LeftBrace {
            range = range.merge(self.matchers(&mut matchers)?);
        }
        if !name.is_empty() {
            matchers.push(Matcher::equal(METRIC_NAME, name.as_str()));
        }
        let (offset, at, extension) = (Duration::Fixed(0), None, Extension::None);
        Ok(VectorSelector {
            name,
            matchers,
            offset,
            at,
            extension,
            range,
        })
    }

    fn matchers(&mut self, into: &mut Vec<Matcher>) -> Result<PosRange, ParseError> {
        let open = self.take()?;
        while self.peek() != Token::RightBrace {
            into.push(self.matcher()?);
            if self.peek() == Token::RightBrace {
                break;
            }
            self.expect(Token::Comma, "label matching", "\",\" or \"}\"")?;
        }
        let close = self.take()?;
        Ok(open.range.merge(close.range))
    }

    fn matcher(&mut self) -> Result<Matcher, ParseError> {
        let context = "label matching";
        let first = self.next;
        let name = match self.peek() {
            Token::Identifier => {
                self.take()?;
                self.text_of(first).to_owned()
            }
            Token::String => {
                let name = self.string_literal()?.value;
                // A lone string is the name of the metric.
                if matches!(self.peek(), Token::Comma | Token::RightBrace) {
                    return Ok(Matcher::equal(METRIC_NAME, name));
                }
                name
            }
            _ => return Err(self.unexpected(context, "identifier or \"}\"")),
        };
        let op = match self.peek() {
            Token::Equal => MatchOp::Equal,
            Token::Op(BinaryOp::NotEqual) => MatchOp::NotEqual,
            Token::EqualRegex => MatchOp::Regex,
            Token::NotEqualRegex => MatchOp::NotRegex,
            _ if first.token == Token::String => {
                return Err(self.unexpected(context, "\",\" or \"}\""));
            }
            _ => return Err(self.unexpected(context, "label matching operator")),
        };
        self.take()?;
        if self.peek() != Token::String {
            return Err(self.unexpected(context, "string"));
        }
        let value = self.string_literal()?;
        let range = first.range.merge(value.range);
        Matcher::new(op, name, value.value).map_err(|error| self.error(range, error.to_string()))
    }
}
