//! Go's Perl-flavoured RE2 grammar, parsed into a [`Hir`].
//!
//! The parser keeps its own stack, so a hostile pattern cannot exhaust the thread's stack.
//! It works on what is left of the pattern (`rest`), because Go reports errors as the piece
//! of pattern between where a construct began and what is left.

use regex_syntax::hir::{
    Capture, Class, ClassUnicode, ClassUnicodeRange, Dot, Hir, Look, Repetition,
};

use crate::error::{Error, ErrorKind};

/// Largest count in `{n,m}`, also for the product of nested counts (Go's limit).
const MAX_REPEAT: u32 = 1000;
/// Deepest nesting of groups, repetitions and alternations (Go's limit).
const MAX_HEIGHT: u32 = 1000;

/// What `(?flags)` switches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// `i`: letters match in any case.
    pub(crate) fold_case: bool,
    /// `m`: `^` and `$` match at lines.
    pub(crate) multi_line: bool,
    /// `s`: `.` matches a line feed.
    pub(crate) dot_nl: bool,
    /// `U`: `x*` is lazy and `x*?` is greedy.
    pub(crate) swap_greed: bool,
}

/// A parsed pattern.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) hir: Hir,
    /// Name of each group; group 0 is the whole match. Go allows a name twice, which
    /// regex-automata refuses, so the names never reach it.
    pub(crate) names: Vec<Option<Box<str>>>,
    /// Levels of nesting, at most [`MAX_HEIGHT`].
    pub(crate) height: u32,
}

/// One parsed piece, with what Go's limits need to know about it.
struct Item {
    hir: Hir,
    /// Product of the nested `{n,m}` counts inside.
    repeats: u32,
    height: u32,
}

/// An open group, or the pattern itself.
#[derive(Default)]
struct Group {
    /// `None` for `(?:`.
    capture: Option<u32>,
    /// Flags to restore behind the closing parenthesis.
    outer_flags: Flags,
    branches: Vec<Item>,
    items: Vec<Item>,
}

pub(crate) struct Parser<'p> {
    pattern: &'p str,
    pub(crate) flags: Flags,
    outer: Vec<Group>,
    group: Group,
    names: Vec<Option<Box<str>>>,
}

/// Parses `pattern` beginning with `flags`.
pub(crate) fn parse(pattern: &str, flags: Flags) -> Result<Parsed, Error> {
    let parser = Parser {
        pattern,
        flags,
        outer: Vec::new(),
        group: Group::default(),
        names: vec![None],
    };
    parser.run()
}

impl<'p> Parser<'p> {
    fn run(mut self) -> Result<Parsed, Error> {
        let mut rest = self.pattern;
        // Where the repetition operator directly before `rest` began, if there is one.
        let mut last_repeat: Option<&str> = None;
        while let Some(c) = rest.chars().next() {
            let mut repeat = None;
            rest = match c {
                '(' => self.open(rest)?,
                ')' => self.close(rest)?,
                '|' => {
                    self.end_branch();
                    &rest[1..]
                }
                '*' | '+' | '?' => {
                    repeat = Some(rest);
                    let (min, max) = match c {
                        '*' => (0, None),
                        '+' => (1, None),
                        _ => (0, Some(1)),
                    };
                    self.repeat(min, max, false, rest, &rest[1..], last_repeat)?
                }
                '{' => match counts(rest) {
                    None => self.literal(c, rest),
                    Some((count, after)) => {
                        repeat = Some(rest);
                        let (min, max) = count.ok_or_else(|| {
                            Error::new(ErrorKind::InvalidRepeatSize, consumed(rest, after))
                        })?;
                        self.repeat(min, max, true, rest, after, last_repeat)?
                    }
                },
                '\\' => self.backslash(rest)?,
                '[' => {
                    let (class, after) = self.bracket(rest)?;
                    self.push_class(class);
                    after
                }
                '^' => self.look(
                    if self.flags.multi_line {
                        Look::StartLF
                    } else {
                        Look::Start
                    },
                    &rest[1..],
                ),
                '$' => self.look(
                    if self.flags.multi_line {
                        Look::EndLF
                    } else {
                        Look::End
                    },
                    &rest[1..],
                ),
                '.' => {
                    self.push(Hir::dot(if self.flags.dot_nl {
                        Dot::AnyChar
                    } else {
                        Dot::AnyCharExceptLF
                    }));
                    &rest[1..]
                }
                c => self.literal(c, rest),
            };
            last_repeat = repeat;
        }
        if !self.outer.is_empty() {
            return Err(Error::new(ErrorKind::MissingParen, self.pattern));
        }
        let whole = self.finish_group();
        self.check_height(&whole)?;
        Ok(Parsed {
            hir: whole.hir,
            names: self.names,
            height: whole.height,
        })
    }

    fn push(&mut self, hir: Hir) {
        self.group.items.push(Item {
            hir,
            repeats: 1,
            height: 1,
        });
    }

    pub(crate) fn push_class(&mut self, class: ClassUnicode) {
        self.push(Hir::class(Class::Unicode(class)));
    }

    pub(crate) fn push_char(&mut self, c: char) {
        if self.flags.fold_case {
            let mut class = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
            class.case_fold_simple();
            self.push_class(class);
        } else {
            self.push(Hir::literal(c.encode_utf8(&mut [0; 4]).as_bytes()));
        }
    }

    fn literal<'r>(&mut self, c: char, rest: &'r str) -> &'r str {
        self.push_char(c);
        &rest[c.len_utf8()..]
    }

    fn look<'r>(&mut self, look: Look, after: &'r str) -> &'r str {
        self.push(Hir::look(look));
        after
    }

    fn backslash(&mut self, rest: &'p str) -> Result<&'p str, Error> {
        let after = || &rest[2..];
        match rest.as_bytes().get(1) {
            Some(b'A') => return Ok(self.look(Look::Start, after())),
            Some(b'z') => return Ok(self.look(Look::End, after())),
            Some(b'b') => return Ok(self.look(Look::WordAscii, after())),
            Some(b'B') => return Ok(self.look(Look::WordAsciiNegate, after())),
            Some(b'C') => return Err(Error::new(ErrorKind::InvalidEscape, &rest[..2])),
            Some(b'Q') => {
                let (quoted, after) = after().split_once("\\E").unwrap_or((after(), ""));
                quoted.chars().for_each(|c| self.push_char(c));
                return Ok(after);
            }
            _ => {}
        }
        if let Some((class, after)) = self.escaped_class(rest)? {
            self.push_class(class);
            return Ok(after);
        }
        let (code, after) = crate::escape::escape(rest)?;
        match char::from_u32(code) {
            Some(c) => self.push_char(c),
            // A surrogate: Go accepts the escape, and no valid text contains one.
            None => self.push(Hir::fail()),
        }
        Ok(after)
    }

    fn repeat(
        &mut self,
        min: u32,
        max: Option<u32>,
        counted: bool,
        before: &str,
        mut after: &'p str,
        last_repeat: Option<&str>,
    ) -> Result<&'p str, Error> {
        let mut greedy = !self.flags.swap_greed;
        if let Some(lazy) = after.strip_prefix('?') {
            after = lazy;
            greedy = !greedy;
        }
        if let Some(last) = last_repeat {
            return Err(Error::new(
                ErrorKind::InvalidRepeatOp,
                consumed(last, after),
            ));
        }
        let Some(item) = self.group.items.pop() else {
            return Err(Error::new(
                ErrorKind::MissingRepeatArgument,
                consumed(before, after),
            ));
        };
        let factor = if counted { max.unwrap_or(min) } else { 1 };
        let repeats = if factor == 0 {
            1
        } else {
            item.repeats.saturating_mul(factor)
        };
        if repeats > MAX_REPEAT {
            return Err(Error::new(
                ErrorKind::InvalidRepeatSize,
                consumed(before, after),
            ));
        }
        let hir = Hir::repetition(Repetition {
            min,
            max,
            greedy,
            sub: Box::new(item.hir),
        });
        let item = Item {
            hir,
            repeats,
            height: item.height + 1,
        };
        self.check_height(&item)?;
        self.group.items.push(item);
        Ok(after)
    }

    fn check_height(&self, item: &Item) -> Result<(), Error> {
        if item.height > MAX_HEIGHT || self.outer.len() as u32 > MAX_HEIGHT {
            return Err(Error::new(ErrorKind::NestingDepth, self.pattern));
        }
        Ok(())
    }

    fn end_branch(&mut self) {
        let items = std::mem::take(&mut self.group.items);
        self.group.branches.push(combine(items, Hir::concat));
    }

    fn finish_group(&mut self) -> Item {
        self.end_branch();
        combine(std::mem::take(&mut self.group.branches), Hir::alternation)
    }

    fn open(&mut self, rest: &'p str) -> Result<&'p str, Error> {
        if !rest.starts_with("(?") {
            self.push_group(Some(None), self.flags);
            return Ok(&rest[1..]);
        }
        for prefix in ["(?P<", "(?<"] {
            // A lone `(?P<` falls through to the flags, as it does in Go.
            if rest.len() > prefix.len() && rest.starts_with(prefix) {
                return self.open_named(rest, prefix.len());
            }
        }
        self.open_flags(rest)
    }

    fn open_named(&mut self, rest: &'p str, name_at: usize) -> Result<&'p str, Error> {
        let invalid = |part: &str| Err(Error::new(ErrorKind::InvalidNamedCapture, part));
        let Some(end) = rest.find('>') else {
            return invalid(rest);
        };
        let name = rest.get(name_at..end).unwrap_or_default();
        if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
            return invalid(&rest[..=end]);
        }
        self.push_group(Some(Some(name.into())), self.flags);
        Ok(&rest[end + 1..])
    }

    /// `(?flags)` changes the flags up to the end of the group, `(?flags:` opens one.
    fn open_flags(&mut self, rest: &'p str) -> Result<&'p str, Error> {
        let mut flags = self.flags;
        let mut on = true;
        let mut saw_flag = false;
        let mut chars = rest[2..].chars();
        while let Some(c) = chars.next() {
            match c {
                'i' => flags.fold_case = on,
                'm' => flags.multi_line = on,
                's' => flags.dot_nl = on,
                'U' => flags.swap_greed = on,
                '-' if on => {
                    on = false;
                    saw_flag = false;
                    continue;
                }
                ':' | ')' if on || saw_flag => {
                    if c == ':' {
                        self.push_group(None, self.flags);
                    }
                    self.flags = flags;
                    return Ok(chars.as_str());
                }
                _ => {
                    return Err(Error::new(
                        ErrorKind::InvalidPerlOp,
                        consumed(rest, chars.as_str()),
                    ));
                }
            }
            saw_flag = true;
        }
        Err(Error::new(ErrorKind::InvalidPerlOp, rest))
    }

    /// `capture` is `None` for a plain group, else the optional name.
    fn push_group(&mut self, capture: Option<Option<Box<str>>>, outer_flags: Flags) {
        let capture = capture.map(|name| {
            self.names.push(name);
            (self.names.len() - 1) as u32
        });
        let group = Group {
            capture,
            outer_flags,
            ..Group::default()
        };
        self.outer.push(std::mem::replace(&mut self.group, group));
    }

    fn close(&mut self, rest: &'p str) -> Result<&'p str, Error> {
        let Some(outer) = self.outer.pop() else {
            return Err(Error::new(ErrorKind::UnexpectedParen, self.pattern));
        };
        let mut item = self.finish_group();
        let group = std::mem::replace(&mut self.group, outer);
        self.flags = group.outer_flags;
        if let Some(index) = group.capture {
            item.hir = Hir::capture(Capture {
                index,
                name: None,
                sub: Box::new(item.hir),
            });
            item.height += 1;
        }
        self.check_height(&item)?;
        self.group.items.push(item);
        Ok(&rest[1..])
    }
}

/// Joins pieces with `join`, or returns the only one.
fn combine(mut items: Vec<Item>, join: fn(Vec<Hir>) -> Hir) -> Item {
    if items.len() == 1
        && let Some(only) = items.pop()
    {
        return only;
    }
    let repeats = items.iter().map(|item| item.repeats).max().unwrap_or(1);
    let height = 1 + items.iter().map(|item| item.height).max().unwrap_or(0);
    let hir = join(items.into_iter().map(|item| item.hir).collect());
    Item {
        hir,
        repeats,
        height,
    }
}

/// The part of the pattern from `before` up to where `after` begins.
pub(crate) fn consumed<'r>(before: &'r str, after: &str) -> &'r str {
    &before[..before.len() - after.len()]
}

/// Least and greatest number of repetitions; no greatest one means without end.
type Counts = (u32, Option<u32>);

/// Reads `{n}`, `{n,}` or `{n,m}`. `None`: not a count, so `{` stands for itself.
/// `Some((None, _))`: a count that no pattern may have.
fn counts(rest: &str) -> Option<(Option<Counts>, &str)> {
    let (min, after) = number(&rest[1..])?;
    let (max, after) = match after.strip_prefix(',') {
        None => (Some(min), after),
        Some(after) if after.starts_with('}') => (None, after),
        Some(after) => {
            let (max, after) = number(after)?;
            (Some(max), after)
        }
    };
    let after = after.strip_prefix('}')?;
    let valid = min <= MAX_REPEAT && max.is_none_or(|max| max <= MAX_REPEAT && min <= max);
    Some((valid.then_some((min, max)), after))
}

/// A decimal number without leading zeros; a longer one than `u32` holds becomes its maximum.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let digits = &text[..end];
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(pattern: &str, message: &str) {
        match parse(pattern, Flags::default()) {
            Ok(parsed) => panic!("{pattern} was accepted as {:?}", parsed.hir),
            Err(error) => assert_eq!(
                error.to_string(),
                format!("error parsing regexp: {message}")
            ),
        }
    }

    #[test]
    fn mistakes_are_told_as_go_tells_them() {
        refused("*", "missing argument to repetition operator: `*`");
        refused("(*)", "missing argument to repetition operator: `*`");
        refused("a|+?", "missing argument to repetition operator: `+?`");
        refused("(?i)*", "missing argument to repetition operator: `*`");
        refused("(abc", "missing closing ): `(abc`");
        refused("abc)", "unexpected ): `abc)`");
        refused("x[a-z", "missing closing ]: `[a-z`");
        refused("[z-a]", "invalid character class range: `z-a`");
        refused("[[:nope:]]", "invalid character class range: `[:nope:]`");
        refused(
            r"\p{Klingon}",
            r"invalid character class range: `\p{Klingon}`",
        );
        refused(r"\p{Han", r"invalid character class range: `\p{Han`");
        refused("abc\\", "trailing backslash at end of expression: ``");
        refused("a**", "invalid nested repetition operator: `**`");
        refused("a*+b", "invalid nested repetition operator: `*+`");
        refused("a{2}{3}", "invalid nested repetition operator: `{2}{3}`");
        refused(r"\x", r"invalid escape sequence: `\x`");
        refused(r"\1", r"invalid escape sequence: `\1`");
        refused(r"\Cx", r"invalid escape sequence: `\C`");
        refused("a{1001}", "invalid repeat count: `{1001}`");
        refused("a{2,1}", "invalid repeat count: `{2,1}`");
        refused("a{99999999999,}", "invalid repeat count: `{99999999999,}`");
        refused("((a{100}){10}){2}", "invalid repeat count: `{2}`");
        refused("(?=a)", "invalid or unsupported Perl syntax: `(?=`");
        refused("(?i-)", "invalid or unsupported Perl syntax: `(?i-)`");
        refused("(?i", "invalid or unsupported Perl syntax: `(?i`");
        refused("(?P<n", "invalid named capture: `(?P<n`");
        refused("(?P<x y>a)", "invalid named capture: `(?P<x y>`");
        refused("(?<>a)", "invalid named capture: `(?<>`");
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |n: usize| format!("{}a{}", "(".repeat(n), ")".repeat(n));
        assert!(parse(&nested(500), Flags::default()).is_ok());
        let error = parse(&nested(100_000), Flags::default()).expect_err("too deep");
        assert_eq!(error.kind(), ErrorKind::NestingDepth);
    }

    #[test]
    fn braces_without_a_count_are_plain() {
        for pattern in ["{", "a{,2}", "a{x}", "a{1,x}", "a{01}", "}", "a{"] {
            assert!(parse(pattern, Flags::default()).is_ok(), "{pattern}");
        }
    }
}
