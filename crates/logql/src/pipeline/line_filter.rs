//! Line filters: `|= "a" or "b"`, `!~ "x"`, `|> "<_> y"`, `!= ip("...")`.

use headwater_regexp::Regex;
use memchr::memmem::Finder;

use super::ip::IpRange;
use super::pattern::Pattern;
use crate::ast::{LineFilter, LineOp, LineOperand};

/// One comparison of a line.
#[derive(Debug)]
enum Test {
    Contains(Box<Finder<'static>>),
    /// An expression, with a search for the text that every match holds, if there is one.
    Regex(Regex, Option<Box<Finder<'static>>>),
    Pattern(Pattern),
    Ip(IpRange),
}

impl Test {
    fn new(op: LineOp, operand: &LineOperand) -> Result<Self, String> {
        let text = operand.text.as_str();
        match (op, operand.ip) {
            (LineOp::Contains | LineOp::NotContains, true) => IpRange::parse(text).map(Self::Ip),
            (_, true) => Err("ip: invalid operation".to_owned()),
            (LineOp::Contains | LineOp::NotContains, false) => Ok(Self::Contains(Box::new(
                Finder::new(text.as_bytes()).into_owned(),
            ))),
            (LineOp::Matches | LineOp::NotMatches, false) => {
                let regex = Regex::new(text).map_err(|e| e.to_string())?;
                let finder = required(&regex).map(|text| Box::new(Finder::new(text).into_owned()));
                Ok(Self::Regex(regex, finder))
            }
            (LineOp::Pattern | LineOp::NotPattern, false) => {
                Pattern::for_filter(text).map(Self::Pattern)
            }
        }
    }

    fn holds(&self, line: &[u8]) -> bool {
        match self {
            Self::Contains(finder) => finder.find(line).is_some(),
            Self::Regex(regex, finder) => {
                let perhaps = |finder: &Finder<'_>| finder.find(line).is_some();
                finder.as_deref().is_none_or(perhaps) && regex.is_match_bytes(line)
            }
            Self::Pattern(pattern) => pattern.matches(line),
            Self::Ip(range) => range.is_in(line),
        }
    }
}

/// The text that every match holds. The character that stands for bytes that are no text is none:
/// those bytes themselves lie in the line.
fn required(regex: &Regex) -> Option<&[u8]> {
    let text = regex.required();
    (!text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)).then_some(text.as_bytes())
}

/// A compiled line filter.
#[derive(Debug)]
pub(crate) struct LineTest {
    negative: bool,
    tests: Vec<Test>,
}

impl LineTest {
    pub(crate) fn new(filter: &LineFilter) -> Result<Self, String> {
        let tests = filter.operands.iter().map(|o| Test::new(filter.op, o));
        Ok(Self {
            negative: filter.op.is_negative(),
            tests: tests.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a line passes.
    pub(crate) fn passes(&self, line: &[u8]) -> bool {
        self.tests.iter().any(|test| test.holds(line)) != self.negative
    }

    /// Texts of which every line that passes holds one; `None` if there are
    /// no such texts.
    pub(crate) fn needles(&self) -> Option<Vec<Vec<u8>>> {
        if self.negative {
            return None;
        }
        let needle = |test: &Test| match test {
            Test::Contains(finder) => Some(finder.needle().to_vec()),
            Test::Pattern(pattern) => pattern
                .literals()
                .max_by_key(|l| l.len())
                .map(<[u8]>::to_vec),
            Test::Regex(regex, _) => required(regex).map(<[u8]>::to_vec),
            Test::Ip(_) => None,
        };
        let needles: Option<Vec<Vec<u8>>> = self.tests.iter().map(needle).collect();
        needles.filter(|all| all.iter().all(|n| !n.is_empty()))
    }

    /// The only text that is looked for, if the filter is that simple, or that
    /// every match holds: then a search over a whole block finds the lines.
    pub(crate) fn finder(&self) -> Option<&Finder<'static>> {
        match (&self.tests[..], self.negative) {
            ([Test::Contains(finder)], false) if !finder.needle().is_empty() => Some(finder),
            ([Test::Regex(_, finder)], false) => finder.as_deref(),
            _ => None,
        }
    }
}
