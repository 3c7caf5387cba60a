//! Splits a template into text and the tokens of its actions.

/// What a token is. Keywords keep their own kinds because error texts show
/// them as `<if>` instead of `"if"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Bool,
    Char,
    CharConstant,
    Assign,
    Declare,
    Field,
    Identifier,
    LeftParen,
    RightParen,
    Number,
    Pipe,
    RawString,
    String,
    Variable,
    Dot,
    Block,
    Break,
    Continue,
    Define,
    Else,
    End,
    If,
    Nil,
    Range,
    Template,
    With,
}

/// One token: its text, byte offset and 1-based line.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) pos: usize,
    pub(crate) line: usize,
}

impl Token {
    /// The token as an error text shows it.
    pub(crate) fn shown(&self) -> String {
        match self.kind {
            Kind::Eof => "EOF".to_owned(),
            Kind::Error => self.text.clone(),
            kind if keyword_of(&self.text) == Some(kind) => format!("<{}>", self.text),
            _ if self.text.chars().count() > 10 => {
                let head: String = self.text.chars().take(10).collect();
                format!("{}...", crate::quote::quote(&head))
            }
            _ => crate::quote::quote(&self.text),
        }
    }
}

fn keyword_of(word: &str) -> Option<Kind> {
    Some(match word {
        "." => Kind::Dot,
        "block" => Kind::Block,
        "break" => Kind::Break,
        "continue" => Kind::Continue,
        "define" => Kind::Define,
        "else" => Kind::Else,
        "end" => Kind::End,
        "if" => Kind::If,
        "nil" => Kind::Nil,
        "range" => Kind::Range,
        "template" => Kind::Template,
        "with" => Kind::With,
        _ => return None,
    })
}

const LEFT: &str = "{{";
const RIGHT: &str = "}}";
const SPACES: [char; 4] = [' ', '\t', '\r', '\n'];

/// Lexes the whole text. An error is a token too, the last one, so that the
/// parser reports it only when it gets there.
pub(crate) fn lex(input: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        input,
        pos: 0,
        line: 1,
        depth: 0,
        tokens: Vec::new(),
    };
    if let Err(message) = lexer.run() {
        let (pos, line) = (lexer.pos, lexer.line);
        lexer.tokens.push(Token {
            kind: Kind::Error,
            text: message,
            pos,
            line,
        });
    }
    lexer.tokens
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    line: usize,
    /// Open parentheses of the current action.
    depth: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Emits `len` bytes as a token and moves behind them.
    fn emit(&mut self, kind: Kind, len: usize) {
        let text = &self.rest()[..len];
        let token = Token {
            kind,
            text: text.to_owned(),
            pos: self.pos,
            line: self.line,
        };
        self.skip(len);
        self.tokens.push(token);
    }

    fn skip(&mut self, len: usize) {
        self.line += self.rest()[..len].matches('\n').count();
        self.pos += len;
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let Some(at) = self.rest().find(LEFT) else {
                if !self.rest().is_empty() {
                    self.emit(Kind::Text, self.rest().len());
                }
                self.emit(Kind::Eof, 0);
                return Ok(());
            };
            let trim = trims_left(&self.rest()[at + LEFT.len()..]);
            let text = &self.rest()[..at];
            let kept = if trim {
                text.trim_end_matches(SPACES).len()
            } else {
                at
            };
            if kept > 0 {
                self.emit(Kind::Text, kept);
            }
            self.skip(at - kept);
            self.action(trim)?;
        }
    }

    fn action(&mut self, trim: bool) -> Result<(), String> {
        let marker = if trim { 2 } else { 0 };
        if self.rest()[LEFT.len() + marker..].starts_with("/*") {
            self.skip(LEFT.len() + marker);
            return self.comment();
        }
        self.emit(Kind::LeftDelim, LEFT.len());
        self.skip(marker);
        self.depth = 0;
        while !self.right_delim()? {
            self.token()?;
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        let end = self.rest().find("*/").ok_or("unclosed comment")?;
        self.skip(end + 2);
        let trim = trims_right(self.rest());
        if !trim && !self.rest().starts_with(RIGHT) {
            return Err("comment ends before closing delimiter".to_owned());
        }
        self.skip(if trim { 2 } else { 0 } + RIGHT.len());
        if trim {
            self.skip_spaces();
        }
        Ok(())
    }

    fn skip_spaces(&mut self) {
        let trimmed = self.rest().trim_start_matches(SPACES).len();
        self.skip(self.rest().len() - trimmed);
    }

    /// Takes the closing delimiter if it stands here.
    fn right_delim(&mut self) -> Result<bool, String> {
        let trim = trims_right(self.rest());
        if !trim && !self.rest().starts_with(RIGHT) {
            return Ok(false);
        }
        if self.depth > 0 {
            return Err("unclosed left paren".to_owned());
        }
        self.skip(if trim { 2 } else { 0 });
        self.emit(Kind::RightDelim, RIGHT.len());
        if trim {
            self.skip_spaces();
        }
        Ok(true)
    }

    fn token(&mut self) -> Result<(), String> {
        let Some(c) = self.peek() else {
            return Err("unclosed action".to_owned());
        };
        match c {
            c if SPACES.contains(&c) => self.spaces(),
            '=' => self.emit(Kind::Assign, 1),
            ':' if self.rest().starts_with(":=") => self.emit(Kind::Declare, 2),
            ':' => return Err("expected :=".to_owned()),
            '|' => self.emit(Kind::Pipe, 1),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string")?,
            '\'' => self.quoted('\'', Kind::CharConstant, "unterminated character constant")?,
            '`' => self.raw()?,
            '$' => self.field(Kind::Variable)?,
            '.' if !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                self.field(Kind::Field)?;
            }
            '.' | '+' | '-' | '0'..='9' => self.number()?,
            '(' => {
                self.depth += 1;
                self.emit(Kind::LeftParen, 1);
            }
            ')' => {
                self.depth = self.depth.checked_sub(1).ok_or("unexpected right paren")?;
                self.emit(Kind::RightParen, 1);
            }
            c if c.is_alphanumeric() || c == '_' => self.word()?,
            c if c.is_ascii_graphic() => self.emit(Kind::Char, 1),
            c => {
                return Err(format!(
                    "unrecognized character in action: {}",
                    shown_char(c)
                ));
            }
        }
        Ok(())
    }

    /// A run of blanks, leaving the one that belongs to a ` -}}` marker.
    fn spaces(&mut self) {
        let mut len = 0;
        for (at, c) in self.rest().char_indices() {
            if !SPACES.contains(&c) || (at > 0 && trims_right(&self.rest()[at..])) {
                break;
            }
            len = at + c.len_utf8();
        }
        if !trims_right(self.rest()) {
            self.emit(Kind::Space, len);
        }
    }

    fn quoted(&mut self, quote: char, kind: Kind, unterminated: &str) -> Result<(), String> {
        let mut escaped = false;
        for (at, c) in self.rest().char_indices().skip(1) {
            match c {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => {
                    self.emit(kind, at + 1);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(unterminated.to_owned())
    }

    fn raw(&mut self) -> Result<(), String> {
        let end = self.rest()[1..]
            .find('`')
            .ok_or("unterminated raw quoted string")?;
        self.emit(Kind::RawString, end + 2);
        Ok(())
    }

    fn field(&mut self, kind: Kind) -> Result<(), String> {
        let len = 1 + word_len(&self.rest()[1..]);
        self.at_terminator(len)?;
        let kind = if len == 1 && kind == Kind::Field {
            Kind::Dot
        } else {
            kind
        };
        self.emit(kind, len);
        Ok(())
    }

    fn word(&mut self) -> Result<(), String> {
        let len = word_len(self.rest());
        self.at_terminator(len)?;
        let word = &self.rest()[..len];
        let kind = match keyword_of(word) {
            Some(kind) => kind,
            None if word == "true" || word == "false" => Kind::Bool,
            None => Kind::Identifier,
        };
        self.emit(kind, len);
        Ok(())
    }

    /// Identifiers must be followed by a blank or by punctuation.
    fn at_terminator(&self, len: usize) -> Result<(), String> {
        let rest = &self.rest()[len..];
        match rest.chars().next() {
            None | Some(' ' | '\t' | '\r' | '\n' | '.' | ',' | '|' | ':' | ')' | '(') => Ok(()),
            Some(_) if rest.starts_with(RIGHT) => Ok(()),
            Some(c) => Err(format!("bad character {}", shown_char(c))),
        }
    }

    fn number(&mut self) -> Result<(), String> {
        let len = number_len(self.rest());
        if let Some(c) = self.rest()[len..].chars().next()
            && (c.is_alphanumeric() || c == '_')
        {
            let bad = &self.rest()[..len + c.len_utf8()];
            return Err(format!("bad number syntax: {}", crate::quote::quote(bad)));
        }
        self.emit(Kind::Number, len);
        Ok(())
    }
}

/// Whether the text after `{{` asks to trim: a minus and a blank.
fn trims_left(after: &str) -> bool {
    after.starts_with('-') && after[1..].starts_with(SPACES)
}

/// Whether ` -}}` stands here.
fn trims_right(rest: &str) -> bool {
    rest.starts_with(SPACES) && rest[1..].starts_with("-}}")
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// The length of a Go number: sign, base prefix, digits, fraction, exponent.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut digits: fn(&u8) -> bool = |b| b.is_ascii_digit() || *b == b'_';
    let mut exponent = b'e';
    if bytes.get(at) == Some(&b'0') {
        match bytes.get(at + 1).map(u8::to_ascii_lowercase) {
            Some(b'x') => {
                digits = |b| b.is_ascii_hexdigit() || *b == b'_';
                exponent = b'p';
                at += 2;
            }
            Some(b'o' | b'b') => at += 2,
            _ => {}
        }
    }
    let run = |mut at: usize, digits: fn(&u8) -> bool| {
        while bytes.get(at).is_some_and(digits) {
            at += 1;
        }
        at
    };
    at = run(at, digits);
    if bytes.get(at) == Some(&b'.') {
        at = run(at + 1, digits);
    }
    if bytes.get(at).map(u8::to_ascii_lowercase) == Some(exponent) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        at = run(at, |b| b.is_ascii_digit() || *b == b'_');
    }
    at
}

/// Go's `%#U`.
fn shown_char(c: char) -> String {
    match c.is_control() {
        true => format!("U+{:04X}", c as u32),
        false => format!("U+{:04X} '{c}'", c as u32),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(input: &str) -> String {
        let tokens = lex(input);
        let parts: Vec<String> = tokens.iter().map(Token::shown).collect();
        parts.join(" ")
    }

    #[test]
    fn splits_actions() {
        assert_eq!(shown("a{{.x}}"), r#""a" "{{" ".x" "}}" EOF"#);
        assert_eq!(
            shown("{{if $x | f 1.5 `r`}}"),
            r#""{{" <if> " " "$x" " " "|" " " "f" " " "1.5" " " "`r`" "}}" EOF"#
        );
    }

    #[test]
    fn trims_and_comments() {
        assert_eq!(shown("a  {{- .x -}}  b"), r#""a" "{{" ".x" "}}" "b" EOF"#);
        assert_eq!(shown("a {{- /* c */ -}} b"), r#""a" "b" EOF"#);
    }

    #[test]
    fn errors() {
        assert_eq!(shown("{{ .x "), r#""{{" " " ".x" " " unclosed action"#);
        assert_eq!(
            shown("{{ (x }}"),
            r#""{{" " " "(" "x" " " unclosed left paren"#
        );
        assert_eq!(shown("{{ \"x }}"), r#""{{" " " unterminated quoted string"#);
        assert_eq!(shown("{{ 3k }}"), r#""{{" " " bad number syntax: "3k""#);
    }
}
