#![doc = include_str!("../README.md")]

mod builtins;
mod compare;
mod error;
mod exec;
mod fields;
mod float;
mod funcs;
mod lex;
mod node;
mod parse;
mod printf;
mod quote;
mod time;
mod value;

use std::collections::HashMap;

pub use error::Error;
pub use float::format_float;
pub use funcs::{CallResult, Funcs, Kind, Signature};
pub use printf::sprintf;
pub use time::GoTime;
pub use value::{Map, Object, Value};

use node::Node;

/// What a template is executed on.
///
/// A [`Value`] is data. A caller with many executions implements the trait on
/// a borrowed view instead and hands out text without copying it.
pub trait Data {
    /// The text of `.name`, or `None` when the field must be looked up in
    /// [`whole`](Data::whole). An empty text stands for a missing field.
    fn text(&self, _name: &str) -> Option<&str> {
        None
    }

    /// The data as one value: what `{{ . }}` and `{{ $ }}` mean.
    fn whole(&self) -> Value;

    /// Carries out a function declared with [`Funcs::add_data`].
    fn call(&self, name: &str, _args: &[Value]) -> CallResult {
        Err(format!("the data has no function {name}"))
    }
}

impl Data for Value {
    fn whole(&self) -> Value {
        self.clone()
    }
}

/// Bounds of one execution.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of output, and of any single text on the way.
    pub max_output_bytes: usize,
    /// Nodes visited, loop iterations and function calls.
    pub max_steps: usize,
    /// Templates calling templates.
    pub max_depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_output_bytes: 8 << 20,
            max_steps: 1_000_000,
            max_depth: 200,
        }
    }
}

/// A parsed template with the templates it defines, ready to run often and
/// from many threads.
#[derive(Debug)]
pub struct Template {
    name: String,
    text: String,
    bodies: HashMap<String, Vec<Node>>,
    limits: Limits,
}

impl Template {
    /// Parses `text`; `name` stands in error texts.
    ///
    /// # Errors
    ///
    /// [`Error::Parse`] with Go's message when the text is not a template or
    /// calls a function that `funcs` does not have.
    pub fn parse(name: &str, text: &str, funcs: &Funcs) -> Result<Self, Error> {
        let parsed = parse::parse(name, text, funcs)?;
        let mut bodies = parsed.defines;
        bodies.insert(name.to_owned(), parsed.body);
        Ok(Self {
            name: name.to_owned(),
            text: text.to_owned(),
            bodies,
            limits: Limits::default(),
        })
    }

    /// Replaces the bounds of every later execution.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The text, when it is a single piece without any action.
    pub fn literal(&self) -> Option<&str> {
        match self.bodies.get(&self.name).map(Vec::as_slice) {
            Some([]) => Some(""),
            Some([Node::Text(text)]) => Some(text),
            _ => None,
        }
    }

    /// The names of the fields of the data the template may read, or `None`
    /// when it looks at the data as a whole and so may read any.
    pub fn fields(&self) -> Option<Vec<&str>> {
        fields::of(self.bodies.values().flatten())
    }

    /// Runs the template over `data` and appends to `out`. After an error
    /// `out` holds what was written before it.
    ///
    /// # Errors
    ///
    /// [`Error::Execute`] with Go's message when an expression fails,
    /// [`Error::Limit`] when a bound is reached.
    pub fn execute_into(&self, data: &dyn Data, out: &mut String) -> Result<(), Error> {
        let exec = exec::Exec {
            name: &self.name,
            text: &self.text,
            bodies: &self.bodies,
            data,
            limits: self.limits,
            out,
        };
        exec::run(exec, &self.name)
    }

    /// Runs the template over `data`.
    ///
    /// # Errors
    ///
    /// As [`execute_into`](Template::execute_into).
    pub fn execute(&self, data: &dyn Data) -> Result<String, Error> {
        let mut out = String::new();
        self.execute_into(data, &mut out)?;
        Ok(out)
    }
}
