//! Conditions on labels: `status >= 500 and (method="GET" or took > 1s)`.

use headwater_model::{MatchOp, Matcher};

use super::{Parser, Result};
use crate::ast::{CompareOp, LabelFilter};
use crate::lex::Tok;

impl Parser {
    /// A condition. `and`, a comma and a blank mean the same, but only `and`
    /// binds tighter than `or` on both sides: behind a comma or a blank
    /// everything up to the end of the condition belongs to the right side.
    pub(super) fn label_filter(&mut self) -> Result<LabelFilter> {
        self.deeper(|p| {
            let mut left = p.conjunction()?;
            while p.eat("or") {
                p.join()?;
                let right = p.conjunction()?;
                left = LabelFilter::Or(Box::new(left), Box::new(right));
            }
            Ok(left)
        })
    }

    fn conjunction(&mut self) -> Result<LabelFilter> {
        let mut left = self.condition()?;
        loop {
            if self.eat("and") {
                self.join()?;
                let right = self.condition()?;
                left = LabelFilter::And(Box::new(left), Box::new(right));
            } else if self.eat(",") || self.kind() == Tok::Identifier || self.is("(") {
                let right = self.label_filter()?;
                return Ok(LabelFilter::And(Box::new(left), Box::new(right)));
            } else {
                return Ok(left);
            }
        }
    }

    fn condition(&mut self) -> Result<LabelFilter> {
        if self.eat("(") {
            let inner = self.label_filter()?;
            return match self.eat(")") {
                true => Ok(inner),
                false => self.unexpected(&[]),
            };
        }
        let name = match self.kind() {
            Tok::Identifier => self.take().text,
            _ => return self.unexpected(&[]),
        };
        let Tok::Sign(sign) = self.kind() else {
            return self.unexpected(&[]);
        };
        let op = match sign {
            "=" | "==" => CompareOp::Equal,
            "!=" => CompareOp::NotEqual,
            ">" => CompareOp::Greater,
            ">=" => CompareOp::GreaterEqual,
            "<" => CompareOp::Less,
            "<=" => CompareOp::LessEqual,
            "=~" | "!~" => return self.regex(name, sign == "!~"),
            _ => return self.unexpected(&[]),
        };
        self.at += 1;
        let text_allowed = matches!(sign, "=" | "!=");
        match self.kind() {
            Tok::String if text_allowed => {
                let op = if sign == "=" {
                    MatchOp::Equal
                } else {
                    MatchOp::NotEqual
                };
                self.matcher(name, op).map(LabelFilter::Text)
            }
            Tok::Sign("ip") if text_allowed => {
                let range = self.ip_call()?;
                Ok(LabelFilter::Ip(name, sign == "!=", range))
            }
            _ => self.quantity(name, op),
        }
    }

    fn regex(&mut self, name: String, negative: bool) -> Result<LabelFilter> {
        self.at += 1;
        let op = if negative {
            MatchOp::NotRegex
        } else {
            MatchOp::Regex
        };
        let matcher: Matcher = self.matcher(name, op)?;
        Ok(LabelFilter::Text(matcher))
    }

    fn quantity(&mut self, name: String, op: CompareOp) -> Result<LabelFilter> {
        match self.kind() {
            Tok::Duration => Ok(LabelFilter::Duration(name, op, self.take().number)),
            Tok::Bytes => {
                let bytes = u64::try_from(self.take().number).unwrap_or(0);
                Ok(LabelFilter::Bytes(name, op, bytes))
            }
            Tok::Number | Tok::Sign("+" | "-") => {
                Ok(LabelFilter::Number(name, op, self.literal()?))
            }
            _ => self.unexpected(&[]),
        }
    }
}
