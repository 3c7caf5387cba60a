//! The stages of a pipeline.

use super::{Parser, Result};
use crate::ast::{
    Extraction, FormatSource, LabelFormat, LineFilter, LineOp, LineOperand, NamedLabel, Stage,
};
use crate::lex::Tok;

impl Parser {
    /// The next stage; `None` where the pipeline ends. `unwrap` is not a
    /// stage: it is left to ranges.
    pub(super) fn stage(&mut self) -> Result<Option<Stage>> {
        if let Some(op) = self.line_op() {
            self.at += 1;
            return self.line_filter(op).map(Stage::LineFilter).map(Some);
        }
        if !self.is("|") || self.next_kind() == Tok::Sign("unwrap") {
            return Ok(None);
        }
        self.at += 1;
        self.piped().map(Some)
    }

    fn line_op(&self) -> Option<LineOp> {
        match self.kind() {
            Tok::Sign("|=") => Some(LineOp::Contains),
            Tok::Sign("!=") => Some(LineOp::NotContains),
            Tok::Sign("|~") => Some(LineOp::Matches),
            Tok::Sign("!~") => Some(LineOp::NotMatches),
            Tok::Sign("|>") => Some(LineOp::Pattern),
            Tok::Sign("!>") => Some(LineOp::NotPattern),
            _ => None,
        }
    }

    fn line_filter(&mut self, op: LineOp) -> Result<LineFilter> {
        let mut operands = vec![self.line_operand()?];
        while self.eat("or") {
            operands.push(self.line_operand()?);
        }
        Ok(LineFilter { op, operands })
    }

    fn line_operand(&mut self) -> Result<LineOperand> {
        if self.kind() == Tok::String {
            let text = self.take().text;
            return Ok(LineOperand { text, ip: false });
        }
        if !self.is("ip") {
            return self.unexpected(&["STRING", "ip"]);
        }
        let text = self.ip_call()?;
        Ok(LineOperand { text, ip: true })
    }

    /// `ip("...")`.
    pub(super) fn ip_call(&mut self) -> Result<String> {
        self.at += 1;
        self.expect("(")?;
        let text = self.expect_kind(Tok::String, "STRING")?.text;
        self.expect(")")?;
        Ok(text)
    }

    fn piped(&mut self) -> Result<Stage> {
        let Tok::Sign(word) = self.kind() else {
            return self.label_filter().map(Stage::LabelFilter);
        };
        if word == "(" {
            return self.label_filter().map(Stage::LabelFilter);
        }
        let stage = match word {
            "json" | "logfmt" | "regexp" | "pattern" | "unpack" | "decolorize" | "line_format"
            | "label_format" | "drop" | "keep" => word,
            _ => return self.unexpected(&[]),
        };
        self.at += 1;
        Ok(match stage {
            "json" => Stage::Json(self.extractions()?),
            "logfmt" => self.logfmt()?,
            "regexp" => Stage::Regexp(self.text()?),
            "pattern" => Stage::Pattern(self.text()?),
            "unpack" => Stage::Unpack,
            "decolorize" => Stage::Decolorize,
            "line_format" => Stage::LineFormat(self.text()?),
            "label_format" => Stage::LabelFormat(self.label_formats()?),
            "drop" => Stage::Drop(self.named_labels()?),
            _ => Stage::Keep(self.named_labels()?),
        })
    }

    fn text(&mut self) -> Result<String> {
        Ok(self.expect_kind(Tok::String, "STRING")?.text)
    }

    fn logfmt(&mut self) -> Result<Stage> {
        let (mut strict, mut keep_empty) = (false, false);
        while self.kind() == Tok::Flag {
            match self.take().text.as_str() {
                "--strict" => strict = true,
                _ => keep_empty = true,
            }
        }
        Ok(Stage::Logfmt {
            strict,
            keep_empty,
            fields: self.extractions()?,
        })
    }

    /// `a="x.y", b`: perhaps none.
    fn extractions(&mut self) -> Result<Vec<Extraction>> {
        let mut all = Vec::new();
        while self.kind() == Tok::Identifier {
            let label = self.take().text;
            let source = match self.eat("=") {
                true => self.text()?,
                false => label.clone(),
            };
            all.push(Extraction { label, source });
            if !self.eat(",") {
                break;
            }
            if self.kind() != Tok::Identifier {
                return self.unexpected(&["IDENTIFIER"]);
            }
        }
        Ok(all)
    }

    fn label_formats(&mut self) -> Result<Vec<LabelFormat>> {
        let mut all = Vec::new();
        loop {
            let target = self.expect_kind(Tok::Identifier, "IDENTIFIER")?.text;
            self.expect("=")?;
            let source = match self.kind() {
                Tok::Identifier => FormatSource::Label(self.take().text),
                Tok::String => FormatSource::Template(self.take().text),
                _ => return self.unexpected(&["IDENTIFIER", "STRING"]),
            };
            all.push(LabelFormat { target, source });
            if !self.eat(",") {
                return Ok(all);
            }
        }
    }

    fn named_labels(&mut self) -> Result<Vec<NamedLabel>> {
        let mut all = Vec::new();
        loop {
            let name = self.expect_kind(Tok::Identifier, "IDENTIFIER")?.text;
            // `drop a != "x"` could also be a line filter; Loki reads a matcher.
            all.push(match self.match_op() {
                Some(op) => NamedLabel::Matcher(self.matcher(name, op)?),
                None => NamedLabel::Name(name),
            });
            if !self.eat(",") {
                return Ok(all);
            }
        }
    }
}
