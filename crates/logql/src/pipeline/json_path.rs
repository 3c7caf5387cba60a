//! Paths into JSON: `a.b[0]["c d"]`, with the error texts of Loki's grammar.

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Field(String),
    Index(usize),
}

/// The steps from the whole line to a value.
pub(crate) type Path = Vec<Step>;

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Dot,
    Open,
    Close,
    Text(String),
    Index(usize),
    Field(String),
    End,
}

impl Token {
    const fn name(&self) -> &'static str {
        match self {
            Self::Dot => "DOT",
            Self::Open => "LSB",
            Self::Close => "RSB",
            Self::Text(_) => "STRING",
            Self::Index(_) => "INDEX",
            Self::Field(_) => "FIELD",
            Self::End => "$end",
        }
    }
}

/// Reads a path.
pub(crate) fn parse(text: &str) -> Result<Path, String> {
    let mut tokens = lex(text).into_iter();
    let mut next = || tokens.next().unwrap_or(Token::End);
    let mut path = Vec::new();
    let fail = |token: &Token, expected: &str| {
        let expecting = if expected.is_empty() {
            String::new()
        } else {
            format!(", expecting {expected}")
        };
        let name = token.name();
        Err(format!(
            "cannot parse expression [{text}]: syntax error: unexpected {name}{expecting}"
        ))
    };
    let mut token = next();
    loop {
        match token {
            Token::Field(name) if path.is_empty() => path.push(Step::Field(name)),
            Token::Dot if !path.is_empty() => match next() {
                Token::Field(name) => path.push(Step::Field(name)),
                other => return fail(&other, "FIELD"),
            },
            Token::Open => {
                match next() {
                    Token::Text(name) => path.push(Step::Field(name)),
                    Token::Index(index) => path.push(Step::Index(index)),
                    other => return fail(&other, "STRING or INDEX"),
                }
                match next() {
                    Token::Close => {}
                    other => return fail(&other, "RSB"),
                }
            }
            Token::End if !path.is_empty() => return Ok(path),
            other if path.is_empty() => return fail(&other, "LSB or FIELD"),
            other => return fail(&other, ""),
        }
        token = next();
    }
}

fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '.' => {
                tokens.push(Token::Dot);
                1
            }
            '[' => {
                tokens.push(Token::Open);
                1
            }
            ']' => {
                tokens.push(Token::Close);
                1
            }
            '"' => match string(&rest[1..]) {
                Some((name, length)) => {
                    tokens.push(Token::Text(name));
                    length + 1
                }
                None => return tokens,
            },
            '0'..='9' => {
                let length = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                tokens.push(Token::Index(rest[..length].parse().unwrap_or(usize::MAX)));
                length
            }
            c if c.is_alphabetic() || c == '_' => {
                let end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
                let length = rest.find(end).unwrap_or(rest.len());
                tokens.push(Token::Field(rest[..length].to_owned()));
                length
            }
            // What is none of these ends the text for the grammar.
            _ => return tokens,
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

/// A string up to its closing quote, and the length with that quote.
fn string(text: &str) -> Option<(String, usize)> {
    let mut out = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            c if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((out, at + 1)),
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let field = |name: &str| Step::Field(name.to_owned());
        for (text, want) in [
            ("a", vec![field("a")]),
            ("a.b[0]", vec![field("a"), field("b"), Step::Index(0)]),
            (r#"["foo.bar"].x"#, vec![field("foo.bar"), field("x")]),
            ("[1]", vec![Step::Index(1)]),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors() {
        for (text, want) in [
            ("[unclosed", "unexpected FIELD, expecting STRING or INDEX"),
            ("x..y", "unexpected DOT, expecting FIELD"),
            ("", "unexpected $end, expecting LSB or FIELD"),
            ("x[-1]", "unexpected $end, expecting STRING or INDEX"),
            ("user[", "unexpected $end, expecting STRING or INDEX"),
        ] {
            let error = parse(text).unwrap_err();
            assert_eq!(
                error,
                format!("cannot parse expression [{text}]: syntax error: {want}")
            );
        }
    }
}
