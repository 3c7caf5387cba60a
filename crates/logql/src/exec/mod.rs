//! Carrying a query out.

mod binary;
mod engine;
mod logs;
mod metric;
mod range;
mod rows;
mod samples;
mod scan;
mod tail;
mod vector;
mod window;

use headwater_model::Labels;
use headwater_query::QueryError;
use headwater_storage::{LogBlock, LogCursor};

use crate::ast::{BinaryOp, Stage};
use crate::pipeline::Pipeline;

pub use engine::{Engine, EngineLimits, LogAnswer, LogQuery, LogStats, LogValue};
pub use logs::{Entry, Pairs, Stream};
pub use samples::{LineSample, SampleSeries};
pub(crate) use scan::Scan;
pub use tail::Tail;

/// Walks over the streams of a cursor: calls `visit` with the labels of each
/// stream, then with each of its blocks.
fn work_through(
    mut cursor: Box<dyn LogCursor>,
    scan: &Scan,
    mut visit: impl FnMut(Option<&Labels>, &LogBlock) -> Result<(), QueryError>,
) -> Result<(), QueryError> {
    let mut block = LogBlock::default();
    while let Some(labels) = cursor.advance()? {
        visit(Some(&labels), &block)?;
        while cursor.read(&mut block)? {
            scan.check()?;
            visit(None, &block)?;
        }
    }
    scan.costs(cursor.costs());
    scan.warn(cursor.take_warnings());
    Ok(())
}

/// The entries of a block that the pipeline may let pass, in order: all, or
/// those that a search for its first text over the whole block finds.
fn candidates<'a>(
    pipeline: &'a Pipeline,
    block: &'a LogBlock,
) -> impl Iterator<Item = usize> + use<'a> {
    let finder = pipeline.finder().filter(|_| !block.text().is_empty());
    let mut from = 0;
    let mut next = 0;
    std::iter::from_fn(move || {
        let Some(finder) = finder else {
            next += 1;
            return (next <= block.len()).then_some(next - 1);
        };
        loop {
            let found = from + finder.find(block.text().get(from..)?)?;
            from = found + 1;
            // A text may also stand where two lines meet; then the filter
            // itself says no.
            if let Some(at) = block.entry_at(found)
                && at >= next
            {
                next = at + 1;
                return Some(at);
            }
        }
    })
}

/// Removes `line_format` where nothing reads the line any more.
fn drop_useless_line_formats(stages: &mut Vec<Stage>) {
    let reads = |stage: &Stage| {
        matches!(
            stage,
            Stage::LineFilter(_)
                | Stage::Json(_)
                | Stage::Logfmt { .. }
                | Stage::Regexp(_)
                | Stage::Pattern(_)
                | Stage::Unpack
        )
    };
    let last = stages.iter().rposition(reads);
    let mut at = 0;
    stages.retain(|stage| {
        at += 1;
        !matches!(stage, Stage::LineFormat(_)) || last.is_some_and(|last| at - 1 < last)
    });
}

/// The result of an operator on two numbers. Comparisons give 1 or 0; a
/// divisor of 0 gives NaN, as in Loki.
pub(crate) fn scalar_operation(op: BinaryOp, a: f64, b: f64) -> f64 {
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div | BinaryOp::Mod if b == 0.0 => f64::NAN,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Equal => truth(a == b),
        BinaryOp::NotEqual => truth(a != b),
        BinaryOp::Greater => truth(a > b),
        BinaryOp::GreaterEqual => truth(a >= b),
        BinaryOp::Less => truth(a < b),
        BinaryOp::LessEqual => truth(a <= b),
        BinaryOp::Or | BinaryOp::And | BinaryOp::Unless => f64::NAN,
    }
}
