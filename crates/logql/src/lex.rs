//! Splits a query into tokens, positions told as Loki tells them.

use crate::error::ParseError;
use crate::units::{parse_bytes, parse_query_duration, parse_range};

/// A token with its text and place.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Tok,
    pub(crate) text: String,
    /// Nanoseconds of a duration or range, bytes of a size.
    pub(crate) number: i64,
    pub(crate) place: (usize, usize),
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tok {
    End,
    Identifier,
    String,
    Number,
    Duration,
    Bytes,
    Range,
    Flag,
    /// The name of a function in front of its parenthesis.
    Function,
    /// A word or sign of the language; the text says which.
    Sign(&'static str),
}

impl Token {
    /// The token as error texts name it.
    pub(crate) fn shown(&self) -> String {
        match self.kind {
            Tok::End => "$end",
            Tok::Identifier => "IDENTIFIER",
            Tok::String => "STRING",
            Tok::Number => "NUMBER",
            Tok::Duration => "DURATION",
            Tok::Bytes => "BYTES",
            Tok::Range => "RANGE",
            Tok::Flag => "FUNCTION_FLAG",
            Tok::Function => return function_token(&self.text),
            Tok::Sign(sign) => sign,
        }
        .to_owned()
    }
}

/// The grammar's name of a function's token.
fn function_token(name: &str) -> String {
    match name {
        "bytes" | "duration" | "duration_seconds" => format!("{}_CONV", name.to_uppercase()),
        "bytes_over_time" | "bytes_rate" => name.to_uppercase(),
        name => name.to_uppercase(),
    }
}

/// Words and signs, longer signs before those they begin with.
const SIGNS: [&str; 58] = [
    "=~",
    "!~",
    "!=",
    "!>",
    "|=",
    "|~",
    "|>",
    "==",
    ">=",
    "<=",
    ",",
    ".",
    "{",
    "}",
    "=",
    "|",
    "(",
    ")",
    "]",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    ">",
    "<",
    "by",
    "without",
    "bool",
    "unwrap",
    "offset",
    "on",
    "ignoring",
    "group_left",
    "group_right",
    "or",
    "and",
    "unless",
    "json",
    "regexp",
    "logfmt",
    "unpack",
    "pattern",
    "label_format",
    "line_format",
    "ip",
    "decolorize",
    "drop",
    "keep",
    "label_replace",
    "vector",
    "bytes",
    "duration",
    "duration_seconds",
    "[",
    "!",
    "#",
];

/// Names that are functions when a parenthesis or a grouping follows.
const FUNCTIONS: [&str; 33] = [
    "rate",
    "rate_counter",
    "count_over_time",
    "bytes_rate",
    "bytes_over_time",
    "avg_over_time",
    "sum_over_time",
    "min_over_time",
    "max_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "quantile_over_time",
    "first_over_time",
    "last_over_time",
    "absent_over_time",
    "sum",
    "avg",
    "max",
    "min",
    "count",
    "stddev",
    "stdvar",
    "topk",
    "bottomk",
    "approx_topk",
    "sort",
    "sort_desc",
    "vector",
    "label_replace",
    "bytes",
    "duration",
    "duration_seconds",
    "ip",
];

/// Longest query that is read, in bytes (Loki's own bound).
pub(crate) const MAX_QUERY_BYTES: usize = 131_072;

/// Lexes a query. The result ends with an `End` token or with an error that
/// the parser reports when it gets there.
pub(crate) fn lex(input: &str) -> (Vec<Token>, Option<ParseError>) {
    let mut lexer = Lexer {
        input,
        pos: 0,
        line: 1,
        column: 1,
        tokens: Vec::new(),
    };
    let error = lexer.run().err();
    (lexer.tokens, error)
}

struct Lexer<'a> {
    input: &'a str,
    pos: usize,
    line: usize,
    column: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.input[self.pos..]
    }

    fn skip(&mut self, len: usize) {
        for c in self.rest()[..len].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.pos += len;
    }

    fn emit(&mut self, kind: Tok, len: usize, text: String, number: i64, place: (usize, usize)) {
        self.tokens.push(Token {
            kind,
            text,
            number,
            place,
        });
        self.skip(len);
    }

    fn run(&mut self) -> Result<(), ParseError> {
        loop {
            self.blanks();
            let place = (self.line, self.column);
            let Some(c) = self.rest().chars().next() else {
                let place = if self.tokens.is_empty() {
                    (0, 0)
                } else {
                    place
                };
                self.emit(Tok::End, 0, String::new(), 0, place);
                return Ok(());
            };
            self.token(c, place)?;
        }
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
            self.skip(blank);
            if !self.rest().starts_with('#') {
                return;
            }
            let line = self.rest().find('\n').unwrap_or(self.rest().len());
            self.skip(line);
        }
    }

    fn token(&mut self, c: char, place: (usize, usize)) -> Result<(), ParseError> {
        let next_digit = self.rest()[c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
        match c {
            '"' | '`' => self.string(c, place),
            '[' => self.range(place),
            '0'..='9' => {
                self.number(place);
                Ok(())
            }
            '.' if next_digit => {
                self.number(place);
                Ok(())
            }
            '-' if self.flag(place) || self.negative_duration(place) => Ok(()),
            _ => {
                self.word_or_sign(c, place);
                Ok(())
            }
        }
    }

    fn string(&mut self, mark: char, place: (usize, usize)) -> Result<(), ParseError> {
        let body = &self.rest()[1..];
        let mut escaped = false;
        for (at, c) in body.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' if mark == '"' => escaped = true,
                '\n' if mark == '"' => break,
                c if c == mark => {
                    let text = match mark {
                        '`' => Some(body[..at].replace('\r', "")),
                        _ => unquote(&body[..at]),
                    };
                    let Some(text) = text else {
                        return Err(ParseError::at("invalid syntax", place));
                    };
                    self.emit(Tok::String, at + 2, text, 0, place);
                    return Ok(());
                }
                _ => {}
            }
        }
        Err(ParseError::at("literal not terminated", place))
    }

    /// `[5m]`. Loki forgets the line of what follows a bracket.
    fn range(&mut self, (_, column): (usize, usize)) -> Result<(), ParseError> {
        let place = (0, column);
        let Some(end) = self.rest().find(']') else {
            return Err(ParseError::at("missing closing ']' in duration", place));
        };
        let text = self.rest()[1..end].to_owned();
        let nanos = parse_range(&text).map_err(|e| ParseError::at(e, place))?;
        self.emit(Tok::Range, end + 1, text, nanos, place);
        Ok(())
    }

    fn number(&mut self, place: (usize, usize)) {
        let len = number_len(self.rest());
        if self.with_unit(len, place) {
            return;
        }
        let text = self.rest()[..len].to_owned();
        self.emit(Tok::Number, len, text, 0, place);
    }

    /// A number that goes on as a duration or a size.
    fn with_unit(&mut self, len: usize, (_, column): (usize, usize)) -> bool {
        let place = (0, column);
        let run = |more: fn(char) -> bool| {
            let after = &self.rest()[len..];
            let end = after
                .find(|c: char| !(c.is_ascii_digit() || c == '.' || more(c)))
                .unwrap_or(after.len());
            (end > 0).then(|| &self.rest()[..len + end])
        };
        let duration =
            run(|c| matches!(c, 'n' | 'u' | '\u{b5}' | 'm' | 's' | 'h' | 'd' | 'w' | 'y'));
        if let Some((text, nanos)) = duration.and_then(|t| Some((t, parse_query_duration(t).ok()?)))
        {
            self.emit(Tok::Duration, text.len(), text.to_owned(), nanos, place);
            return true;
        }
        let bytes = run(|c| matches!(c, 'B' | 'i' | 'k' | 'K' | 'M' | 'G' | 'T' | 'P'));
        if let Some((text, bytes)) = bytes.and_then(|t| Some((t, parse_bytes(t).ok()?))) {
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            self.emit(Tok::Bytes, text.len(), text.to_owned(), bytes, place);
            return true;
        }
        false
    }

    /// `--strict` and its kin.
    fn flag(&mut self, place: (usize, usize)) -> bool {
        for flag in ["--strict", "--keep-empty"] {
            if self.rest().starts_with(flag) {
                self.emit(Tok::Flag, flag.len(), flag.to_owned(), 0, place);
                return true;
            }
        }
        false
    }

    fn negative_duration(&mut self, place: (usize, usize)) -> bool {
        let len = 1 + number_len(&self.rest()[1..]);
        len > 1 && {
            let text = &self.rest()[..self.duration_len(len)];
            match text.len() > len {
                true => match parse_query_duration(&text[1..]) {
                    Ok(nanos) => {
                        self.emit(
                            Tok::Duration,
                            text.len(),
                            text.to_owned(),
                            -nanos,
                            (0, place.1),
                        );
                        true
                    }
                    Err(_) => false,
                },
                false => false,
            }
        }
    }

    fn duration_len(&self, from: usize) -> usize {
        let after = &self.rest()[from..];
        let unit = |c: char| {
            c.is_ascii_digit()
                || matches!(
                    c,
                    '.' | 'n' | 'u' | '\u{b5}' | 'm' | 's' | 'h' | 'd' | 'w' | 'y'
                )
        };
        from + after.find(|c| !unit(c)).unwrap_or(after.len())
    }

    fn word_or_sign(&mut self, c: char, place: (usize, usize)) {
        let word = match c.is_alphabetic() || c == '_' {
            true => word_len(self.rest()),
            false => 0,
        };
        if word == 0 {
            let sign = SIGNS.iter().find(|sign| self.rest().starts_with(**sign));
            match sign {
                // Signs of two characters cost Loki the line.
                Some(sign) if sign.len() == 2 => {
                    self.emit(Tok::Sign(sign), 2, String::new(), 0, (0, place.1));
                }
                Some(sign) if *sign != "!" => {
                    self.emit(Tok::Sign(sign), sign.len(), String::new(), 0, place);
                }
                _ => self.emit(Tok::Identifier, c.len_utf8(), c.to_string(), 0, place),
            }
            return;
        }
        let text = &self.rest()[..word];
        let kind = match (
            FUNCTIONS.contains(&text),
            SIGNS.iter().find(|s| **s == text),
        ) {
            (true, _) if calls(&self.rest()[word..]) => match text {
                "ip" => Tok::Sign("ip"),
                "label_replace" => Tok::Sign("label_replace"),
                _ => Tok::Function,
            },
            (true, _) => Tok::Identifier,
            (false, Some(sign)) => Tok::Sign(sign),
            (false, None) => Tok::Identifier,
        };
        self.emit(kind, word, text.to_owned(), 0, place);
    }
}

/// Whether an opening parenthesis follows, perhaps behind `by` or `without`.
fn calls(rest: &str) -> bool {
    let rest = rest.trim_start();
    let grouped = rest
        .strip_prefix("by")
        .or_else(|| rest.strip_prefix("without"));
    rest.starts_with('(') || grouped.is_some_and(|rest| rest.trim_start().starts_with('('))
}

fn word_len(text: &str) -> usize {
    text.find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len())
}

/// The length of a Go number: decimal, hexadecimal, octal or binary, with
/// fraction and exponent.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |mut at: usize, ok: fn(&u8) -> bool| {
        while bytes.get(at).is_some_and(ok) {
            at += 1;
        }
        at
    };
    let decimal: fn(&u8) -> bool = |b| b.is_ascii_digit() || *b == b'_';
    let hex: fn(&u8) -> bool = |b| b.is_ascii_hexdigit() || *b == b'_';
    let base = bytes.get(1).map(u8::to_ascii_lowercase);
    let (mut at, digits, exponent) = match (bytes.first(), base) {
        (Some(b'0'), Some(b'x')) => (2, hex, b'p'),
        (Some(b'0'), Some(b'o' | b'b')) => (2, decimal, b'e'),
        _ => (0, decimal, b'e'),
    };
    at = run(at, digits);
    if bytes.get(at) == Some(&b'.') {
        at = run(at + 1, digits);
    }
    if bytes.get(at).map(u8::to_ascii_lowercase) == Some(exponent) {
        let signed = at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        if bytes.get(signed).is_some_and(u8::is_ascii_digit) {
            at = run(signed, decimal);
        }
    }
    at
}

/// The text of a double-quoted Go literal without its quotes.
pub(crate) fn unquote(body: &str) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let c = chars.next()?;
        let (digits, radix) = match c {
            'a' => (0, 7),
            'b' => (0, 8),
            'f' => (0, 12),
            'n' => (0, 10),
            'r' => (0, 13),
            't' => (0, 9),
            'v' => (0, 11),
            '\\' | '\'' | '"' => (0, u32::from(c)),
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            '0'..='7' => (2, 8),
            _ => return None,
        };
        if digits == 0 {
            out.push(radix as u8);
            continue;
        }
        let mut code = if radix == 8 { c.to_digit(8)? } else { 0 };
        for _ in 0..digits {
            code = code
                .checked_mul(radix)?
                .checked_add(chars.next()?.to_digit(radix)?)?;
        }
        match c {
            'u' | 'U' => {
                let c = char::from_u32(code)?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.push(u8::try_from(code).ok()?),
        }
    }
    Some(match String::from_utf8(out) {
        Ok(text) => text,
        Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(input: &str) -> String {
        let (tokens, error) = lex(input);
        let mut parts: Vec<String> = tokens.iter().map(Token::shown).collect();
        parts.extend(error.map(|e| e.to_string()));
        parts.join(" ")
    }

    #[test]
    fn kinds() {
        assert_eq!(shown("{app=\"a\"}"), "{ IDENTIFIER = STRING } $end");
        assert_eq!(
            shown("rate({a=`b`} |= \"x\" [5m]) # c"),
            "RATE ( { IDENTIFIER = STRING } |= STRING RANGE ) $end"
        );
        assert_eq!(
            shown("5 5m 1.5KiB 0x1p3 -1 .5"),
            "NUMBER DURATION BYTES NUMBER - NUMBER NUMBER $end"
        );
        assert_eq!(
            shown("sum by (x) sum rate"),
            "SUM by ( IDENTIFIER ) IDENTIFIER IDENTIFIER $end"
        );
        assert_eq!(
            shown("| logfmt --strict --bogus"),
            "| logfmt FUNCTION_FLAG - - IDENTIFIER $end"
        );
    }

    #[test]
    fn errors() {
        assert_eq!(
            shown("{a=\"b"),
            "{ IDENTIFIER = parse error at line 1, col 4: literal not terminated"
        );
        assert_eq!(
            shown("[5]"),
            "parse error at line 0, col 1: not a valid duration string: \"5\""
        );
    }
}
