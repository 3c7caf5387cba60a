//! The compiled pattern.

mod bytes;

pub use bytes::Groups;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::hir::{Hir, Look};

use crate::analysis;
use crate::captures::Captures;
use crate::error::{Error, ErrorKind};
use crate::matcher::{Fast, Glob};
use crate::parser::{Flags, Parsed, parse};
use crate::search::{Search, compile, never};

/// What a pattern may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Greatest size of the compiled program, in bytes. Default: 16 MiB.
    pub program_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            program_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// Sets [`Limits::program_bytes`].
    pub fn with_program_bytes(mut self, bytes: usize) -> Self {
        self.program_bytes = bytes;
        self
    }
}

/// A compiled pattern. Cloning is cheap.
#[derive(Clone)]
pub struct Regex(Arc<Inner>);

struct Inner {
    source: Box<str>,
    anchored: bool,
    hir: Hir,
    height: u32,
    names: Vec<Option<Box<str>>>,
    set: Option<Vec<String>>,
    prefix: String,
    required: String,
    matches_empty: bool,
    test: Test,
    /// Finds where the groups are; built when first asked for.
    full: OnceLock<meta::Regex>,
}

/// How to tell whether a text matches at all.
enum Test {
    Always,
    Fast(Fast),
    Search(Search),
}

impl Regex {
    /// Compiles a pattern that may match anywhere in a text, as Go's `regexp.Compile` does.
    ///
    /// # Errors
    /// [`Error`] with Go's text if the pattern is not valid.
    pub fn new(pattern: &str) -> Result<Self, Error> {
        Self::with_limits(pattern, false, Limits::default())
    }

    /// Compiles a pattern that has to match a whole text, and whose dot matches a line feed:
    /// the meaning of `=~` in selectors and of `regex` in relabelling, `^(?s:pattern)$`.
    ///
    /// # Errors
    /// [`Error`] with Go's text if the pattern is not valid.
    pub fn anchored(pattern: &str) -> Result<Self, Error> {
        Self::with_limits(pattern, true, Limits::default())
    }

    /// Like [`Regex::new`], from bytes that may not be text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidUtf8`], and whatever [`Regex::new`] refuses.
    pub fn from_bytes(pattern: &[u8]) -> Result<Self, Error> {
        match std::str::from_utf8(pattern) {
            Ok(pattern) => Self::new(pattern),
            Err(_) => Err(Error::new(
                ErrorKind::InvalidUtf8,
                String::from_utf8_lossy(pattern),
            )),
        }
    }

    /// Like [`Regex::anchored`] or [`Regex::new`], within other limits.
    ///
    /// # Errors
    /// [`Error`] with Go's text if the pattern is not valid or exceeds the limits.
    pub fn with_limits(pattern: &str, anchored: bool, limits: Limits) -> Result<Self, Error> {
        let parsed = parse(
            pattern,
            Flags {
                dot_nl: anchored,
                ..Flags::default()
            },
        )?;
        let height = parsed.height;
        on_deep_stack(height, || Inner::new(pattern, anchored, parsed, limits))
            .map(|inner| Self(Arc::new(inner)))
            .ok_or_else(|| Error::new(ErrorKind::TooLarge, pattern))
    }

    /// The pattern as it was given.
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// Whether the whole text has to match.
    pub fn is_anchored(&self) -> bool {
        self.0.anchored
    }

    /// Whether the text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.test.is_match(text.as_bytes())
    }

    /// Whether the bytes match, where each byte that is not part of valid UTF-8 counts as
    /// the replacement character U+FFFD, as in Go.
    pub fn is_match_bytes(&self, bytes: &[u8]) -> bool {
        // A match found on the raw bytes holds in any reading; only its absence needs a check.
        self.0.test.is_match(bytes)
            || (std::str::from_utf8(bytes).is_err()
                && self.0.test.is_match(replace_invalid(bytes).as_bytes()))
    }

    /// Whether the empty text matches: then a label that is absent matches too.
    pub fn matches_empty(&self) -> bool {
        self.0.matches_empty
    }

    /// All texts that an anchored pattern matches, sorted, if they are few and the pattern is finite:
    /// `a|b|c`, `ab[12]`, `x(y|z)?`. At most some 16000 alternatives or 256 combinations.
    pub fn literal_set(&self) -> Option<&[String]> {
        self.0.set.as_deref()
    }

    /// What every match of an anchored pattern begins with; often empty.
    pub fn prefix(&self) -> &str {
        &self.0.prefix
    }

    /// The longest text that stands in every match; often empty. A search for it rules texts out
    /// much faster than the pattern does.
    pub fn required(&self) -> &str {
        &self.0.required
    }

    /// Whether an anchored pattern matches every text, as `.*` does.
    pub fn matches_everything(&self) -> bool {
        matches!(self.0.test, Test::Always)
    }

    /// Number of groups, the whole match included.
    pub fn group_count(&self) -> usize {
        self.0.names.len()
    }

    /// The name of each group; the first is the whole match, which has none.
    pub fn group_names(&self) -> impl ExactSizeIterator<Item = Option<&str>> {
        self.0.names.iter().map(Option::as_deref)
    }

    /// Where the first match is, in bytes.
    pub fn find(&self, text: &str) -> Option<std::ops::Range<usize>> {
        self.0.full().find(text).map(|found| found.range())
    }

    /// The groups of the first match.
    pub fn captures<'t>(&self, text: &'t str) -> Option<Captures<'_, 't>> {
        self.captures_from(text, 0)
    }

    fn captures_from<'t>(&self, text: &'t str, start: usize) -> Option<Captures<'_, 't>> {
        let full = self.0.full();
        let mut inner = full.create_captures();
        full.search_captures(&Input::new(text).range(start..), &mut inner);
        inner.is_match().then_some(Captures {
            text,
            inner,
            names: &self.0.names,
        })
    }

    /// The groups of each match, leftmost first and without overlap. An empty match that
    /// touches the match before it is left out, as in Go.
    pub fn captures_iter<'r, 't>(
        &'r self,
        text: &'t str,
    ) -> impl Iterator<Item = Captures<'r, 't>> {
        let mut at = 0;
        let mut last_end = None;
        std::iter::from_fn(move || {
            while at <= text.len() {
                let found = self.captures_from(text, at)?;
                let range = found.range(0)?;
                at = if range.end > at {
                    range.end
                } else {
                    next_char(text, at)
                };
                let touches = range.is_empty() && last_end == Some(range.start);
                last_end = Some(range.end);
                if !touches {
                    return Some(found);
                }
            }
            None
        })
    }

    /// Replaces each match by `template`, in which `$1`, `${name}` and `$$` have the meaning
    /// described at [`Captures::expand`].
    pub fn replace_all<'t>(&self, text: &'t str, template: &str) -> Cow<'t, str> {
        self.replace_all_with(text, |captures, out| captures.expand(template, out))
    }

    /// Replaces each match by `replacement` as it is.
    pub fn replace_all_literal<'t>(&self, text: &'t str, replacement: &str) -> Cow<'t, str> {
        self.replace_all_with(text, |_, out| out.push_str(replacement))
    }

    /// Replaces each match by what `replace` appends to the string it is given.
    pub fn replace_all_with<'t>(
        &self,
        text: &'t str,
        mut replace: impl FnMut(&Captures<'_, 't>, &mut String),
    ) -> Cow<'t, str> {
        let mut out = String::new();
        let mut copied = 0;
        let mut changed = false;
        for captures in self.captures_iter(text) {
            let Some(range) = captures.range(0) else {
                continue;
            };
            out.push_str(&text[copied..range.start]);
            replace(&captures, &mut out);
            copied = range.end;
            changed = true;
        }
        if !changed {
            return Cow::Borrowed(text);
        }
        out.push_str(&text[copied..]);
        Cow::Owned(out)
    }
}

impl Inner {
    /// `None` if the program is larger than the limit.
    fn new(pattern: &str, anchored: bool, parsed: Parsed, limits: Limits) -> Option<Self> {
        let Parsed { hir, names, height } = parsed;
        let set = if anchored {
            analysis::literal_set(&hir)
        } else {
            None
        };
        let prefix = if anchored {
            analysis::prefix(&hir)
        } else {
            Vec::new()
        };
        let required = String::from_utf8(analysis::required(&hir)).unwrap_or_default();
        let test = Test::new(&hir, anchored, set.as_deref(), (pattern, limits))?;
        let hir = match anchored {
            true => Hir::concat(vec![Hir::look(Look::Start), hir, Hir::look(Look::End)]),
            false => hir,
        };
        Some(Self {
            source: pattern.into(),
            anchored,
            hir,
            height,
            names,
            set,
            prefix: String::from_utf8(prefix).unwrap_or_default(),
            required,
            matches_empty: test.matches_empty(),
            test,
            full: OnceLock::new(),
        })
    }

    fn full(&self) -> &meta::Regex {
        // Without a limit: the test is within its own, or needs no program because the
        // pattern is a set or a glob, whose program is proportional to the pattern.
        let compiled = || on_deep_stack(self.height, || compile(&self.hir, None));
        self.full.get_or_init(|| compiled().unwrap_or_else(never))
    }
}

/// Runs `work`, on a thread with a larger stack if the pattern nests deeply: the libraries
/// below recurse, and a server's worker threads have stacks of two megabytes.
fn on_deep_stack<T: Send>(height: u32, work: impl FnOnce() -> Option<T> + Send) -> Option<T> {
    /// What one level of nesting may take in a build without optimisation.
    const STACK_BYTES_PER_LEVEL: usize = 32 << 10;
    /// Up to so many levels any thread's stack suffices.
    const SHALLOW: u32 = 50;
    if height <= SHALLOW {
        return work();
    }
    let stack = STACK_BYTES_PER_LEVEL * height as usize;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(stack)
            .spawn_scoped(scope, work);
        // Without a thread there is no room for such a pattern: refuse it as too large.
        let result = thread.ok()?.join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl Test {
    fn new(
        hir: &Hir,
        anchored: bool,
        set: Option<&[String]>,
        (pattern, limits): (&str, Limits),
    ) -> Option<Self> {
        if let Some(set) = set {
            return Some(Self::Fast(Fast::from_set(set)));
        }
        let mut parts = analysis::top_level(hir);
        let free = |part: &Hir| {
            analysis::gap(part).is_some_and(|gap| !gap.min_one && (gap.line_feeds || !anchored))
        };
        if anchored && let Some(glob) = analysis::pieces(hir).as_deref().and_then(Glob::from_pieces)
        {
            return Some(if parts.iter().all(|part| free(part)) {
                Self::Always
            } else {
                Self::Fast(Fast::Glob(glob))
            });
        }
        // A gap at an end is no constraint: `^.*x` is a search for `x`. What remains can use
        // the searcher's literal prefilters.
        let start = parts.iter().take_while(|part| free(part)).count();
        parts.drain(..start);
        let end = parts.iter().rev().take_while(|part| free(part)).count();
        parts.truncate(parts.len() - end);
        let mut kept: Vec<Hir> = parts.into_iter().cloned().collect();
        if anchored && start == 0 {
            kept.insert(0, Hir::look(Look::Start));
        }
        if anchored && end == 0 {
            kept.push(Hir::look(Look::End));
        }
        if kept.is_empty() {
            return Some(Self::Always);
        }
        Search::new(Hir::concat(kept), pattern, limits.program_bytes).map(Self::Search)
    }

    fn is_match(&self, text: &[u8]) -> bool {
        match self {
            Self::Always => true,
            Self::Fast(fast) => fast.is_match(text),
            Self::Search(search) => search.is_match(text),
        }
    }

    fn matches_empty(&self) -> bool {
        match self {
            Self::Search(search) => search.matches_empty(),
            test => test.is_match(b""),
        }
    }
}

/// Index behind the character at `at`, or one behind the end.
fn next_char(text: &str, at: usize) -> usize {
    at + text[at..].chars().next().map_or(1, char::len_utf8)
}

/// Each invalid byte becomes one replacement character.
fn replace_invalid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.0.anchored {
            "Regex::anchored"
        } else {
            "Regex::new"
        };
        f.debug_tuple(name).field(&self.0.source).finish()
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.source)
    }
}

/// Two expressions are equal when they were written alike and are both anchored or both not.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.0.source == other.0.source && self.0.anchored == other.0.anchored
    }
}

impl Eq for Regex {}

impl std::hash::Hash for Regex {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.source.hash(state);
        self.0.anchored.hash(state);
    }
}
