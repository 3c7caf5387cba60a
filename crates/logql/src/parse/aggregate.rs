//! Functions: over ranges of lines, over vectors, `label_replace`, `vector`.

use headwater_model::Matcher;

use super::{Parser, Result};
use crate::ast::{
    Conversion, Expr, Grouping, LabelReplace, LogExpr, LogRange, RangeAggregation, RangeOp, Stage,
    Unwrap, VectorAggregation, VectorOp,
};
use crate::error::ParseError;
use crate::lex::Tok;

/// A range as far as it has been read: its parts may come in several orders.
struct Draft {
    matchers: Vec<Matcher>,
    stages: Vec<Stage>,
    /// Length and offset.
    range: Option<(i64, i64)>,
    unwrap: Option<Unwrap>,
}

impl Parser {
    pub(super) fn function(&mut self) -> Result<Expr> {
        let name = self.token().text.clone();
        if let Some(op) = RangeOp::from_name(&name) {
            self.at += 1;
            return self.range_aggregation(op);
        }
        if let Some(op) = VectorOp::from_name(&name) {
            self.at += 1;
            return self.vector_aggregation(op);
        }
        if name == "vector" {
            self.at += 1;
            return self.vector_literal();
        }
        self.unexpected(&[])
    }

    fn vector_literal(&mut self) -> Result<Expr> {
        self.expect("(")?;
        let text = self.expect_kind(Tok::Number, "NUMBER")?.text;
        let value = self.number(&text);
        self.expect(")")?;
        Ok(Expr::VectorLiteral(value))
    }

    pub(super) fn label_replace(&mut self) -> Result<Expr> {
        self.at += 1;
        self.expect("(")?;
        let inner = self.metric()?;
        let mut texts = Vec::new();
        for _ in 0..4 {
            self.expect(",")?;
            texts.push(self.expect_kind(Tok::String, "STRING")?.text);
        }
        self.expect(")")?;
        let mut texts = texts.into_iter();
        let mut text = || texts.next().unwrap_or_default();
        let (target, replacement, source, regex) = (text(), text(), text(), text());
        if let Err(e) = headwater_regexp::Regex::anchored(&regex) {
            let message = format!("invalid regex in label_replace: {e}");
            self.note(ParseError::new(message));
        }
        Ok(Expr::LabelReplace(Box::new(LabelReplace {
            inner,
            target,
            replacement,
            source,
            regex,
        })))
    }

    /// An operand that has to be a number or a vector.
    fn metric(&mut self) -> Result<Expr> {
        let expr = self.expr(0)?;
        match expr.is_log() {
            true => self.unexpected(&[]),
            false => Ok(expr),
        }
    }

    fn grouping(&mut self) -> Result<Option<Grouping>> {
        if !self.is("by") && !self.is("without") {
            return Ok(None);
        }
        let without = self.is("without");
        self.at += 1;
        let labels = self.parenthesised_labels()?;
        Ok(Some(Grouping { labels, without }))
    }

    fn vector_aggregation(&mut self, op: VectorOp) -> Result<Expr> {
        let before = self.grouping()?;
        self.expect("(")?;
        let mut inner = self.metric()?;
        let mut param = None;
        if let (Expr::Literal(_), true) = (&inner, self.is(",")) {
            param = self.plain_number_before();
            if param.is_none() {
                return self.unexpected(&[]);
            }
            self.at += 1;
            inner = self.metric()?;
        }
        self.expect(")")?;
        let grouping = match before {
            None => self.grouping()?,
            before => before,
        };
        let k = self.k(op, param.as_deref());
        if op == VectorOp::ApproxTopk && grouping.is_some() {
            let message = "grouping not allowed for approx_topk aggregation";
            self.note(ParseError::new(message));
        }
        Ok(Expr::Vector(Box::new(VectorAggregation {
            op,
            k,
            inner,
            grouping,
        })))
    }

    /// The text of the number just read, if it was a single token.
    fn plain_number_before(&self) -> Option<String> {
        let number = &self.tokens[self.at - 1];
        let opened = self.tokens[self.at - 2].kind == Tok::Sign("(");
        (number.kind == Tok::Number && opened).then(|| number.text.clone())
    }

    fn k(&mut self, op: VectorOp, param: Option<&str>) -> usize {
        let name = op.as_str();
        let message = match (op.takes_k(), param) {
            (false, None) => return 0,
            (false, Some(text)) => format!("unsupported parameter for operation {name}({text},"),
            (true, None) => format!("parameter required for operation {name}"),
            (true, Some(text)) => match text.parse::<i64>() {
                Ok(k) if k > 0 => return usize::try_from(k).unwrap_or(usize::MAX),
                Ok(_) => format!("invalid parameter (must be greater than 0) {name}({text}"),
                Err(_) => format!("invalid parameter {name}({text},"),
            },
        };
        self.note(ParseError::new(message));
        0
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Result<Expr> {
        self.expect("(")?;
        let mut param = None;
        if self.kind() == Tok::Number {
            param = Some(self.take().text);
            self.expect(",")?;
        }
        if !self.is("{") && !self.is("(") {
            let number = ["NUMBER", "{", "("];
            return self.unexpected(if param.is_none() {
                &number
            } else {
                &number[1..]
            });
        }
        let range = self.range()?;
        self.expect(")")?;
        let grouping = self.grouping()?;
        let param = self.quantile(op, param);
        let aggregation = RangeAggregation {
            op,
            param,
            range,
            grouping,
        };
        if let Some(message) = meaningless(&aggregation) {
            self.note(ParseError::new(message));
        }
        Ok(Expr::Range(Box::new(aggregation)))
    }

    fn quantile(&mut self, op: RangeOp, param: Option<String>) -> Option<f64> {
        let name = op.as_str();
        match (op, param) {
            (RangeOp::Quantile, None) => {
                let message = format!("parameter required for operation {name}");
                self.note(ParseError::new(message));
                None
            }
            (RangeOp::Quantile, Some(text)) => match crate::units::parse_float(&text) {
                Ok(value) => Some(value),
                Err(e) => {
                    let message = format!("invalid parameter for operation {name}: {e}");
                    self.note(ParseError::new(message));
                    None
                }
            },
            (_, Some(text)) => {
                let message = format!("parameter {text} not supported for operation {name}");
                self.note(ParseError::new(message));
                None
            }
            (_, None) => None,
        }
    }

    fn range(&mut self) -> Result<LogRange> {
        let draft = self.draft()?;
        let Some((range, offset)) = draft.range else {
            let expected: &[&str] = if draft.unwrap.is_some() {
                &["RANGE", "|"]
            } else {
                &[]
            };
            return self.unexpected(expected);
        };
        Ok(LogRange {
            log: LogExpr {
                matchers: draft.matchers,
                stages: draft.stages,
            },
            range,
            offset,
            unwrap: draft.unwrap,
        })
    }

    /// Reads the parts of a range in whatever order they come.
    fn draft(&mut self) -> Result<Draft> {
        let mut draft = match self.eat("(") {
            true => {
                let inner = self.deeper(Self::draft)?;
                self.expect(")")?;
                inner
            }
            false => Draft {
                matchers: self.selector()?,
                stages: Vec::new(),
                range: None,
                unwrap: None,
            },
        };
        loop {
            if self.kind() == Tok::Range && draft.range.is_none() {
                draft.range = Some(self.length_and_offset()?);
            } else if self.is("|") && draft.unwrap.is_some() {
                self.at += 1;
                let filter = self.label_filter()?;
                draft
                    .unwrap
                    .iter_mut()
                    .for_each(|u| u.filters.push(filter.clone()));
            } else if self.is("|") && self.next_kind() == Tok::Sign("unwrap") {
                draft.unwrap = Some(self.unwrap()?);
            } else if draft.unwrap.is_some() {
                return Ok(draft);
            } else if let Some(stage) = self.stage()? {
                draft.stages.push(stage);
            } else {
                return Ok(draft);
            }
        }
    }

    fn length_and_offset(&mut self) -> Result<(i64, i64)> {
        let range = self.take().number;
        let offset = match self.eat("offset") {
            true => self.expect_kind(Tok::Duration, "DURATION")?.number,
            false => 0,
        };
        Ok((range, offset))
    }

    fn unwrap(&mut self) -> Result<Unwrap> {
        self.at += 2;
        let conversion = match (self.kind(), self.token().text.as_str()) {
            (Tok::Function, "bytes") => Conversion::Bytes,
            (Tok::Function, "duration") => Conversion::Duration,
            (Tok::Function, "duration_seconds") => Conversion::DurationSeconds,
            _ => Conversion::Number,
        };
        let label = match conversion {
            Conversion::Number => match self.kind() {
                Tok::Identifier => self.take().text,
                _ => {
                    let expected = [
                        "IDENTIFIER",
                        "BYTES_CONV",
                        "DURATION_CONV",
                        "DURATION_SECONDS_CONV",
                    ];
                    return self.unexpected(&expected);
                }
            },
            _ => {
                self.at += 1;
                self.expect("(")?;
                let label = self.expect_kind(Tok::Identifier, "IDENTIFIER")?.text;
                self.expect(")")?;
                label
            }
        };
        Ok(Unwrap {
            label,
            conversion,
            filters: Vec::new(),
        })
    }
}

/// What is wrong with a range aggregation that has the right syntax.
fn meaningless(aggregation: &RangeAggregation) -> Option<String> {
    use RangeOp::*;
    let op = aggregation.op;
    let name = op.as_str();
    let groups = matches!(
        op,
        Avg | Stddev | Stdvar | Quantile | Max | Min | First | Last
    );
    if aggregation.grouping.is_some() && !groups {
        return Some(format!("grouping not allowed for {name} aggregation"));
    }
    let unwrapped = aggregation.range.unwrap.is_some();
    if unwrapped && matches!(op, Count | Bytes | BytesRate) {
        return Some(format!("invalid aggregation {name} with unwrap"));
    }
    if !unwrapped && !matches!(op, Count | Bytes | BytesRate | Rate | Absent) {
        return Some(format!("invalid aggregation {name} without unwrap"));
    }
    None
}
