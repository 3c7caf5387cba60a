//! The language in which filters and outputs say which messages they want
//! (`message_matcher`).
//!
//! ```
//! use headwater_pipeline::{Event, matcher::Matcher, message::Message};
//!
//! let matcher = Matcher::parse("Type == 'nginx.access' && Severity < 5")?;
//! let message = Message {
//!     kind: Some("nginx.access".into()),
//!     severity: Some(4),
//!     ..Message::default()
//! };
//! assert!(matcher.matches(&Event::from(message)));
//! # Ok::<(), headwater_pipeline::matcher::MatcherError>(())
//! ```

mod eval;
mod lex;
mod parse;
mod set;

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::event::Event;

use parse::{Expr, Parser};

pub use set::{Hits, MatcherSet};

/// Which reading of the language to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// heka's grammar without its accidents, and a little more: integers
    /// compare exactly, numbers may be negative, `!` negates, lines may be
    /// broken, `#` starts a comment.
    #[default]
    Extended,
    /// heka 0.11 to the letter: numbers compare as floats, a bad number is
    /// zero, of several expressions in a row the last decides, a line feed
    /// ends the expression, and a boolean field compared with anything but
    /// TRUE is compared with FALSE.
    Heka,
}

/// An expression that is not a matcher. Fix the expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "syntax error: last token: {last_token} pos: {pos} ({reason}, line {line} column {column})"
)]
#[non_exhaustive]
pub struct MatcherError {
    /// The last piece of text that was understood as a token.
    pub last_token: String,
    /// Bytes read when the error was found.
    pub pos: usize,
    /// Line of `pos`, from 1.
    pub line: usize,
    /// Column of `pos` in bytes, from 1.
    pub column: usize,
    /// What is wrong, or what was expected.
    pub reason: String,
}

impl MatcherError {
    fn new(text: &str, last_token: String, pos: usize, reason: String) -> MatcherError {
        let read = &text.as_bytes()[..pos];
        let line_start =
            memchr::memrchr(b'\n', &read[..pos.saturating_sub(1)]).map_or(0, |at| at + 1);
        MatcherError {
            last_token,
            pos,
            line: memchr::memchr_iter(b'\n', &read[..line_start]).count() + 1,
            column: (pos - line_start).max(1),
            reason,
        }
    }
}

/// A compiled expression.
#[derive(Clone)]
pub struct Matcher {
    source: Box<str>,
    expr: Expr,
    dialect: Dialect,
}

impl Matcher {
    /// Compiles an expression in the extended dialect.
    ///
    /// # Errors
    ///
    /// [`MatcherError`] with the place of the first fault.
    pub fn parse(text: &str) -> Result<Matcher, MatcherError> {
        Matcher::with_dialect(text, Dialect::Extended)
    }

    /// Compiles an expression in a given dialect.
    ///
    /// # Errors
    ///
    /// [`MatcherError`] with the place of the first fault.
    pub fn with_dialect(text: &str, dialect: Dialect) -> Result<Matcher, MatcherError> {
        Ok(Matcher {
            source: text.into(),
            expr: Parser::parse(text, dialect)?,
            dialect,
        })
    }

    /// Whether the message matches.
    pub fn matches(&self, event: &Event) -> bool {
        eval::matches(&self.expr, event, self.dialect)
    }

    /// The expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Matcher, MatcherError> {
        Matcher::parse(text)
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({:?})", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Field, Message};

    fn event() -> Event {
        Event::from(Message {
            timestamp: Some(9_007_199_254_740_993),
            kind: Some("TEST".into()),
            severity: Some(-1),
            payload: Some("two words".into()),
            fields: vec![
                Field::integer("n", 999, ""),
                Field::bool("b", false, ""),
                Field::string("s", "43", ""),
            ],
            ..Message::default()
        })
    }

    /// Each line: the expression, then what each dialect says of `event()`:
    /// `t`, `f`, or `!` for a syntax error; extended first, heka second.
    const CASES: &str = r#"
TRUE                                   | tt
FALSE || TRUE && FALSE                 | ff
(FALSE || TRUE) && !FALSE              | t!
Type == 'TEST' && Payload =~ /two/     | tt
Type =~ /^TEST$/                       | tt
Payload !~ /words$/                    | ff
Severity == -1                         | t!
Severity < 0                           | tt
Timestamp == 9007199254740992          | ft
Fields[n] == 999                       | tt
Fields[n] == '999'                     | ff
Fields[s] == 43                        | ff
Fields[n][1] == NIL                    | tt
Fields[n] != NIL                       | tt
Fields[missing] != 'x'                 | ff
Fields[b] == FALSE                     | tt
Fields[b] != 'true'                    | ft
Fields[b] != TRUE                      | !!
Severity == 6.0.0                      | !f
TRUE FALSE                             | !f
Type == "TEST" # why                   | t!
Type ==                                | !!
((TRUE)                                | !!
type == 'TEST'                         | !!
"#;

    #[test]
    fn both_dialects_judge_as_listed() {
        for line in CASES.lines().filter(|line| !line.is_empty()) {
            let (expr, wanted) = line.rsplit_once('|').unwrap();
            let judge = |dialect| match Matcher::with_dialect(expr.trim(), dialect) {
                Ok(matcher) if matcher.matches(&event()) => 't',
                Ok(_) => 'f',
                Err(_) => '!',
            };
            let got: String = [Dialect::Extended, Dialect::Heka]
                .map(judge)
                .iter()
                .collect();
            assert_eq!(got, wanted.trim(), "{expr}");
        }
    }

    #[test]
    fn an_error_says_where_and_what() {
        let error = Matcher::parse("Type == 'x' &&\n Sverity == 1").unwrap_err();
        assert_eq!((error.line, error.column), (2, 9));
        assert_eq!(error.reason, "unknown word Sverity, did you mean Severity?");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = format!("{}TRUE{}", "(".repeat(201), ")".repeat(201));
        assert!(Matcher::parse(&deep).is_err());
        let fair = format!("{}TRUE{}", "(".repeat(200), ")".repeat(200));
        assert!(Matcher::parse(&fair).is_ok());
    }
}
