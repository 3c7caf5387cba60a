//! Functions a template may call: their signatures and their registry.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// What a parameter accepts. Constants adapt to it, other values must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any value (`interface {}`).
    Any,
    /// A string.
    Str,
    /// An integer.
    Int,
    /// A float64.
    Float,
    /// A bool.
    Bool,
}

impl Kind {
    /// The type as Go's error texts name it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Int => "int",
            Self::Float => "float64",
            Self::Bool => "bool",
        }
    }
}

/// The parameters of a function.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    /// Kinds of the fixed parameters.
    pub params: &'static [Kind],
    /// Kind of any number of further arguments.
    pub rest: Option<Kind>,
}

impl Signature {
    /// A function of exactly these parameters.
    pub const fn of(params: &'static [Kind]) -> Self {
        Self { params, rest: None }
    }

    /// A function of these parameters and any number of further ones.
    pub const fn variadic(params: &'static [Kind], rest: Kind) -> Self {
        Self {
            params,
            rest: Some(rest),
        }
    }

    pub(crate) fn kind(&self, index: usize) -> Kind {
        self.params
            .get(index)
            .copied()
            .or(self.rest)
            .unwrap_or(Kind::Any)
    }
}

/// What a call answers: a value, or the text of an error.
pub type CallResult = Result<Value, String>;

type Body = Arc<dyn Fn(&[Value]) -> CallResult + Send + Sync>;

/// How a function is carried out.
#[derive(Clone)]
pub(crate) enum Action {
    /// By a closure over evaluated arguments.
    Call(Body),
    /// By the data the template runs on (see [`Data::call`](crate::Data::call)).
    Data,
    /// By the evaluator: `and` and `or` stop at the first decisive argument.
    And,
    Or,
    /// `call`: there are no function values, so it only fails, and quotes its
    /// argument doing so.
    Invoke,
}

/// A resolved function.
#[derive(Clone)]
pub(crate) struct Function {
    pub(crate) entry: Arc<Entry>,
}

pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) signature: Signature,
    pub(crate) action: Action,
}

impl Function {
    pub(crate) fn name(&self) -> &str {
        &self.entry.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The functions a template may call. [`Funcs::new`] starts with Go's
/// built-in ones; a later registration replaces an earlier one.
#[derive(Clone)]
pub struct Funcs {
    functions: HashMap<String, Function>,
}

impl fmt::Debug for Funcs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.functions.keys()).finish()
    }
}

impl Default for Funcs {
    fn default() -> Self {
        Self::new()
    }
}

impl Funcs {
    /// Go's built-in functions: `and`, `or`, `not`, `eq` and its kin, `len`,
    /// `index`, `slice`, `print`, `printf`, `println`, `html`, `js`,
    /// `urlquery` and `call`.
    pub fn new() -> Self {
        let mut funcs = Self {
            functions: HashMap::new(),
        };
        let any = Signature::variadic(&[Kind::Any], Kind::Any);
        funcs.insert("and", any, Action::And);
        funcs.insert("or", any, Action::Or);
        funcs.insert("call", any, Action::Invoke);
        crate::builtins::register(&mut funcs);
        crate::compare::register(&mut funcs);
        funcs
    }

    /// Registers a function. Its error text is reported as
    /// `error calling NAME: TEXT`.
    pub fn add(
        &mut self,
        name: &str,
        signature: Signature,
        call: impl Fn(&[Value]) -> CallResult + Send + Sync + 'static,
    ) -> &mut Self {
        self.insert(name, signature, Action::Call(Arc::new(call)));
        self
    }

    /// Declares a function that the data carries out itself, by
    /// [`Data::call`](crate::Data::call): for what changes with every
    /// execution, such as the current line.
    pub fn add_data(&mut self, name: &str, signature: Signature) -> &mut Self {
        self.insert(name, signature, Action::Data);
        self
    }

    fn insert(&mut self, name: &str, signature: Signature, action: Action) {
        let entry = Arc::new(Entry {
            name: name.to_owned(),
            signature,
            action,
        });
        self.functions.insert(name.to_owned(), Function { entry });
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Function> {
        self.functions.get(name)
    }
}
