//! Text to tokens, pulled one at a time.
//!
//! What a character means depends on where it stands (inside braces words are label names,
//! inside brackets colons are allowed), so the lexer keeps the few flags that Prometheus's keeps
//! and reports the same errors at the same places.

use super::ast::BinaryOp;
use super::error::ParseError;
use super::position::PosRange;
use super::token::{Token, keyword};

/// A token and where it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    pub(crate) token: Token,
    pub(crate) range: PosRange,
}

/// Cuts a query into tokens.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    parens: u32,
    brace_open: bool,
    bracket_open: bool,
    got_colon: bool,
    /// No number was seen yet since the bracket opened: only duration arithmetic may stand here.
    bracket_fresh: bool,
    /// A number was seen in some bracket, this one or an earlier one.
    got_duration: bool,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            parens: 0,
            brace_open: false,
            bracket_open: false,
            got_colon: false,
            bracket_fresh: false,
            got_duration: false,
        }
    }

    /// The next token; at the end of the text [`Token::Eof`], for ever.
    pub(crate) fn next(&mut self) -> Result<Item, ParseError> {
        self.skip_blank();
        if self.brace_open {
            self.next_in_braces()
        } else if self.bracket_open && self.bracket_fresh {
            self.next_in_duration()
        } else {
            self.next_in_statement()
        }
    }

    fn skip_blank(&mut self) {
        let comments = !(self.bracket_open && self.bracket_fresh);
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.at += 1,
                b'#' if comments => {
                    let rest = &self.bytes[self.at..];
                    self.at += rest
                        .iter()
                        .position(|b| matches!(b, b'\n' | b'\r'))
                        .unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn emit(&mut self, token: Token, len: usize) -> Item {
        let start = self.at;
        self.at += len;
        self.item(token, start)
    }

    fn item(&self, token: Token, start: usize) -> Item {
        Item {
            token,
            range: PosRange::new(start as u32, self.at as u32),
        }
    }

    /// The character at the cursor as error messages show it.
    fn shown(&self, at: usize) -> String {
        match self.text.get(at..).and_then(|rest| rest.chars().next()) {
            Some(c) => quoted_char(c),
            // Go shows the end-of-input rune, which is no character, as the replacement character.
            None => "'\u{fffd}'".to_owned(),
        }
    }

    fn error<T>(&self, start: usize, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(
            self.text,
            PosRange::new(start as u32, self.text.len() as u32),
            message,
        ))
    }

    /// After an opening bracket, up to the first number.
    fn next_in_duration(&mut self) -> Result<Item, ParseError> {
        let start = self.at;
        let Some(byte) = self.peek() else {
            return self.error(start, "unexpected end of input in duration expression");
        };
        match byte {
            b's' | b'S' | b'm' | b'M' | b'r' | b'R' => {
                if let Some(item) = self.duration_word() {
                    return Ok(item);
                }
            }
            b':'
            | b']'
            | b'('
            | b')'
            | b'+'
            | b'-'
            | b'*'
            | b'/'
            | b'%'
            | b'^'
            | b','
            | b'0'..=b'9' => return self.next_in_statement(),
            b'.' if self.peek_second().is_some_and(|next| next.is_ascii_digit()) => {
                return self.number();
            }
            _ => {}
        }
        self.error(
            start,
            format!(
                "unexpected character in duration expression: {}",
                self.shown(start)
            ),
        )
    }

    /// `step`, `range`, `min_of` or `max_of`, the words of duration arithmetic.
    fn duration_word(&mut self) -> Option<Item> {
        let is_letter = |byte: &&u8| byte.is_ascii_alphabetic() || **byte == b'_';
        let len = self.bytes[self.at..].iter().take_while(is_letter).count();
        let token = keyword(&self.text[self.at..self.at + len]).filter(|token| {
            matches!(
                token,
                Token::Step | Token::Range | Token::MinOf | Token::MaxOf
            )
        })?;
        Some(self.emit(token, len))
    }

    fn next_in_statement(&mut self) -> Result<Item, ParseError> {
        let start = self.at;
        let Some(byte) = self.peek() else {
            return self.end_of_statement();
        };
        Ok(match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' if self.bracket_open => {
                let word = self.duration_word();
                let message =
                    || format!("unexpected character: {}, expected ':'", self.shown(start));
                return word.map_or_else(|| self.error(start, message()), Ok);
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(),
            b':' if !self.bracket_open => self.word(),
            b'0'..=b'9' => return self.number(),
            b'.' if self.peek_second().is_some_and(|next| next.is_ascii_digit()) => {
                return self.number();
            }
            b'(' => {
                self.parens += 1;
                self.emit(Token::LeftParen, 1)
            }
            b')' => {
                if self.parens == 0 {
                    return self.error(
                        start + 1,
                        format!("unexpected right parenthesis {}", self.shown(start)),
                    );
                }
                self.parens -= 1;
                self.emit(Token::RightParen, 1)
            }
            b'{' => {
                self.brace_open = true;
                self.emit(Token::LeftBrace, 1)
            }
            b'[' => return self.left_bracket(),
            b']' => {
                if !self.bracket_open {
                    return self.error(
                        start,
                        format!("unexpected right bracket {}", self.shown(start)),
                    );
                }
                self.bracket_open = false;
                self.emit(Token::RightBracket, 1)
            }
            b':' => return self.colon(),
            b'"' | b'\'' | b'`' => return self.string(byte),
            b',' => self.emit(Token::Comma, 1),
            b'@' => self.emit(Token::At, 1),
            _ => return self.operator(byte),
        })
    }

    fn end_of_statement(&mut self) -> Result<Item, ParseError> {
        if self.parens > 0 {
            return self.error(self.at, "unclosed left parenthesis");
        }
        if self.bracket_open {
            return self.error(self.at, "unclosed left bracket");
        }
        Ok(self.emit(Token::Eof, 0))
    }

    fn left_bracket(&mut self) -> Result<Item, ParseError> {
        if self.bracket_open {
            return self.error(self.at, "unexpected left bracket '['");
        }
        self.bracket_open = true;
        self.got_colon = false;
        self.bracket_fresh = true;
        Ok(self.emit(Token::LeftBracket, 1))
    }

    fn colon(&mut self) -> Result<Item, ParseError> {
        if self.bracket_fresh {
            if !self.got_duration {
                let message = "unexpected colon before duration in duration expression";
                return self.error(self.at + 1, message);
            }
            if self.got_colon {
                let message = "unexpected repeated colon in duration expression";
                return self.error(self.at + 1, message);
            }
        } else if self.got_colon {
            return self.error(self.at, "unexpected colon ':'");
        }
        self.got_colon = true;
        Ok(self.emit(Token::Colon, 1))
    }

    fn operator(&mut self, byte: u8) -> Result<Item, ParseError> {
        let second = self.peek_second();
        let (op, len) = match (byte, second) {
            (b'+', _) => (BinaryOp::Add, 1),
            (b'-', _) => (BinaryOp::Sub, 1),
            (b'*', _) => (BinaryOp::Mul, 1),
            (b'/', _) => (BinaryOp::Div, 1),
            (b'%', _) => (BinaryOp::Mod, 1),
            (b'^', _) => (BinaryOp::Pow, 1),
            (b'<', Some(b'=')) => (BinaryOp::LessEqual, 2),
            (b'<', Some(b'/')) => (BinaryOp::TrimUpper, 2),
            (b'<', _) => (BinaryOp::Less, 1),
            (b'>', Some(b'=')) => (BinaryOp::GreaterEqual, 2),
            (b'>', Some(b'/')) => (BinaryOp::TrimLower, 2),
            (b'>', _) => (BinaryOp::Greater, 1),
            (b'=', Some(b'=')) => (BinaryOp::Equal, 2),
            (b'!', Some(b'=')) => (BinaryOp::NotEqual, 2),
            // A single equals sign is a token (label sets use it), yet no expression has one.
            (b'=', Some(b'~')) => {
                return self.error(
                    self.at,
                    format!(
                        "unexpected character after '=': {}",
                        self.shown(self.at + 1)
                    ),
                );
            }
            (b'=', _) => return Ok(self.emit(Token::Equal, 1)),
            (b'!', _) => {
                return self.error(
                    self.at,
                    format!(
                        "unexpected character after '!': {}",
                        self.shown(self.at + 1)
                    ),
                );
            }
            _ => {
                return self.error(
                    self.at,
                    format!("unexpected character: {}", self.shown(self.at)),
                );
            }
        };
        Ok(self.emit(Token::Op(op), len))
    }

    fn next_in_braces(&mut self) -> Result<Item, ParseError> {
        let start = self.at;
        let Some(byte) = self.peek() else {
            return self.error(start, "unexpected end of input inside braces");
        };
        Ok(match (byte, self.peek_second()) {
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => {
                let len = self.bytes[start..]
                    .iter()
                    .take_while(|b| is_word(**b))
                    .count();
                self.emit(Token::Identifier, len)
            }
            (b',', _) => self.emit(Token::Comma, 1),
            (b'"' | b'\'' | b'`', _) => return self.string(byte),
            (b'=', Some(b'~')) => self.emit(Token::EqualRegex, 2),
            (b'=', _) => self.emit(Token::Equal, 1),
            (b'!', Some(b'~')) => self.emit(Token::NotEqualRegex, 2),
            (b'!', Some(b'=')) => self.emit(Token::Op(BinaryOp::NotEqual), 2),
            (b'!', _) => {
                let shown = self.shown(start + 1);
                return self.error(
                    start,
                    format!("unexpected character after '!' inside braces: {shown}"),
                );
            }
            (b'}', _) => {
                self.brace_open = false;
                self.emit(Token::RightBrace, 1)
            }
            (b'{', _) => return self.error(start, "unexpected left brace '{'"),
            _ => {
                return self.error(
                    start,
                    format!("unexpected character inside braces: {}", self.shown(start)),
                );
            }
        })
    }

    fn word(&mut self) -> Item {
        let start = self.at;
        let len = self.bytes[start..]
            .iter()
            .take_while(|b| is_word(**b) || **b == b':')
            .count();
        let word = &self.text[start..start + len];
        let token = match keyword(word) {
            // Metrics of these names are older than the modifiers.
            Some(Token::Fill | Token::FillLeft | Token::FillRight)
                if !paren_follows(&self.text[start + len..]) =>
            {
                Token::Identifier
            }
            Some(token) => token,
            None if word.contains(':') => Token::MetricIdentifier,
            None => Token::Identifier,
        };
        self.emit(token, len)
    }

    fn number(&mut self) -> Result<Item, ParseError> {
        let start = self.at;
        self.got_duration |= self.bracket_open && self.bracket_fresh;
        self.bracket_fresh = false;
        if self.scan_number() {
            return Ok(self.item(Token::Number, start));
        }
        if self.scan_duration() {
            return Ok(self.item(Token::Duration, start));
        }
        let seen =
            headwater_model::quote::go_quoted(&self.text[start..self.at.min(self.text.len())]);
        self.error(start, format!("bad number or duration syntax: {seen}"))
    }

    fn accept(&mut self, set: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| set.contains(&byte));
        self.at += usize::from(found);
        found
    }

    /// Reads digits with dots, underscores and one exponent. Answers whether what was read can be a
    /// number; the cursor stays where the doubt arose, which error messages show. What passes here
    /// and yet is none (`.5.5`, `0.5.5`) is refused when its value is asked for.
    fn scan_number(&mut self) -> bool {
        let start = self.at;
        let hex = self.accept(b"0") && self.accept(b"xX");
        if hex {
            self.accept(b"_");
        }
        let digits: &[u8] = if hex {
            b"0123456789abcdefABCDEF"
        } else {
            b"0123456789"
        };
        self.accept(b".");
        self.accept(digits);
        let (mut dot, mut exponent) = (false, false);
        loop {
            if self.accept(b".") {
                // Fractions have no base but ten.
                if dot || self.accept(b"_.") || hex {
                    return false;
                }
                dot = true;
            } else if self.accept(b"eE") {
                if exponent {
                    return false;
                }
                exponent = true;
                self.accept(b"+-");
                if self.accept(b"._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.accept(b"_") {
                if self.accept(b"._eE") || self.peek().is_none() {
                    return false;
                }
            } else if self.accept(digits) {
                // A run of hexadecimal digits swallows the letters that begin an exponent elsewhere.
                while self.accept(digits) {}
            } else {
                return self.at > start && !self.peek().is_some_and(is_word);
            }
        }
    }

    /// Continues after digits that turned out not to be a number: a unit, more digits, a unit ...
    fn scan_duration(&mut self) -> bool {
        if !self.accept(b"smhdwy") {
            return false;
        }
        self.accept(b"s");
        while self.accept(b"0123456789") {
            while self.accept(b"0123456789") {}
            if !self.accept(b"smhdw") {
                return false;
            }
            self.accept(b"s");
        }
        let ends = !self.peek().is_some_and(is_word);
        // The error shows the character that is too much.
        self.at += usize::from(!ends);
        ends
    }

    /// A quoted string; what the escapes stand for is worked out later, here they are only checked.
    fn string(&mut self, quote: u8) -> Result<Item, ParseError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None if quote == b'`' => return self.error(start, "unterminated raw string"),
                None | Some(b'\n') if quote != b'`' => {
                    return self.error(start, "unterminated quoted string");
                }
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(self.item(Token::String, start));
                }
                Some(b'\\') if quote != b'`' => {
                    self.at += 1;
                    if let Err(message) = self.escape(quote) {
                        return self.error(start, message);
                    }
                }
                // Either bytes that were no UTF-8 and came replaced, or the replacement itself.
                Some(0xef) if self.text[self.at..].starts_with('\u{fffd}') => {
                    return self.error(start, "invalid UTF-8 rune");
                }
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self, quote: u8) -> Result<(), String> {
        let Some(byte) = self.peek() else {
            return Err("escape sequence not terminated".to_owned());
        };
        let (digits, base, max) = match byte {
            b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'\\' => (0, 0, 0),
            b if b == quote => (0, 0, 0),
            b'0'..=b'7' => (3, 8, 255),
            b'x' => (2, 16, 255),
            b'u' => (4, 16, 0x10_ffff),
            b'U' => (8, 16, 0x10_ffff),
            _ => return Err(format!("unknown escape sequence {}", self.code_point())),
        };
        if base != 8 {
            self.at += 1;
        }
        let mut value = 0u64;
        for _ in 0..digits {
            let Some(c) = self.text[self.at..].chars().next() else {
                return Err("escape sequence not terminated".to_owned());
            };
            let Some(digit) = c.to_digit(base) else {
                return Err(format!(
                    "illegal character {} in escape sequence",
                    self.code_point()
                ));
            };
            value = value * u64::from(base) + u64::from(digit);
            self.at += 1;
        }
        if value > max || (0xd800..0xe000).contains(&value) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    /// The character at the cursor as Go's `%#U` prints it.
    fn code_point(&self) -> String {
        let c = self.text[self.at..].chars().next().unwrap_or('\u{fffd}');
        let number = u32::from(c);
        if quoted_char(c).contains('\\') && c != '\'' {
            return format!("U+{number:04X}");
        }
        format!("U+{number:04X} '{c}'")
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether an opening parenthesis is the first thing in `rest` that is no blank.
fn paren_follows(rest: &str) -> bool {
    rest.trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('(')
}

/// A character as Go's `%q` prints it.
fn quoted_char(c: char) -> String {
    match c {
        '\'' => "'\\''".to_owned(),
        '"' => "'\"'".to_owned(),
        c => {
            let quoted = headwater_model::quote::go_quoted(c.encode_utf8(&mut [0; 4]));
            format!("'{}'", &quoted[1..quoted.len() - 1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            match lexer.next().unwrap().token {
                Token::Eof => return out,
                token => out.push(token),
            }
        }
    }

    fn error(text: &str) -> String {
        let mut lexer = Lexer::new(text);
        loop {
            match lexer.next() {
                Ok(item) => assert_ne!(item.token, Token::Eof, "no error in {text}"),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn words_numbers_and_durations() {
        use Token::*;
        assert_eq!(
            tokens("up{a=\"b\"}[5m:1m] # rest"),
            [
                Identifier,
                LeftBrace,
                Identifier,
                Equal,
                String,
                RightBrace,
                LeftBracket,
                Duration,
                Colon,
                Duration,
                RightBracket
            ]
        );
        assert_eq!(
            tokens("1 0x1F 1e3 1_000 .5 1h30m a:b:c NaN"),
            [
                Number,
                Number,
                Number,
                Number,
                Number,
                Duration,
                MetricIdentifier,
                Number
            ]
        );
    }

    #[test]
    fn errors_say_where() {
        for (text, message) in [
            ("(", "1:2: parse error: unclosed left parenthesis"),
            (
                "foo!",
                "1:4: parse error: unexpected character after '!': '\u{fffd}'",
            ),
            (
                "foo{",
                "1:5: parse error: unexpected end of input inside braces",
            ),
            (
                "0b101",
                "1:1: parse error: bad number or duration syntax: \"0\"",
            ),
            (
                "1__0",
                "1:1: parse error: bad number or duration syntax: \"1__\"",
            ),
            (
                "foo[:5m]",
                "1:6: parse error: unexpected colon before duration in duration expression",
            ),
            (
                "foo{a='\\z'}",
                "1:7: parse error: unknown escape sequence U+007A 'z'",
            ),
            (
                "\"\\xg1\"",
                "1:1: parse error: illegal character U+0067 'g' in escape sequence",
            ),
            ("\0", "1:1: parse error: unexpected character: '\\x00'"),
        ] {
            assert_eq!(error(text), message);
        }
    }
}
