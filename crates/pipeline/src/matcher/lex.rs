//! Tokens of the matcher language.
//!
//! The lexer counts bytes the way heka's does: the position of an error is
//! the number of bytes read so far, the one looked at ahead included, and the
//! "last token" is the last one that carries text. Error messages thus name
//! the same place as the original's.

use super::{Dialect, MatcherError};

/// Header variables that hold text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextVar {
    Uuid,
    Type,
    Logger,
    Payload,
    EnvVersion,
    Hostname,
}

/// Header variables that hold numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberVar {
    Timestamp,
    Severity,
    Pid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Match,
    NotMatch,
}

/// `Fields[name][field index][value index]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    pub(crate) name: Box<[u8]>,
    pub(crate) field: usize,
    pub(crate) value: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Text(TextVar),
    Number(NumberVar),
    Field(FieldPath),
    Op(Op),
    String(Vec<u8>),
    Regex(Vec<u8>),
    Num(String),
    True,
    False,
    Nil,
    And,
    Or,
    Not,
    Open,
    Close,
    End,
}

pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// Where the next character to use starts.
    pos: usize,
    /// How far the text has been looked at.
    seen: usize,
    last: String,
    dialect: Dialect,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str, dialect: Dialect) -> Lexer<'a> {
        Lexer {
            text,
            pos: 0,
            seen: 0,
            last: String::new(),
            dialect,
        }
    }

    /// An error at the place reached so far.
    pub(crate) fn error(&self, reason: impl Into<String>) -> MatcherError {
        MatcherError::new(self.text, self.last.clone(), self.seen, reason.into())
    }

    pub(crate) fn next(&mut self) -> Result<Token, MatcherError> {
        self.skip_blank();
        let Some(ch) = self.bump() else {
            return Ok(Token::End);
        };
        match ch {
            '(' => Ok(Token::Open),
            ')' => Ok(Token::Close),
            '&' => self.pair('&', Token::And),
            '|' => self.pair('|', Token::Or),
            '=' | '!' | '<' | '>' => self.operator(ch),
            '\'' | '"' => self.quoted(ch).map(Token::String),
            '/' => self.quoted('/').map(Token::Regex),
            '0'..='9' | '.' => Ok(self.number(ch)),
            '-' if self.dialect == Dialect::Extended => Ok(self.number(ch)),
            'A'..='Z' => self.word(ch),
            '\n' => Ok(Token::End),
            _ => Err(self.error(format!("unexpected {ch:?}"))),
        }
    }

    fn peek(&mut self) -> Option<char> {
        let ch = self.text[self.pos..].chars().next()?;
        self.seen = self.seen.max(self.pos + ch.len_utf8());
        // To heka a line feed is the end of the expression.
        (ch != '\n' || self.dialect == Dialect::Extended).then_some(ch)
    }

    fn bump(&mut self) -> Option<char> {
        let ch = self.peek()?;
        self.pos += ch.len_utf8();
        Some(ch)
    }

    fn skip_blank(&mut self) {
        while let Some(ch) = self.peek() {
            match ch {
                ' ' | '\t' => {}
                '\n' | '\r' if self.dialect == Dialect::Extended => {}
                '#' if self.dialect == Dialect::Extended => {
                    while self.peek().is_some_and(|ch| ch != '\n') {
                        self.bump();
                    }
                    continue;
                }
                _ => return,
            }
            self.bump();
        }
    }

    fn pair(&mut self, second: char, token: Token) -> Result<Token, MatcherError> {
        match self.bump() {
            Some(ch) if ch == second => Ok(token),
            _ => Err(self.error(format!("expected {second}{second}"))),
        }
    }

    fn operator(&mut self, first: char) -> Result<Token, MatcherError> {
        let op = match (first, self.peek()) {
            ('=', Some('=')) => Op::Eq,
            ('=', Some('~')) => Op::Match,
            ('!', Some('=')) => Op::Ne,
            ('!', Some('~')) => Op::NotMatch,
            ('>', Some('=')) => Op::Ge,
            ('<', Some('=')) => Op::Le,
            ('>', _) => return Ok(Token::Op(Op::Gt)),
            ('<', _) => return Ok(Token::Op(Op::Lt)),
            ('!', _) if self.dialect == Dialect::Extended => return Ok(Token::Not),
            _ => return Err(self.error("expected one of == != =~ !~ > >= < <=")),
        };
        self.bump();
        Ok(Token::Op(op))
    }

    /// Text up to the closing quote. A backslash escapes that quote only.
    fn quoted(&mut self, quote: char) -> Result<Vec<u8>, MatcherError> {
        let mut text = String::new();
        loop {
            match self.bump() {
                None => {
                    self.last = text;
                    return Err(self.error(format!("no closing {quote}")));
                }
                Some('\\') if self.peek() == Some(quote) => {
                    self.bump();
                    text.push(quote);
                }
                Some(ch) if ch == quote => break,
                Some(ch) => text.push(ch),
            }
        }
        self.last.clone_from(&text);
        Ok(text.into_bytes())
    }

    fn number(&mut self, first: char) -> Token {
        let mut text = String::from(first);
        while let Some(ch @ ('0'..='9' | '.' | 'e' | '+' | '-')) = self.peek() {
            self.bump();
            text.push(ch);
        }
        self.last.clone_from(&text);
        Token::Num(text)
    }

    fn word(&mut self, first: char) -> Result<Token, MatcherError> {
        let mut word = String::from(first);
        while let Some(ch) = self.peek().filter(char::is_ascii_alphabetic) {
            self.bump();
            word.push(ch);
        }
        self.last.clone_from(&word);
        Ok(match word.as_str() {
            "Uuid" => Token::Text(TextVar::Uuid),
            "Type" => Token::Text(TextVar::Type),
            "Logger" => Token::Text(TextVar::Logger),
            "Payload" => Token::Text(TextVar::Payload),
            "EnvVersion" => Token::Text(TextVar::EnvVersion),
            "Hostname" => Token::Text(TextVar::Hostname),
            "Timestamp" => Token::Number(NumberVar::Timestamp),
            "Severity" => Token::Number(NumberVar::Severity),
            "Pid" => Token::Number(NumberVar::Pid),
            "Fields" => Token::Field(self.field_path()?),
            "TRUE" => Token::True,
            "FALSE" => Token::False,
            "NIL" => Token::Nil,
            _ => return Err(self.error(unknown_word(&word))),
        })
    }

    fn field_path(&mut self) -> Result<FieldPath, MatcherError> {
        if self.bump() != Some('[') {
            return Err(self.error("expected [ after Fields"));
        }
        let mut name = String::new();
        loop {
            match self.bump() {
                None => return Err(self.error("no closing ] after the field name")),
                Some(']') if name.is_empty() => return Err(self.error("empty field name")),
                Some(']') => break,
                Some(ch) => name.push(ch),
            }
        }
        let field = self.index()?;
        let value = if field.is_some() { self.index()? } else { None };
        if value.is_some() && self.peek() == Some('[') {
            return Err(self.error("a field has at most two indexes"));
        }
        Ok(FieldPath {
            name: name.into_bytes().into(),
            field: field.unwrap_or(0),
            value: value.unwrap_or(0),
        })
    }

    /// `[digits]`, if there is one.
    fn index(&mut self) -> Result<Option<usize>, MatcherError> {
        if self.peek() != Some('[') {
            return Ok(None);
        }
        self.bump();
        let mut digits = String::new();
        loop {
            match self.bump() {
                Some(ch @ '0'..='9') => digits.push(ch),
                Some(']') if !digits.is_empty() => break,
                _ => return Err(self.error("expected an index like [0]")),
            }
        }
        self.peek();
        match digits.parse() {
            Ok(index) => Ok(Some(index)),
            Err(_) => Err(self.error("index too large")),
        }
    }
}

fn unknown_word(word: &str) -> String {
    const WORDS: [&str; 13] = [
        "Uuid",
        "Type",
        "Logger",
        "Payload",
        "EnvVersion",
        "Hostname",
        "Timestamp",
        "Severity",
        "Pid",
        "Fields",
        "TRUE",
        "FALSE",
        "NIL",
    ];
    match crate::config::nearest(word, WORDS) {
        Some(near) => format!("unknown word {word}, did you mean {near}?"),
        None => format!("unknown word {word}"),
    }
}
