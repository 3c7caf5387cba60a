//! A pipeline, compiled once per query and shared by all threads that run it.

mod decimal;
mod eager;
mod format;
pub(crate) mod functions;
mod hints;
mod ip;
mod json;
mod json_path;
mod label_test;
mod line_filter;
mod logfmt;
mod parser;
mod pattern;
mod record;

use std::sync::LazyLock;

use headwater_regexp::Regex;
use memchr::memmem::Finder;

use crate::ast::{Extraction, LabelFilter, NamedLabel, Stage};
use crate::error::ParseError;

pub(crate) use hints::{Wanted, probe};
pub(crate) use label_test::LabelTest;
pub(crate) use record::{Category, ERROR, LineError, PRESERVE_ERROR, Record};

use eager::Eager;
use format::{LabelWriter, LineFormat};
use json_path::Path;
use line_filter::LineTest;
use parser::{Sink, clean};
use pattern::Pattern;

/// A compiled stage.
#[derive(Debug)]
enum Op {
    Line(LineTest),
    Json,
    JsonPaths(Vec<(String, Path)>),
    Logfmt(logfmt::Mode),
    LogfmtKeys(logfmt::Mode, Vec<Extraction>),
    /// The expression with the label of each group.
    Regexp(Regex, Vec<(usize, String)>),
    Pattern(Pattern),
    Unpack,
    Decolorize,
    Labels(LabelTest),
    LineFormat(LineFormat),
    LabelFormat(LabelWriter),
    Drop(Vec<NamedLabel>),
    Keep(Vec<NamedLabel>),
}

/// A compiled pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    ops: Vec<Op>,
    wanted: Wanted,
    needles: Vec<Vec<Vec<u8>>>,
    reads_lines: bool,
    keep_errors: bool,
    eager: Eager,
}

impl Pipeline {
    /// Compiles the stages; parsers will look for what is `wanted`.
    pub(crate) fn new(stages: &[Stage], wanted: Wanted) -> Result<Self, ParseError> {
        let eager = Eager::of(stages)?;
        let mut ops = Vec::with_capacity(stages.len());
        for stage in stages {
            ops.push(compile(stage)?);
        }
        reorder(&mut ops);
        let needles = needles(&ops);
        let reads_lines = ops.iter().any(reads_line);
        Ok(Self {
            ops,
            wanted,
            needles,
            reads_lines,
            keep_errors: false,
            eager,
        })
    }

    /// Marks lines that a parser could not read as wanted: a metric query
    /// then counts them instead of failing.
    pub(crate) fn keep_errors(mut self, keep: bool) -> Self {
        self.keep_errors = keep;
        self
    }

    /// Texts that every line that passes holds: at least one of each group.
    pub(crate) fn needles(&self) -> &[Vec<Vec<u8>>] {
        &self.needles
    }

    /// Whether any stage looks at the bytes of lines.
    pub(crate) fn reads_lines(&self) -> bool {
        self.reads_lines
    }

    /// A text without which no line passes: a search over a whole block finds
    /// the lines worth running.
    pub(crate) fn finder(&self) -> Option<&Finder<'static>> {
        self.ops
            .iter()
            .find_map(|op| match op {
                Op::Line(test) => Some(test.finder()),
                _ => None,
            })?
            .filter(|_| matches!(self.ops.first(), Some(Op::Line(_))))
    }

    /// Whether every line passes with the labels it has.
    pub(crate) fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Runs a line; false drops it. The line that comes out is
    /// `record.line` if `record.rewritten`, else the one that went in.
    pub(crate) fn run(&self, line: &[u8], record: &mut Record) -> bool {
        self.ops.iter().all(|op| self.step(op, line, record))
    }

    fn step(&self, op: &Op, original: &[u8], record: &mut Record) -> bool {
        let parses = matches!(
            op,
            Op::Json | Op::JsonPaths(_) | Op::Logfmt(_) | Op::LogfmtKeys(..) | Op::Unpack
        );
        if !(self.keep_errors && parses) || record.has_error() {
            return self.carry_out(op, original, record);
        }
        let kept = self.carry_out(op, original, record);
        if record.has_error() {
            record.set(Category::Parsed, PRESERVE_ERROR, "true");
        }
        kept
    }

    fn carry_out(&self, op: &Op, original: &[u8], record: &mut Record) -> bool {
        if !self.eager.is_empty() && extracts(op) {
            let before = self.eager.found(record);
            return self.transform(op, original, record) && self.eager.pass(before, record);
        }
        self.transform(op, original, record)
    }

    fn transform(&self, op: &Op, original: &[u8], record: &mut Record) -> bool {
        if !record.rewritten {
            return self.apply(op, original, record);
        }
        // The record gives its line away while the stage looks at it, and
        // takes it back unless the stage has put another in its place.
        let line = std::mem::take(&mut record.line);
        record.rewritten = false;
        let kept = self.apply(op, &line, record);
        if !record.rewritten {
            record.line = line;
            record.rewritten = true;
        }
        kept
    }

    fn apply(&self, op: &Op, line: &[u8], record: &mut Record) -> bool {
        let wanted = &self.wanted;
        match op {
            Op::Line(test) => return test.passes(line),
            Op::Labels(test) => return test.passes(record),
            Op::Json => json::all_fields(line, record, wanted),
            Op::JsonPaths(paths) => json::paths(line, record, wanted, paths),
            Op::Logfmt(mode) => logfmt::all_pairs(line, record, wanted, *mode),
            Op::LogfmtKeys(mode, keys) => logfmt::named_pairs(line, record, wanted, *mode, keys),
            Op::Regexp(regex, groups) => groups_of(regex, groups, line, record, wanted),
            Op::Pattern(pattern) => {
                let mut sink = Sink::new(record, wanted);
                pattern.captures(line, |name, text| {
                    if sink.wants(name) {
                        sink.put(&clean(text));
                    }
                });
            }
            Op::Unpack => rewrite(json::unpack(line, record, wanted), record),
            Op::Decolorize => rewrite(decolorized(line), record),
            Op::LineFormat(format) => rewrite(format.render(line, record), record),
            Op::LabelFormat(writer) => writer.apply(line, record),
            Op::Drop(labels) => labels.iter().for_each(|label| drop_label(label, record)),
            Op::Keep(labels) => keep_labels(labels, record),
        }
        true
    }
}

fn rewrite(line: Option<Vec<u8>>, record: &mut Record) {
    if let Some(line) = line {
        record.line = line;
        record.rewritten = true;
    }
}

fn compile(stage: &Stage) -> Result<Op, ParseError> {
    let named = |e: String| ParseError::stage(stage, e);
    Ok(match stage {
        Stage::LineFilter(filter) => Op::Line(LineTest::new(filter).map_err(named)?),
        Stage::Json(fields) if fields.is_empty() => Op::Json,
        Stage::Json(fields) => {
            let path = |f: &Extraction| Ok((f.label.clone(), json_path::parse(&f.source)?));
            let paths: Result<_, String> = fields.iter().map(path).collect();
            Op::JsonPaths(paths.map_err(named)?)
        }
        Stage::Logfmt {
            strict,
            keep_empty,
            fields,
        } => {
            let mode = logfmt::Mode {
                strict: *strict,
                keep_empty: *keep_empty,
            };
            for field in fields {
                logfmt::check_key(&field.source).map_err(named)?;
            }
            match fields.is_empty() {
                true => Op::Logfmt(mode),
                false => Op::LogfmtKeys(mode, fields.clone()),
            }
        }
        Stage::Regexp(text) => {
            regexp(text).map_err(|e| ParseError::new(format!("invalid regexp parser: {e}")))?
        }
        Stage::Pattern(text) => Op::Pattern(
            Pattern::for_parser(text)
                .map_err(|e| ParseError::new(format!("invalid pattern parser: {e}")))?,
        ),
        Stage::Unpack => Op::Unpack,
        Stage::Decolorize => Op::Decolorize,
        Stage::LabelFilter(filter) => Op::Labels(label_test(filter, stage)?),
        Stage::LineFormat(text) => Op::LineFormat(LineFormat::new(text).map_err(named)?),
        Stage::LabelFormat(formats) => Op::LabelFormat(LabelWriter::new(formats).map_err(named)?),
        Stage::Drop(labels) => Op::Drop(labels.clone()),
        Stage::Keep(labels) => Op::Keep(labels.clone()),
    })
}

/// Compiles a condition; an error names the stage it stands in.
pub(crate) fn label_test(
    filter: &LabelFilter,
    stage: &dyn std::fmt::Display,
) -> Result<LabelTest, ParseError> {
    LabelTest::new(filter).map_err(|e| ParseError::stage(stage, e))
}

fn regexp(text: &str) -> Result<Op, String> {
    let regex = Regex::new(text).map_err(|e| e.to_string())?;
    let mut groups: Vec<(usize, String)> = Vec::new();
    for (index, name) in regex.group_names().enumerate() {
        let Some(name) = name else {
            continue;
        };
        if !headwater_model::name::is_legacy_label_name(name) {
            return Err(format!("invalid extracted label name '{name}'"));
        }
        if groups.iter().any(|(_, other)| other == name) {
            return Err(format!("duplicate extracted label name '{name}'"));
        }
        groups.push((index, name.to_owned()));
    }
    match groups.is_empty() {
        true => Err("at least one named capture must be supplied".to_owned()),
        false => Ok(Op::Regexp(regex, groups)),
    }
}

fn groups_of(
    regex: &Regex,
    groups: &[(usize, String)],
    line: &[u8],
    record: &mut Record,
    wanted: &Wanted,
) {
    if *wanted == Wanted::Nothing {
        return;
    }
    let text = String::from_utf8_lossy(line);
    let Some(captures) = regex.captures(&text) else {
        return;
    };
    let mut sink = Sink::new(record, wanted);
    for (index, name) in groups {
        if sink.wants(name) {
            sink.put(captures.get(*index).unwrap_or_default());
        }
    }
}

/// Colour and cursor escapes of terminals.
static ESCAPES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        "[\u{1b}\u{9b}][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\u{7})",
        "|(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))"
    ))
    .ok()
});

/// The line without escapes; `None` if it has none.
fn decolorized(line: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(0x1b, 0x9b, line)?;
    let text = String::from_utf8_lossy(line);
    let plain = ESCAPES.as_ref()?.replace_all_literal(&text, "");
    Some(plain.into_owned().into_bytes())
}

fn drop_label(label: &NamedLabel, record: &mut Record) {
    let name = match label {
        NamedLabel::Name(name) => name,
        NamedLabel::Matcher(matcher) => match matcher.matches(record.value(&matcher.name)) {
            true => &matcher.name,
            false => return,
        },
    };
    match name.as_str() {
        record::ERROR => record.clear_error(),
        record::ERROR_DETAILS => record.clear_details(),
        name => record.remove(name),
    }
}

fn keep_labels(labels: &[NamedLabel], record: &mut Record) {
    let kept = |name: &str, value: &str| {
        labels.iter().any(|label| match label {
            NamedLabel::Name(keep) => keep == name,
            NamedLabel::Matcher(matcher) => matcher.name == name && matcher.matches(value),
        })
    };
    let special =
        |name: &str| [record::ERROR, record::ERROR_DETAILS, PRESERVE_ERROR].contains(&name);
    let gone: Vec<String> = record
        .iter()
        .filter(|(name, value, _)| !special(name) && !kept(name, value))
        .map(|(name, _, _)| name.to_owned())
        .collect();
    gone.iter().for_each(|name| record.remove(name));
}

/// Moves line filters in front of the stages that read labels: they are
/// cheap, and neither sees what the other does. Stages that write lines stay
/// where they are.
fn reorder(ops: &mut [Op]) {
    let mut start = 0;
    for at in 0..=ops.len() {
        let writes = ops.get(at).is_none_or(writes_line);
        if writes {
            // A stable sort keeps the order within both kinds.
            ops[start..at].sort_by_key(|op| !matches!(op, Op::Line(_)));
            start = at + 1;
        }
    }
}

const fn extracts(op: &Op) -> bool {
    matches!(
        op,
        Op::Json | Op::Logfmt(_) | Op::Regexp(..) | Op::Pattern(_)
    )
}

const fn writes_line(op: &Op) -> bool {
    matches!(op, Op::Unpack | Op::Decolorize | Op::LineFormat(_))
}

const fn reads_line(op: &Op) -> bool {
    !matches!(op, Op::Labels(_) | Op::Drop(_) | Op::Keep(_))
}

fn needles(ops: &[Op]) -> Vec<Vec<Vec<u8>>> {
    let original = ops.iter().take_while(|op| !writes_line(op));
    let tests = original.filter_map(|op| match op {
        Op::Line(test) => test.needles(),
        _ => None,
    });
    tests.collect()
}

#[cfg(test)]
mod tests {
    use headwater_model::Labels;

    use super::*;
    use crate::ast::Expr;

    /// Runs one line through the pipeline of `{a="b"} STAGES`.
    pub(super) fn run(stages: &str, line: &str) -> String {
        let Ok(Expr::Log(log)) = crate::parse(&format!("{{a=\"b\"}} {stages}")) else {
            panic!("{stages} is no pipeline");
        };
        let pipeline = Pipeline::new(&log.stages, Wanted::All).expect("compiles");
        let mut record = Record::default();
        record.start_stream(&Labels::from_pairs([("a", "b")]));
        record.start_line(1_000_000_000, &Labels::empty());
        if !pipeline.run(line.as_bytes(), &mut record) {
            return "dropped".to_owned();
        }
        let labels: Vec<String> = record
            .sorted()
            .iter()
            .map(|(n, v, _)| format!("{n}={v}"))
            .collect();
        let line = match record.rewritten {
            true => String::from_utf8_lossy(&record.line).into_owned(),
            false => line.to_owned(),
        };
        format!("{line} {{{}}}", labels.join(" "))
    }

    #[test]
    fn stages() {
        for (stages, line, want) in [
            ("|= \"x\"", "axb", "axb {a=b}"),
            ("|= \"x\"", "ab", "dropped"),
            ("!= \"x\" or \"y\"", "ay", "dropped"),
            ("| logfmt | n > 3", "n=5", "n=5 {a=b n=5}"),
            ("| logfmt | n > 3", "n=2", "dropped"),
            ("| logfmt | missing > 3", "n=2", "dropped"),
            (
                "| logfmt | n > 3",
                "n=x",
                "n=x {__error__=LabelFilterErr __error_details__=strconv.ParseFloat: parsing \"x\": invalid syntax a=b n=x}",
            ),
            ("| logfmt | drop n", "n=x m=y", "n=x m=y {a=b m=y}"),
            ("| logfmt | keep m", "n=x m=y", "n=x m=y {m=y}"),
            (
                "| line_format \"<{{.a}}|{{__line__}}>\"",
                "l",
                "<b|l> {a=b}",
            ),
            ("| line_format \"{{.a}}\" |= \"b\"", "zzz", "b {a=b}"),
            ("| label_format c=a", "l", "l {c=b}"),
            (
                "| label_format c=\"{{.a}}!\",d=\"{{.c}}\"",
                "l",
                "l {a=b c=b! d=}",
            ),
            ("| regexp \"(?P<x>\\\\d+)\"", "a1", "a1 {a=b x=1}"),
            ("| pattern \"<m> <_>\"", "GET /", "GET / {a=b m=GET}"),
            (
                "| unpack",
                "{\"l\":\"v\",\"_entry\":\"new\"}",
                "new {a=b l=v}",
            ),
            ("| decolorize", "\u{1b}[31mred\u{1b}[0m", "red {a=b}"),
            ("| json | __error__=\"\"", "broken", "dropped"),
            (
                "| json | drop __error__, __error_details__",
                "broken",
                "broken {a=b}",
            ),
            (
                "| line_format \"{{ __timestamp__ | unixEpoch }}\"",
                "l",
                "1 {a=b}",
            ),
        ] {
            assert_eq!(run(stages, line), want, "{stages}");
        }
    }
}
