//! The compiled form: a tree with functions and variables already resolved.
//!
//! Every node prints as Go prints it, because error texts quote the source of
//! the expression that failed.

use std::fmt;

use crate::funcs::Function;
use crate::quote::quote;

/// A step of a template body.
#[derive(Debug)]
pub(crate) enum Node {
    Text(String),
    Action(Pipe),
    If(Branch),
    With(Branch),
    Range(Branch),
    Template(Call),
    Break,
    Continue,
}

/// The condition and the two bodies of `if`, `with` and `range`.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) pipe: Pipe,
    pub(crate) body: Vec<Node>,
    pub(crate) other: Vec<Node>,
}

/// `{{template "name" pipeline}}`.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) pos: usize,
    pub(crate) name: String,
    pub(crate) pipe: Option<Pipe>,
}

/// `$x, $y := command | command`.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) pos: usize,
    pub(crate) assign: bool,
    pub(crate) decl: Vec<Variable>,
    pub(crate) cmds: Vec<Command>,
}

/// A variable and where it lives on the stack of the running template.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) slot: usize,
}

/// An operand, or a function with its arguments.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) pos: usize,
    pub(crate) args: Vec<Arg>,
}

/// One word of a command.
#[derive(Debug)]
pub(crate) struct Arg {
    pub(crate) pos: usize,
    pub(crate) word: Word,
}

#[derive(Debug)]
pub(crate) enum Word {
    Bool(bool),
    Dot,
    Nil,
    Number(Number),
    Str {
        value: std::sync::Arc<str>,
        source: String,
    },
    Field(Vec<String>),
    Variable(Variable, Vec<String>),
    Function(Function),
    Pipe(Box<Pipe>),
    Chain(Box<Arg>, Vec<String>),
}

/// A constant, which is what the place it is used in wants it to be.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) source: String,
    pub(crate) int: Option<i64>,
    pub(crate) float: Option<f64>,
    /// Written with a point or an exponent: a float where any type will do.
    pub(crate) float_form: bool,
}

fn join<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T], with: &str) -> fmt::Result {
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item}", if i == 0 { "" } else { with })?;
    }
    Ok(())
}

fn fields(f: &mut fmt::Formatter<'_>, names: &[String]) -> fmt::Result {
    names.iter().try_for_each(|name| write!(f, ".{name}"))
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.decl.is_empty() {
            join(f, &self.decl, ", ")?;
            f.write_str(if self.assign { " = " } else { " := " })?;
        }
        join(f, &self.cmds, " | ")
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join(f, &self.args, " ")
    }
}

impl fmt::Display for Arg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.word {
            Word::Bool(b) => write!(f, "{b}"),
            Word::Dot => f.write_str("."),
            Word::Nil => f.write_str("nil"),
            Word::Number(n) => f.write_str(&n.source),
            Word::Str { source, .. } => f.write_str(source),
            Word::Field(names) => fields(f, names),
            Word::Variable(variable, names) => {
                write!(f, "{variable}")?;
                fields(f, names)
            }
            Word::Function(function) => f.write_str(function.name()),
            Word::Pipe(pipe) => write!(f, "({pipe})"),
            Word::Chain(base, names) => {
                write!(f, "{base}")?;
                fields(f, names)
            }
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(&self.name))?;
        if let Some(pipe) = &self.pipe {
            write!(f, " {pipe}")?;
        }
        f.write_str("}}")
    }
}
