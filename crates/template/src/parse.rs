//! From tokens to the compiled tree, with Go's error texts.

use std::collections::HashMap;

use crate::error::Error;
use crate::funcs::Funcs;
use crate::lex::{Kind, Token, lex};
use crate::node::{Arg, Branch, Call, Command, Node, Number, Pipe, Variable, Word};
use crate::quote::{quote, unquote};

/// Nested parentheses and control actions allowed: deeper ones could overflow
/// the stack of the thread that parses.
const MAX_DEPTH: usize = 100;

/// The bodies found in one text: its own and those it defines.
pub(crate) struct Parsed {
    pub(crate) body: Vec<Node>,
    pub(crate) defines: HashMap<String, Vec<Node>>,
}

/// Parses `text`, resolving function names in `funcs`.
pub(crate) fn parse(name: &str, text: &str, funcs: &Funcs) -> Result<Parsed, Error> {
    let mut parser = Parser {
        name,
        funcs,
        tokens: lex(text),
        at: 0,
        vars: vec!["$".to_owned()],
        ranges: 0,
        depth: 0,
        action_line: 0,
        line: 1,
        defines: HashMap::new(),
    };
    let body = parser.file()?;
    Ok(Parsed {
        body,
        defines: parser.defines,
    })
}

/// What ended a list of nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stop {
    End,
    Else,
}

enum Step {
    Node(Node),
    Stop(Stop),
}

struct Parser<'a> {
    name: &'a str,
    funcs: &'a Funcs,
    tokens: Vec<Token>,
    at: usize,
    /// Names of the variables in scope; the index is the slot.
    vars: Vec<String>,
    ranges: usize,
    depth: usize,
    action_line: usize,
    /// Line of the last token taken, for error texts.
    line: usize,
    defines: HashMap<String, Vec<Node>>,
}

type Result<T, E = Error> = std::result::Result<T, E>;

impl Parser<'_> {
    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T> {
        let text = format!("template: {}:{}: {message}", self.name, self.line);
        Err(Error::Parse(text))
    }

    fn peek(&mut self) -> Token {
        let token = self.tokens[self.at.min(self.tokens.len() - 1)].clone();
        self.line = token.line;
        token
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn peek_solid(&mut self) -> Token {
        while self.peek().kind == Kind::Space {
            self.at += 1;
        }
        self.peek()
    }

    fn next_solid(&mut self) -> Token {
        let token = self.peek_solid();
        self.at += 1;
        token
    }

    fn unexpected<T>(&self, token: &Token, context: &str) -> Result<T> {
        if token.kind != Kind::Error {
            return self.error(format_args!("unexpected {} in {context}", token.shown()));
        }
        if self.action_line == 0 || self.action_line == token.line {
            return self.error(token.shown());
        }
        let started = format!("started at {}:{}", self.name, self.action_line);
        match token.text.ends_with(" action") {
            true => self.error(format_args!("{} {started}", token.text)),
            false => self.error(format_args!("{} in action {started}", token.text)),
        }
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Result<Token> {
        let token = self.next_solid();
        if token.kind != kind {
            return self.unexpected(&token, context);
        }
        Ok(token)
    }

    fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.error("max expression depth exceeded");
        }
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    fn file(&mut self) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        while self.peek().kind != Kind::Eof {
            if self.starts_define() {
                self.define()?;
                continue;
            }
            match self.text_or_action()? {
                Step::Node(node) => nodes.push(node),
                Step::Stop(Stop::End) => return self.error("unexpected {{end}}"),
                Step::Stop(Stop::Else) => return self.error("unexpected {{else}}"),
            }
        }
        Ok(nodes)
    }

    /// Steps over `{{define` if it stands here.
    fn starts_define(&mut self) -> bool {
        if self.peek().kind != Kind::LeftDelim {
            return false;
        }
        let start = self.at;
        self.at += 1;
        if self.next_solid().kind == Kind::Define {
            return true;
        }
        self.at = start;
        false
    }

    fn define(&mut self) -> Result<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let body = self.body_of_definition()?;
        self.add_definition(name, body);
        Ok(())
    }

    /// A definition has variables of its own.
    fn body_of_definition(&mut self) -> Result<Vec<Node>> {
        let outer = std::mem::replace(&mut self.vars, vec!["$".to_owned()]);
        let ranges = std::mem::take(&mut self.ranges);
        let (body, stop) = self.deeper(Self::list)?;
        if stop != Stop::End {
            return self.error("unexpected {{else}} in define clause");
        }
        self.vars = outer;
        self.ranges = ranges;
        Ok(body)
    }

    /// A later definition replaces an earlier one unless it is blank.
    fn add_definition(&mut self, name: String, body: Vec<Node>) {
        let blank = body
            .iter()
            .all(|n| matches!(n, Node::Text(t) if t.trim().is_empty()));
        if !blank || !self.defines.contains_key(&name) {
            self.defines.insert(name, body);
        }
    }

    fn list(&mut self) -> Result<(Vec<Node>, Stop)> {
        let mut nodes = Vec::new();
        while self.peek_solid().kind != Kind::Eof {
            match self.text_or_action()? {
                Step::Node(node) => nodes.push(node),
                Step::Stop(stop) => return Ok((nodes, stop)),
            }
        }
        self.error("unexpected EOF")
    }

    fn text_or_action(&mut self) -> Result<Step> {
        let token = self.next_solid();
        match token.kind {
            Kind::Text => Ok(Step::Node(Node::Text(token.text))),
            Kind::LeftDelim => {
                self.action_line = token.line;
                let step = self.action();
                self.action_line = 0;
                step
            }
            _ => self.unexpected(&token, "input"),
        }
    }

    fn action(&mut self) -> Result<Step> {
        let token = self.next_solid();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.jump(Node::Break, "break")?,
            Kind::Continue => self.jump(Node::Continue, "continue")?,
            Kind::Else => return self.else_clause(),
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Step::Stop(Stop::End));
            }
            Kind::If => Node::If(self.control("if")?),
            Kind::Range => Node::Range(self.control("range")?),
            Kind::With => Node::With(self.control("with")?),
            Kind::Template => self.template()?,
            _ => {
                self.at -= 1;
                Node::Action(self.pipeline("command", Kind::RightDelim)?)
            }
        };
        Ok(Step::Node(node))
    }

    fn jump(&mut self, node: Node, word: &str) -> Result<Node> {
        let token = self.next_solid();
        if token.kind != Kind::RightDelim {
            return self.unexpected(&token, &format!("{{{{{word}}}}}"));
        }
        if self.ranges == 0 {
            return self.error(format_args!("{{{{{word}}}}} outside {{{{range}}}}"));
        }
        Ok(node)
    }

    fn else_clause(&mut self) -> Result<Step> {
        if !matches!(self.peek_solid().kind, Kind::If | Kind::With) {
            self.expect(Kind::RightDelim, "else")?;
        }
        Ok(Step::Stop(Stop::Else))
    }

    fn control(&mut self, context: &str) -> Result<Branch> {
        let scope = self.vars.len();
        let branch = self.deeper(|parser| parser.branch(context));
        self.vars.truncate(scope);
        branch
    }

    fn branch(&mut self, context: &str) -> Result<Branch> {
        let pipe = self.pipeline(context, Kind::RightDelim)?;
        self.ranges += usize::from(context == "range");
        let (body, stop) = self.list()?;
        self.ranges -= usize::from(context == "range");
        let other = match stop {
            Stop::End => Vec::new(),
            Stop::Else => self.other(context)?,
        };
        Ok(Branch { pipe, body, other })
    }

    fn other(&mut self, context: &str) -> Result<Vec<Node>> {
        let next = self.peek_solid().kind;
        if context == "if" && next == Kind::If {
            self.at += 1;
            return Ok(vec![Node::If(self.control("if")?)]);
        }
        if context == "with" && next == Kind::With {
            self.at += 1;
            return Ok(vec![Node::With(self.control("with")?)]);
        }
        let (body, stop) = self.list()?;
        if stop != Stop::End {
            return self.error("expected end; found {{else}}");
        }
        Ok(body)
    }

    fn template_name(&mut self, token: &Token, context: &str) -> Result<String> {
        if !matches!(token.kind, Kind::String | Kind::RawString) {
            return self.unexpected(token, context);
        }
        match unquote(&token.text) {
            Some(name) => Ok(name),
            None => self.error("invalid syntax"),
        }
    }

    fn template(&mut self) -> Result<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.optional_pipeline(CONTEXT)?;
        Ok(Node::Template(Call {
            pos: token.pos,
            name,
            pipe,
        }))
    }

    fn optional_pipeline(&mut self, context: &str) -> Result<Option<Pipe>> {
        if self.next_solid().kind == Kind::RightDelim {
            return Ok(None);
        }
        self.at -= 1;
        self.pipeline(context, Kind::RightDelim).map(Some)
    }

    fn block(&mut self) -> Result<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_solid();
        let name = self.template_name(&token, CONTEXT)?;
        let pipe = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let body = self.body_of_definition()?;
        self.add_definition(name.clone(), body);
        Ok(Node::Template(Call {
            pos: token.pos,
            name,
            pipe: Some(pipe),
        }))
    }

    fn pipeline(&mut self, context: &str, end: Kind) -> Result<Pipe> {
        let pos = self.peek_solid().pos;
        let mut pipe = Pipe {
            pos,
            assign: false,
            decl: Vec::new(),
            cmds: Vec::new(),
        };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.next_solid();
            match token.kind {
                kind if kind == end => {
                    self.check(&pipe, context)?;
                    return Ok(pipe);
                }
                kind if starts_operand(kind) => {
                    self.at -= 1;
                    pipe.cmds.push(self.command()?);
                }
                _ => return self.unexpected(&token, context),
            }
        }
    }

    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Result<()> {
        loop {
            let start = self.at;
            let variable = self.peek_solid();
            if variable.kind != Kind::Variable {
                return Ok(());
            }
            self.at += 1;
            let next = self.peek_solid();
            match next.kind {
                Kind::Assign | Kind::Declare => {
                    self.at += 1;
                    pipe.assign = next.kind == Kind::Assign;
                    return self.declare(pipe, variable.text);
                }
                Kind::Char if next.text == "," => {
                    self.at += 1;
                    self.declare(pipe, variable.text)?;
                    if context != "range" || pipe.decl.len() > 1 {
                        return self.error(format_args!("too many declarations in {context}"));
                    }
                    if self.peek_solid().kind != Kind::Variable {
                        return self.error("range can only initialize variables");
                    }
                }
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
    }

    fn declare(&mut self, pipe: &mut Pipe, name: String) -> Result<()> {
        let known = self.vars.iter().rposition(|v| *v == name);
        let slot = match (pipe.assign, known) {
            (true, Some(slot)) => slot,
            (true, None) => return self.error(format_args!("undefined variable {}", quote(&name))),
            (false, _) => {
                self.vars.push(name.clone());
                self.vars.len() - 1
            }
        };
        pipe.decl.push(Variable { name, slot });
        Ok(())
    }

    /// Only the first command may be a plain value.
    fn check(&self, pipe: &Pipe, context: &str) -> Result<()> {
        if pipe.cmds.is_empty() {
            return self.error(format_args!("missing value for {context}"));
        }
        for (stage, command) in pipe.cmds.iter().enumerate().skip(1) {
            let first = &command.args[0].word;
            if matches!(
                first,
                Word::Bool(_) | Word::Dot | Word::Nil | Word::Number(_) | Word::Str { .. }
            ) {
                let stage = stage + 1;
                return self.error(format_args!(
                    "non executable command in pipeline stage {stage}"
                ));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Result<Command> {
        let pos = self.peek_solid().pos;
        let mut args = Vec::new();
        loop {
            self.peek_solid();
            args.extend(self.operand()?);
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.at -= 1,
                Kind::Pipe => {}
                _ => return self.unexpected(&token, "operand"),
            }
            break;
        }
        if args.is_empty() {
            return self.error("empty command");
        }
        Ok(Command { pos, args })
    }

    fn operand(&mut self) -> Result<Option<Arg>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let chain_pos = self.peek().pos;
        let mut names = Vec::new();
        while self.peek().kind == Kind::Field {
            names.push(self.next().text[1..].to_owned());
        }
        if names.is_empty() {
            return Ok(Some(term));
        }
        let shown = term.to_string();
        let word = match term.word {
            Word::Field(mut first) => {
                first.append(&mut names);
                Word::Field(first)
            }
            Word::Variable(variable, _) => Word::Variable(variable, names),
            Word::Bool(_) | Word::Str { .. } | Word::Number(_) | Word::Nil | Word::Dot => {
                return self.error(format_args!("unexpected . after term {}", quote(&shown)));
            }
            word => Word::Chain(
                Box::new(Arg {
                    pos: term.pos,
                    word,
                }),
                names,
            ),
        };
        Ok(Some(Arg {
            pos: chain_pos,
            word,
        }))
    }

    fn term(&mut self) -> Result<Option<Arg>> {
        let token = self.next_solid();
        let word = match token.kind {
            Kind::Identifier => match self.funcs.get(&token.text) {
                Some(function) => Word::Function(function.clone()),
                None => {
                    let name = quote(&token.text);
                    return self.error(format_args!("function {name} not defined"));
                }
            },
            Kind::Dot => Word::Dot,
            Kind::Nil => Word::Nil,
            Kind::Bool => Word::Bool(token.text == "true"),
            Kind::Variable => self.variable(&token.text)?,
            Kind::Field => Word::Field(vec![token.text[1..].to_owned()]),
            Kind::CharConstant | Kind::Number => Word::Number(self.number(&token)?),
            Kind::LeftParen => {
                Word::Pipe(Box::new(self.deeper(|p| {
                    p.pipeline("parenthesized pipeline", Kind::RightParen)
                })?))
            }
            Kind::String | Kind::RawString => match unquote(&token.text) {
                Some(value) => Word::Str {
                    value: value.into(),
                    source: token.text,
                },
                None => return self.error("invalid syntax"),
            },
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Arg {
            pos: token.pos,
            word,
        }))
    }

    fn variable(&self, name: &str) -> Result<Word> {
        match self.vars.iter().rposition(|v| v == name) {
            Some(slot) => {
                let variable = Variable {
                    name: name.to_owned(),
                    slot,
                };
                Ok(Word::Variable(variable, Vec::new()))
            }
            None => self.error(format_args!("undefined variable {}", quote(name))),
        }
    }

    fn number(&self, token: &Token) -> Result<Number> {
        let source = token.text.clone();
        if token.kind == Kind::CharConstant {
            let text = unquote(&source).unwrap_or_default();
            let mut chars = text.chars();
            let (Some(c), None) = (chars.next(), chars.next()) else {
                return self.error(format_args!("malformed character constant: {source}"));
            };
            let code = i64::from(u32::from(c));
            return Ok(Number {
                source,
                int: Some(code),
                float: Some(code as f64),
                float_form: false,
            });
        }
        let plain = source.replace('_', "");
        let based = based_int(&plain);
        let float = match based {
            Some(n) => Some(n as f64),
            None => plain.parse::<f64>().ok().filter(|f| f.is_finite()),
        };
        let int = based.or_else(|| float.filter(|f| f.fract() == 0.0).map(|f| f as i64));
        if float.is_none() {
            return self.error(format_args!("bad number syntax: {}", quote(&source)));
        }
        let float_form = based.is_none() && source.contains(['.', 'e', 'E']);
        Ok(Number {
            source,
            int,
            float,
            float_form,
        })
    }
}

/// An integer in any of Go's bases.
fn based_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = match (lower.get(..2), lower.len()) {
        (Some("0x"), _) => (&lower[2..], 16),
        (Some("0b"), _) => (&lower[2..], 2),
        (Some("0o"), _) => (&lower[2..], 8),
        (Some(_), _) if lower.starts_with('0') => (&lower[1..], 8),
        _ => (lower.as_str(), 10),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

fn starts_operand(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Bool
            | Kind::CharConstant
            | Kind::Dot
            | Kind::Field
            | Kind::Identifier
            | Kind::Number
            | Kind::Nil
            | Kind::RawString
            | Kind::String
            | Kind::Variable
            | Kind::LeftParen
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        match parse("t", text, &Funcs::new()) {
            Ok(_) => "parsed".to_owned(),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn errors_read_as_in_go() {
        for (text, want) in [
            ("{{ if .x }}", "template: t:1: unexpected EOF"),
            (
                "{{ nofunc }}",
                "template: t:1: function \"nofunc\" not defined",
            ),
            ("{{ .x ", "template: t:1: unclosed action"),
            ("a\n{{ $x }}", "template: t:2: undefined variable \"$x\""),
            ("{{ end }}", "template: t:1: unexpected {{end}}"),
            ("{{ else }}", "template: t:1: unexpected {{else}}"),
            ("{{ }}", "template: t:1: missing value for command"),
            (
                "{{ .x | 3 }}",
                "template: t:1: non executable command in pipeline stage 2",
            ),
            ("{{ break }}", "template: t:1: {{break}} outside {{range}}"),
            ("{{ if }}x{{ end }}", "template: t:1: missing value for if"),
            (
                "{{ $a, $b := .x }}",
                "template: t:1: too many declarations in command",
            ),
            ("{{ 1.x }}", "template: t:1: bad number syntax: \"1.x\""),
            ("{{ . if }}", "template: t:1: unexpected <if> in operand"),
            ("{{ define \"x\" }}", "template: t:1: unexpected EOF"),
            (
                "{{ template x }}",
                "template: t:1: unexpected \"x\" in template clause",
            ),
            ("{{ .x }", "template: t:1: unexpected \"}\" in operand"),
            ("{{\n.x", "template: t:2: unclosed action started at t:1"),
        ] {
            assert_eq!(error(text), want, "{text}");
        }
    }

    #[test]
    fn too_deep_is_refused() {
        let text = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
        assert_eq!(error(&text), "template: t:1: max expression depth exceeded");
        let text = "{{if 1}}".repeat(5000) + &"{{end}}".repeat(5000);
        assert_eq!(error(&text), "template: t:1: max expression depth exceeded");
    }

    #[test]
    fn good_ones_parse() {
        for text in [
            "{{ if .x }}a{{ else if .y }}b{{ else }}c{{ end }}",
            "{{ range $i, $e := .x }}{{ $i }}{{ break }}{{ else }}none{{ end }}",
            "{{ with $x := .y }}{{ $x.z }}{{ end }}",
            "{{ block \"b\" . }}{{ .x }}{{ end }}{{ template \"b\" . }}",
            "{{ (printf \"%d\" 3).x }}{{ $.y }}{{ 'a' }}{{ 0x1F }}{{ 1e3 }}{{ -1 }}",
            "{{ $x := 1 }}{{ $x = 2 }}{{ $x | printf \"%v\" }}",
        ] {
            assert_eq!(error(text), "parsed", "{text}");
        }
    }
}
