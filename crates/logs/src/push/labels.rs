//! Label texts such as `{app="shop", env="prod"}`, with the messages that Loki takes from
//! Prometheus's parser of selectors.

use std::fmt::Display;

use headwater_model::Labels;
use headwater_model::quote::go_quoted;

use super::bad;
use super::names::MAX_PAIRS;
use crate::error::PushError;
use crate::limits::Limits;
use crate::service_name::{SERVICE_NAME, with_service_name};

/// Reads a label text; an empty one is a stream without labels, empty values are dropped.
///
/// # Errors
/// 400, with the line and column of what is wrong.
pub fn parse_labels(text: &[u8]) -> Result<Labels, PushError> {
    let mut parser = Parser { text, at: 0 };
    let pairs = parser.labels().map_err(|(at, what)| {
        let column = String::from_utf8_lossy(&text[..at.min(text.len())])
            .chars()
            .count()
            + 1;
        bad(format!(
            "couldn't parse labels: 1:{column}: parse error: {what}"
        ))
    })?;
    for (at, (name, _)) in pairs.iter().enumerate() {
        if pairs[..at].iter().any(|(earlier, _)| earlier == name) {
            return Err(duplicate(&pairs, name));
        }
    }
    Ok(Labels::from_pairs(pairs))
}

/// Checks labels that came as names and values.
pub(super) fn from_pairs(mut pairs: Vec<(String, String)>) -> Result<Labels, PushError> {
    if pairs
        .iter()
        .all(|(name, _)| headwater_model::name::is_legacy_label_name(name))
    {
        return Ok(Labels::from_pairs(pairs));
    }
    // Loki writes such labels as a text, sorted, and reads it again: the messages speak of that text.
    pairs.sort();
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", go_quoted(value)))
        .collect();
    parse_labels(format!("{{{}}}", written.join(", ")).as_bytes())
}

fn duplicate(pairs: &[(String, String)], name: &str) -> PushError {
    let whole = with_service_name(
        &Labels::from_pairs(pairs.iter().map(|(name, value)| (name, value))),
        &Limits::default().discover_service_name,
    );
    let mut all = pairs.to_vec();
    if !all.iter().any(|(name, _)| name == SERVICE_NAME) {
        all.extend(
            whole
                .get(SERVICE_NAME)
                .map(|value| (SERVICE_NAME.to_owned(), value.to_owned())),
        );
    }
    all.sort_by(|a, b| a.0.cmp(&b.0));
    let written: Vec<String> = all
        .iter()
        .map(|(name, value)| format!("{name}={}", go_quoted(value)))
        .collect();
    bad(format!(
        "stream '{{{}}}' has duplicate label name: '{name}'",
        written.join(", ")
    ))
}

/// What is wrong, and at which byte.
type Wrong = (usize, String);

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Text(String),
    Sign(&'static str),
    /// An operator that labels do not have.
    Operator(&'static str),
}

impl Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => write!(f, "identifier {}", go_quoted(name)),
            Self::Text(text) => write!(f, "string {}", go_quoted(text)),
            Self::Sign(sign) => write!(f, "\"{sign}\""),
            Self::Operator(sign) => write!(f, "<op:{sign}>"),
        }
    }
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn labels(&mut self) -> Result<Vec<(String, String)>, Wrong> {
        self.skip_space();
        match self.peek() {
            None => return Ok(Vec::new()),
            Some(b'{') => self.at += 1,
            Some(_) => return Err(self.without_braces()),
        }
        let mut pairs = Vec::new();
        loop {
            let (at, token) = self.token()?;
            let name = match token {
                Token::Sign("}") => break,
                Token::Name(name) | Token::Text(name) => name,
                other => return Err(unexpected(at, &other, "identifier or \"}\"")),
            };
            match self.token()? {
                (_, Token::Sign("=")) => {}
                (at, other) => return Err(unexpected(at, &other, "\"=\"")),
            }
            match self.token()? {
                (at, Token::Text(_)) if pairs.len() == MAX_PAIRS => {
                    return Err((at, format!("more than {MAX_PAIRS} labels")));
                }
                (_, Token::Text(value)) => pairs.push((name, value)),
                (at, other) => return Err(unexpected(at, &other, "string")),
            }
            match self.token()? {
                (_, Token::Sign(",")) => {}
                (_, Token::Sign("}")) => break,
                (at, other) => return Err(unexpected(at, &other, "\",\" or \"}\"")),
            }
        }
        self.skip_space();
        match self.peek() {
            None => Ok(pairs),
            Some(_) => Err((
                self.at,
                format!("unexpected character: '{}'", self.character()),
            )),
        }
    }

    /// What Prometheus's parser says of a text that is no selector.
    fn without_braces(&mut self) -> Wrong {
        let start = self.at;
        if let Some(byte) = self.peek()
            && (byte.is_ascii_alphabetic() || byte == b'_')
        {
            self.name();
            self.skip_space();
            let at = self.at;
            return match self.peek() {
                None => (at, "unexpected end of input".into()),
                Some(b'=') => (at, "unexpected \"=\"".into()),
                Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                    (at, format!("unexpected {}", Token::Name(self.name())))
                }
                Some(_) => (at, format!("unexpected character: '{}'", self.character())),
            };
        }
        (
            start,
            format!("unexpected character: '{}'", self.character()),
        )
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn character(&self) -> char {
        String::from_utf8_lossy(&self.text[self.at..])
            .chars()
            .next()
            .unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.at += 1;
        }
    }

    fn name(&mut self) -> String {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        {
            self.at += 1;
        }
        String::from_utf8_lossy(&self.text[start..self.at]).into_owned()
    }

    fn sign(&mut self, sign: &'static str) -> Token {
        self.at += sign.len();
        Token::Sign(sign)
    }

    fn token(&mut self) -> Result<(usize, Token), Wrong> {
        self.skip_space();
        let at = self.at;
        let Some(byte) = self.peek() else {
            return Err((at, "unexpected end of input inside braces".into()));
        };
        let next = self.text.get(at + 1);
        let token = match byte {
            b'}' => self.sign("}"),
            b',' => self.sign(","),
            b'=' if next == Some(&b'~') => {
                self.at += 2;
                Token::Operator("=~")
            }
            b'=' => self.sign("="),
            b'!' if next == Some(&b'=') => {
                self.at += 2;
                Token::Operator("!=")
            }
            b'!' if next == Some(&b'~') => {
                self.at += 2;
                Token::Operator("!~")
            }
            b'"' | b'\'' | b'`' => Token::Text(self.string(byte)?),
            byte if byte.is_ascii_alphabetic() || byte == b'_' => Token::Name(self.name()),
            _ => {
                return Err((
                    at,
                    format!("unexpected character inside braces: '{}'", self.character()),
                ));
            }
        };
        Ok((at, token))
    }

    fn string(&mut self, quote: u8) -> Result<String, Wrong> {
        let start = self.at;
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let byte = match self.peek() {
                None => return Err((start, "unterminated quoted string".into())),
                Some(b'\n') if quote != b'`' => {
                    return Err((start, "unterminated quoted string".into()));
                }
                Some(byte) => byte,
            };
            self.at += 1;
            if byte == quote {
                break;
            }
            match byte {
                b'\\' if quote != b'`' => self.escape(start, &mut out)?,
                _ => out.push(byte),
            }
        }
        String::from_utf8(out).map_err(|_| (start, "invalid UTF-8 rune".into()))
    }

    /// One of Go's escapes; the backslash is already read.
    fn escape(&mut self, start: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        let Some(byte) = self.peek() else {
            return Err((start, "unterminated quoted string".into()));
        };
        self.at += 1;
        let simple = match byte {
            b'a' => 7,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 11,
            b'\\' | b'\'' | b'"' => byte,
            b'x' => return self.code(start, 2, 16, push_byte, out),
            b'u' => return self.code(start, 4, 16, push_char, out),
            b'U' => return self.code(start, 8, 16, push_char, out),
            b'0'..=b'7' => {
                self.at -= 1;
                return self.code(start, 3, 8, push_byte, out);
            }
            _ => return Err((start, "unknown escape sequence in a string".into())),
        };
        out.push(simple);
        Ok(())
    }

    fn code(
        &mut self,
        start: usize,
        digits: usize,
        base: u32,
        push: impl Fn(u32, &mut Vec<u8>) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Wrong> {
        let wrong = || (start, "escape sequence is not valid in a string".to_owned());
        let text = self.text.get(self.at..self.at + digits).ok_or_else(wrong)?;
        self.at += digits;
        let text = std::str::from_utf8(text).map_err(|_| wrong())?;
        let code = u32::from_str_radix(text, base).map_err(|_| wrong())?;
        match push(code, out) {
            true => Ok(()),
            false => Err(wrong()),
        }
    }
}

fn push_byte(code: u32, out: &mut Vec<u8>) -> bool {
    match u8::try_from(code) {
        Ok(byte) => {
            out.push(byte);
            true
        }
        Err(_) => false,
    }
}

fn push_char(code: u32, out: &mut Vec<u8>) -> bool {
    match char::from_u32(code) {
        Some(c) => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            true
        }
        None => false,
    }
}

fn unexpected(at: usize, token: &Token, wanted: &str) -> Wrong {
    (
        at,
        format!("unexpected {token} in label set, expected {wanted}"),
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_label_texts() {
        for (text, wanted) in [
            (r#"{a="1", b="2"}"#, vec![("a", "1"), ("b", "2")]),
            (r#"{b="2",a="1",}"#, vec![("a", "1"), ("b", "2")]),
            ("{a=`x\\n`}", vec![("a", "x\\n")]),
            ("{ a = '1' }", vec![("a", "1")]),
            (r#"{a="\n\x41\u00e9"}"#, vec![("a", "\nAé")]),
            (r#"{a="",b="x"}"#, vec![("b", "x")]),
            ("{}", vec![]),
            ("", vec![]),
        ] {
            let found = parse_labels(text.as_bytes()).unwrap();
            assert_eq!(found, Labels::from_pairs(wanted), "{text}");
        }
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, wanted) in [
            (
                r#"{a-b="x"}"#,
                "1:3: parse error: unexpected character inside braces: '-'",
            ),
            (
                r#"{a b="x"}"#,
                "1:4: parse error: unexpected identifier \"b\" in label set, expected \"=\"",
            ),
            (
                r#"{é="x"}"#,
                "1:2: parse error: unexpected character inside braces: 'é'",
            ),
            (
                r#"{="x"}"#,
                "1:2: parse error: unexpected \"=\" in label set, expected identifier or \"}\"",
            ),
            (
                r#"{a=~"1"}"#,
                "1:3: parse error: unexpected <op:=~> in label set, expected \"=\"",
            ),
            (
                "{a=b}",
                "1:4: parse error: unexpected identifier \"b\" in label set, expected string",
            ),
            (r#"a="1""#, "1:2: parse error: unexpected \"=\""),
            (
                r#"{a="1""#,
                "1:7: parse error: unexpected end of input inside braces",
            ),
            (
                "not labels",
                "1:5: parse error: unexpected identifier \"labels\"",
            ),
            (
                r#"{a="1"} |= "x""#,
                "1:9: parse error: unexpected character: '|'",
            ),
        ] {
            let error = parse_labels(text.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, format!("couldn't parse labels: {wanted}"), "{text}");
        }
    }

    #[test]
    fn names_stand_once() {
        let error = parse_labels(br#"{a="1",a="2"}"#).unwrap_err().to_string();
        assert_eq!(
            error,
            r#"stream '{a="1", a="2", service_name="unknown_service"}' has duplicate label name: 'a'"#
        );
    }

    #[test]
    fn labels_are_bounded() {
        let many: Vec<String> = (0..10_000).map(|n| format!("l{n}=\"x\"")).collect();
        let error = parse_labels(format!("{{{}}}", many.join(",")).as_bytes());
        assert!(
            error
                .unwrap_err()
                .to_string()
                .ends_with("more than 1024 labels")
        );
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(pairs in proptest::collection::btree_map("[a-z]{1,3}", ".{1,8}", 0..4)) {
            let labels = Labels::from_pairs(pairs);
            prop_assert_eq!(parse_labels(labels.to_string().as_bytes()).unwrap(), labels);
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = parse_labels(&bytes);
        }
    }
}
