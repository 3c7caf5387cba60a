//! Tokens to a tree: precedence climbing over hand-written rules.

mod aggregate;
mod duration;
mod expr;
mod literal;
mod selector;

use super::ast::{Expr, VectorSelector};
use super::check;
use super::error::ParseError;
use super::lex::{Item, Lexer};
use super::position::PosRange;
use super::token::Token;

/// Deepest nesting of parentheses, calls and the like: the parser is recursive, so this bounds its stack.
pub const MAX_NESTING: u32 = 200;

/// Deepest tree; a chain of operators deepens it by one for each. Evaluation is recursive.
pub const MAX_DEPTH: u32 = 1000;

/// Longest query in bytes: positions are 32 bits wide and nobody writes more by hand.
pub const MAX_QUERY_BYTES: usize = 4 << 20;

/// Which parts of the language are enabled beyond the stable ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseOptions {
    /// Experimental functions and aggregations (`promql-experimental-functions`).
    pub experimental_functions: bool,
    /// `anchored` and `smoothed` (`promql-extended-range-selectors`).
    pub extended_ranges: bool,
    /// `fill`, `fill_left` and `fill_right` (`promql-binop-fill-modifiers`).
    pub fill_modifiers: bool,
}

impl ParseOptions {
    /// The stable language.
    pub const fn stable() -> Self {
        Self {
            experimental_functions: false,
            extended_ranges: false,
            fill_modifiers: false,
        }
    }

    /// Everything there is.
    pub const fn all() -> Self {
        Self {
            experimental_functions: true,
            extended_ranges: true,
            fill_modifiers: true,
        }
    }
}

/// Parses a query and checks its types.
///
/// # Errors
/// The query is not PromQL; the error says where and what was expected.
///
/// ```
/// use headwater_promql::{ParseOptions, parse};
/// let expr = parse("sum by (job) (rate(requests_total[5m]))", ParseOptions::stable()).unwrap();
/// assert_eq!(expr.to_string(), "sum by (job) (rate(requests_total[5m]))");
/// ```
pub fn parse(query: &str, options: ParseOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query, options)?;
    if parser.peek() == Token::Eof {
        return Err(parser.error(PosRange::default(), "no expression found in input"));
    }
    let mut expr = parser.expression(0)?;
    parser.expect_end()?;
    check::check(query, &mut expr)?;
    Ok(expr)
}

/// Parses a selector such as the `match[]` parameters of the HTTP API: no range, no modifiers.
///
/// # Errors
/// The text is not a selector, or would choose every series.
pub fn parse_selector(query: &str, options: ParseOptions) -> Result<VectorSelector, ParseError> {
    let mut parser = Parser::new(query, options)?;
    if !(parser.peek() == Token::LeftBrace || parser.peek().may_name_metric()) {
        return Err(parser.unexpected("", ""));
    }
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    check::check_selector(query, &selector)?;
    Ok(selector)
}

/// The labels of a series as test scripts write it: a selector that may be empty.
#[cfg(feature = "corpus")]
pub(crate) fn parse_series_name(text: &str) -> Result<Vec<headwater_model::Matcher>, ParseError> {
    let mut parser = Parser::new(text, ParseOptions::all())?;
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    Ok(selector.matchers)
}

/// A text that is nothing but a number, perhaps with a sign.
#[cfg(feature = "corpus")]
pub(crate) fn signed_number(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let value = literal::parse_number(unsigned).filter(|_| text.len() - unsigned.len() <= 1)?;
    Some(if text.starts_with('-') { -value } else { value })
}

/// What a string literal stands for.
#[cfg(feature = "corpus")]
pub(crate) fn unquote_literal(text: &str) -> String {
    if text.len() < 2 {
        String::new()
    } else {
        literal::unquote(text).0
    }
}

/// The state of parsing: one token of look-ahead.
pub(super) struct Parser<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    next: Item,
    /// What is wrong with the next token, if it is [`Token::Bad`].
    bad: Option<ParseError>,
    /// End of the last token that closes something; ends of ranges are taken from here.
    last_closing: u32,
    /// Aggregations whose arguments are not closed yet.
    aggregations: u32,
    options: ParseOptions,
    nesting: u32,
    depth: u32,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, options: ParseOptions) -> Result<Self, ParseError> {
        if text.len() > MAX_QUERY_BYTES {
            let message = format!("query is longer than {MAX_QUERY_BYTES} bytes");
            return Err(ParseError::new(text, PosRange::new(0, 0), message));
        }
        let mut parser = Self {
            text,
            lexer: Lexer::new(text),
            next: Item {
                token: Token::Eof,
                range: PosRange::default(),
            },
            bad: None,
            last_closing: 0,
            aggregations: 0,
            options,
            nesting: 0,
            depth: 0,
        };
        parser.look();
        Ok(parser)
    }

    /// Looks at one token more. What is wrong with it is told when a rule wants to see it, and not if
    /// the rule at hand ends without it and has something to object.
    fn look(&mut self) {
        match self.lexer.next() {
            Ok(item) => self.next = item,
            Err(error) => {
                self.next = Item {
                    token: Token::Bad,
                    range: error.range,
                };
                self.bad = Some(error);
            }
        }
    }

    /// A rule that needs to see the next token ends here.
    fn check_next(&self) -> Result<(), ParseError> {
        self.bad.clone().map_or(Ok(()), Err)
    }

    const fn peek(&self) -> Token {
        self.next.token
    }

    /// Takes the next token.
    fn take(&mut self) -> Result<Item, ParseError> {
        let item = self.next;
        if matches!(
            item.token,
            Token::RightBrace
                | Token::RightParen
                | Token::RightBracket
                | Token::Duration
                | Token::Number
        ) {
            self.last_closing = item.range.end;
        }
        self.check_next()?;
        self.look();
        Ok(item)
    }

    /// Takes the next token if it is this one.
    fn accept(&mut self, token: Token) -> Result<bool, ParseError> {
        let found = self.peek() == token;
        if found {
            self.take()?;
        }
        Ok(found)
    }

    /// Takes the next token, which has to be this one.
    fn expect(&mut self, token: Token, context: &str, expected: &str) -> Result<Item, ParseError> {
        if self.peek() == token {
            self.take()
        } else {
            Err(self.unexpected(context, expected))
        }
    }

    fn expect_end(&self) -> Result<(), ParseError> {
        if self.peek() == Token::Eof {
            Ok(())
        } else {
            Err(self.unexpected("", ""))
        }
    }

    fn text_of(&self, item: Item) -> &'a str {
        &self.text[item.range.start as usize..item.range.end as usize]
    }

    fn error(&self, range: PosRange, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, range, message)
    }

    /// The next token cannot stand here. Where no rule has words of its own, the innermost open
    /// aggregation is blamed.
    fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        if let Some(error) = &self.bad {
            return error.clone();
        }
        let context = match context {
            "" if self.aggregations > 0 => "aggregation",
            context => context,
        };
        let mut message = format!(
            "unexpected {}",
            self.next.token.describe(self.text_of(self.next))
        );
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(self.next.range, message)
    }

    /// One level more of recursion. The caller takes it back with [`Parser::leave`].
    fn enter(&mut self) -> Result<u32, ParseError> {
        self.nesting += 1;
        let depth = self.depth;
        self.deepen()?;
        if self.nesting > MAX_NESTING {
            return Err(self.too_deep(MAX_NESTING));
        }
        Ok(depth)
    }

    fn leave(&mut self, depth: u32) {
        self.nesting -= 1;
        self.depth = depth;
    }

    /// One level more of the tree.
    fn deepen(&mut self) -> Result<(), ParseError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(self.too_deep(MAX_DEPTH))
        } else {
            Ok(())
        }
    }

    fn too_deep(&self, limit: u32) -> ParseError {
        self.error(
            self.next.range,
            format!("expression is nested more than {limit} levels deep"),
        )
    }

    /// Whether the next token is followed by an opening parenthesis.
    fn paren_follows(&self) -> bool {
        self.after_next().starts_with('(')
    }

    /// The text after the next token, without the blanks and comments that it begins with.
    fn after_next(&self) -> &'a str {
        let mut rest = &self.text[self.next.range.end as usize..];
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            if !rest.starts_with('#') {
                return rest;
            }
            rest = &rest[rest.find(['\n', '\r']).unwrap_or(rest.len())..];
        }
    }
}
