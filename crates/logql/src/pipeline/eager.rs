//! Label filters that judge a label as soon as a parser has found it.
//!
//! Loki's parsers stop reading a line once a label that they have just set does not pass the first
//! filter on it. That filter may stand behind stages that would have changed the label: such a line is
//! dropped, or gets the error of a value that no filter should have seen. Dashboards rely on what they
//! have always been answered, so we do the same. Where nothing changes labels in between, judging
//! twice would change nothing, and is left out.

use super::label_test::LabelTest;
use super::record::Record;
use crate::ast::{LabelFilter, Stage};
use crate::error::ParseError;

/// The most filters that judge early: as many as a mask has bits.
const MAX_TESTS: usize = 64;

/// For each label the first filter on it, where a stage before it changes labels.
#[derive(Debug, Default)]
pub(crate) struct Eager(Vec<(String, LabelTest)>);

impl Eager {
    pub(crate) fn of(stages: &[Stage]) -> Result<Self, ParseError> {
        let mut tests: Vec<(String, LabelTest)> = Vec::new();
        let (mut seen, mut parsed, mut changed) = (Vec::new(), false, false);
        for stage in stages {
            match stage {
                Stage::Json(_) | Stage::Logfmt { .. } | Stage::Regexp(_) | Stage::Pattern(_) => {
                    parsed = true;
                }
                // What is done before the first parser changes nothing that it finds.
                Stage::LabelFormat(_) | Stage::Drop(_) | Stage::Keep(_) => changed = parsed,
                Stage::LabelFilter(filter) => {
                    let Some(name) = only_label(filter).filter(|name| !seen.contains(name)) else {
                        continue;
                    };
                    seen.push(name);
                    if changed && tests.len() < MAX_TESTS {
                        tests.push((name.to_owned(), super::label_test(filter, stage)?));
                    }
                }
                _ => {}
            }
        }
        Ok(Self(tests))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A mask of the labels that parsers have found so far.
    pub(crate) fn found(&self, record: &Record) -> u64 {
        let tests = self.0.iter().enumerate();
        tests.fold(0, |mask, (at, (name, _))| {
            mask | u64::from(record.has_parsed(name)) << at
        })
    }

    /// Whether the line goes on: what was found since `before` passes.
    pub(crate) fn pass(&self, before: u64, record: &mut Record) -> bool {
        let new = self.found(record) & !before;
        let tests = self.0.iter().enumerate();
        tests
            .filter(|(at, _)| new >> at & 1 == 1)
            .all(|(_, (_, test))| test.passes(record))
    }
}

/// The label of a condition that is not put together from others.
fn only_label(filter: &LabelFilter) -> Option<&str> {
    match filter {
        LabelFilter::And(..) | LabelFilter::Or(..) => None,
        LabelFilter::Text(matcher) => Some(&matcher.name),
        LabelFilter::Number(name, ..)
        | LabelFilter::Duration(name, ..)
        | LabelFilter::Bytes(name, ..)
        | LabelFilter::Ip(name, ..) => Some(name),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::run;

    #[test]
    fn the_first_filter_sees_what_the_parser_found() {
        for (stages, line, want) in [
            // Without the label at all the filter would pass.
            (
                "| logfmt | drop level | level=\"\"",
                "level=info",
                "dropped",
            ),
            ("| logfmt | drop level | level=\"\"", "x=1", "x=1 {a=b x=1}"),
            (
                "| logfmt | label_format d=\"7\" | d > 2",
                "d=1m",
                "d=1m {__error__=LabelFilterErr __error_details__=strconv.ParseFloat: parsing \"1m\": invalid syntax a=b d=7}",
            ),
            // A filter put together from several waits for its turn.
            (
                "| logfmt | drop level | level=\"\" or x=\"1\"",
                "level=info",
                "level=info {a=b}",
            ),
        ] {
            assert_eq!(run(stages, line), want, "{stages}");
        }
    }
}
