//! From tokens to the tree, with Loki's error texts.
//!
//! Where Loki's generated parser lists what it expected, the same list is
//! given here; it does so only where at most four tokens could follow.

mod aggregate;
mod label_filter;
mod selector;
mod stage;

use crate::ast::{Binary, BinaryOp, Expr, Group, LogExpr, Matching};
use crate::check;
use crate::error::ParseError;
use crate::lex::{MAX_QUERY_BYTES, Tok, Token, lex};

type Result<T, E = ParseError> = std::result::Result<T, E>;

/// Operators, parentheses and functions that may be nested: each level uses
/// stack, and a query from a stranger must not overflow it.
const MAX_DEPTH: usize = 128;

/// Operators between operands, and conditions joined by `or`: what they make
/// is as deep as there are many of them, and is walked over recursively.
const MAX_JOINS: usize = 256;

/// Reads a query and checks that it means something.
///
/// # Errors
/// [`ParseError`] with Loki's text and place.
///
/// ```
/// let query = headwater_logql::parse(r#"sum by (app) (rate({env="prod"} |= "error" [5m]))"#)?;
/// assert_eq!(query.to_string(), r#"sum by (app)(rate({env="prod"} |= "error"[5m]))"#);
/// let error = headwater_logql::parse("rate({env=}[5m])").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "parse error at line 1, col 11: syntax error: unexpected }, expecting STRING"
/// );
/// # Ok::<(), headwater_logql::ParseError>(())
/// ```
pub fn parse(query: &str) -> Result<Expr> {
    let expr = parse_unchecked(query)?;
    check::expr(&expr)?;
    Ok(expr)
}

/// Reads a query whose selectors may match every stream, as labels and series
/// requests use it after their own checks.
///
/// # Errors
/// [`ParseError`] with Loki's text and place.
pub fn parse_unchecked(query: &str) -> Result<Expr> {
    if query.len() > MAX_QUERY_BYTES {
        let length = query.len();
        return Err(ParseError::new(format!(
            "input size too long ({length} > {MAX_QUERY_BYTES})"
        )));
    }
    let mut parser = Parser::new(query);
    let expr = parser.expr(0)?;
    if parser.kind() != Tok::End {
        return parser.unexpected(&[]);
    }
    match parser.meaningless {
        Some(error) => Err(error),
        None => Ok(expr),
    }
}

/// Reads a stream selector alone, such as `{app="a", env=~"p.*"}`.
///
/// # Errors
/// [`ParseError`]; `only label matchers are supported` if there is more than
/// a selector.
pub fn parse_selector(query: &str) -> Result<LogExpr> {
    match parse(query)? {
        Expr::Log(log) if log.stages.is_empty() => Ok(log),
        _ => Err(ParseError::new("only label matchers are supported")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    /// What stopped the lexer; found when the parser gets there.
    lex_error: Option<ParseError>,
    at: usize,
    depth: usize,
    joins: usize,
    /// The first mistake that is not one of syntax; syntax goes first.
    meaningless: Option<ParseError>,
}

impl Parser {
    fn new(query: &str) -> Self {
        let (mut tokens, lex_error) = lex(query);
        if lex_error.is_some() {
            // Something to stand on behind the last good token.
            tokens.push(Token {
                kind: Tok::End,
                text: String::new(),
                number: 0,
                place: (0, 0),
            });
        }
        Self {
            tokens,
            lex_error,
            at: 0,
            depth: 0,
            joins: 0,
            meaningless: None,
        }
    }

    fn token(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn kind(&self) -> Tok {
        self.token().kind
    }

    fn next_kind(&self) -> Tok {
        self.tokens.get(self.at + 1).map_or(Tok::End, |t| t.kind)
    }

    fn take(&mut self) -> Token {
        let token = self.token().clone();
        self.at += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.kind(), Tok::Sign(s) if s == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    /// The error for the current token.
    fn unexpected<T>(&mut self, expected: &[&str]) -> Result<T> {
        if self.kind() == Tok::End
            && let Some(error) = self.lex_error.take()
        {
            return Err(error);
        }
        let mut message = format!("syntax error: unexpected {}", self.token().shown());
        if !expected.is_empty() {
            message = format!("{message}, expecting {}", expected.join(" or "));
        }
        Err(ParseError::at(message, self.token().place))
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        match self.eat(sign) {
            true => Ok(()),
            false => self.unexpected(&[sign]),
        }
    }

    fn expect_kind(&mut self, kind: Tok, name: &str) -> Result<Token> {
        match self.kind() == kind {
            true => Ok(self.take()),
            false => self.unexpected(&[name]),
        }
    }

    /// Remembers the first mistake that is not one of syntax.
    fn note(&mut self, error: ParseError) {
        self.meaningless.get_or_insert(error);
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ParseError::new(format!(
                "the query is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts an operator.
    fn join(&mut self) -> Result<()> {
        self.joins += 1;
        match self.joins > MAX_JOINS {
            true => Err(ParseError::new(format!(
                "the query has more than {MAX_JOINS} operators"
            ))),
            false => Ok(()),
        }
    }

    /// An operand and the operators behind it that bind tighter than `least`.
    fn expr(&mut self, least: u8) -> Result<Expr> {
        let mut left = self.deeper(Self::operand)?;
        while let Some(op) = self.operator() {
            if op.power() <= least {
                break;
            }
            self.at += 1;
            let (return_bool, matching) = self.modifier()?;
            // The only operator that groups to the right takes its equals too.
            let least = op.power() - u8::from(op == BinaryOp::Pow);
            let right = self.deeper(|p| p.expr(least))?;
            left = self.binary(op, left, right, return_bool, matching);
            // Numbers become one number and do not nest.
            if !matches!(left, Expr::Literal(_)) {
                self.join()?;
            }
        }
        Ok(left)
    }

    fn operator(&self) -> Option<BinaryOp> {
        match self.kind() {
            Tok::Sign(sign) => BinaryOp::from_name(sign),
            _ => None,
        }
    }

    fn operand(&mut self) -> Result<Expr> {
        match self.kind() {
            Tok::Sign("{") => self.log_expr().map(Expr::Log),
            Tok::Sign("(") => {
                self.at += 1;
                let inner = self.expr(0)?;
                match self.eat(")") {
                    true => Ok(inner),
                    false => self.unexpected(&[]),
                }
            }
            Tok::Number | Tok::Sign("+" | "-") => self.literal().map(Expr::Literal),
            Tok::Sign("label_replace") => self.label_replace(),
            Tok::Function => self.function(),
            _ => self.unexpected(&[]),
        }
    }

    /// A number with its sign.
    fn literal(&mut self) -> Result<f64> {
        let negative = self.is("-");
        if negative || self.is("+") {
            self.at += 1;
        }
        let token = self.expect_kind(Tok::Number, "NUMBER")?;
        let value = self.number(&token.text);
        Ok(if negative { -value } else { value })
    }

    /// The value of a number token; what Go's parser refuses is a mistake.
    fn number(&mut self, text: &str) -> f64 {
        match crate::units::parse_float(text) {
            Ok(value) => value,
            Err(e) => {
                let message = format!("unable to parse literal as a float: {e}");
                self.note(ParseError::new(message));
                f64::NAN
            }
        }
    }

    /// `bool`, `on (...)`, `ignoring (...)`, `group_left (...)`.
    fn modifier(&mut self) -> Result<(bool, Matching)> {
        let return_bool = self.eat("bool");
        let mut matching = Matching::default();
        if self.is("on") || self.is("ignoring") {
            matching.on = self.is("on");
            self.at += 1;
            matching.labels = self.parenthesised_labels()?;
            if self.is("group_left") || self.is("group_right") {
                matching.group = match self.is("group_left") {
                    true => Group::ManyToOne,
                    false => Group::OneToMany,
                };
                self.at += 1;
                if self.is("(") && self.lists_labels() {
                    matching.include = self.parenthesised_labels()?;
                }
            }
        }
        Ok((return_bool, matching))
    }

    /// Whether the parenthesis that stands here holds names only, and so
    /// belongs to `group_left`, not to the right operand.
    fn lists_labels(&self) -> bool {
        let mut rest = self.tokens[self.at + 1..].iter();
        rest.find(|t| !matches!(t.kind, Tok::Identifier | Tok::Sign(",")))
            .is_some_and(|t| t.kind == Tok::Sign(")"))
    }

    fn parenthesised_labels(&mut self) -> Result<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        if self.eat(")") {
            return Ok(labels);
        }
        loop {
            let expected: &[&str] = if labels.is_empty() {
                &["IDENTIFIER", ")"]
            } else {
                &["IDENTIFIER"]
            };
            match self.kind() {
                Tok::Identifier => labels.push(self.take().text),
                _ => return self.unexpected(expected),
            }
            if self.eat(")") {
                return Ok(labels);
            }
            if !self.eat(",") {
                return self.unexpected(&[",", ")"]);
            }
        }
    }

    /// Puts two operands together; two numbers make one.
    fn binary(
        &mut self,
        op: BinaryOp,
        left: Expr,
        right: Expr,
        return_bool: bool,
        matching: Matching,
    ) -> Expr {
        for (side, operand) in [("left", &left), ("right", &right)] {
            let name = op.as_str();
            if let Expr::Log(log) = operand {
                let ty = if log.stages.is_empty() {
                    "MatchersExpr"
                } else {
                    "PipelineExpr"
                };
                self.note(ParseError::new(format!(
                    "unexpected type for {side} leg of binary operation ({name}): *syntax.{ty}"
                )));
            }
            if let (Expr::Literal(value), true) = (operand, op.is_set()) {
                self.note(ParseError::new(format!(
                    "unexpected literal for {side} leg of logical/set binary operation ({name}): {value:.6}"
                )));
            }
        }
        if let (Expr::Literal(a), Expr::Literal(b)) = (&left, &right) {
            return Expr::Literal(crate::exec::scalar_operation(op, *a, *b));
        }
        Expr::Binary(Box::new(Binary {
            op,
            left,
            right,
            return_bool,
            matching,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nests_too_deep_is_refused() {
        for text in [
            "(".repeat(5000),
            format!("{}vector(1)", "vector(1)+".repeat(5000)),
            format!("{}vector(1)", "vector(1)^".repeat(5000)),
            format!("{{a=\"b\"}} | {}", "(".repeat(5000)),
            format!("{{a=\"b\"}} | {}x=\"1\"", "x=\"1\" or ".repeat(5000)),
            format!("{{a=\"b\"}} | {}", "x=\"1\" ".repeat(5000)),
            format!("{{a=\"b\"}} | {}x=\"1\"", "x=\"1\" and ".repeat(5000)),
            format!("{}{{a=\"b\"}}", "rate(".repeat(5000)),
            format!("rate({}{{a=\"b\"}}[5m]", "(".repeat(5000)),
            format!("{{a=\"{}\"}}", "x".repeat(200_000)),
        ] {
            assert!(parse(&text).is_err(), "{}", &text[..40]);
        }
        let numbers = "1+".repeat(5000) + "1";
        assert_eq!(parse(&numbers), Ok(Expr::Literal(5001.0)));
    }
}
