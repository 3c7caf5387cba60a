//! Walks the compiled tree over some data and writes the output.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::error::Error;
use crate::funcs::{Action, Function, Kind};
use crate::node::{Arg, Branch, Call, Command, Node, Number, Pipe, Word};
use crate::quote::quote;
use crate::value::Value;
use crate::{Data, Limits};

type Result<T, E = Error> = std::result::Result<T, E>;

/// How a list of nodes ended.
enum Flow {
    Next,
    Break,
    Continue,
}

/// The expression under evaluation, which error texts quote.
#[derive(Clone, Copy)]
enum Place<'t> {
    Start,
    Arg(&'t Arg),
    Command(&'t Command),
    Pipe(&'t Pipe),
    Call(&'t Call),
}

/// The dot: the data itself, or a value derived from it.
#[derive(Clone)]
enum Dot {
    Data,
    Value(Value),
}

/// The state of one execution.
pub(crate) struct Exec<'t, 'o> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
    pub(crate) bodies: &'t HashMap<String, Vec<Node>>,
    pub(crate) data: &'o dyn Data,
    pub(crate) limits: Limits,
    pub(crate) out: &'o mut String,
}

/// Runs the body called `name`, appending to `out`.
pub(crate) fn run<'t>(exec: Exec<'t, '_>, entry: &'t str) -> Result<()> {
    let limit = exec.out.len().saturating_add(exec.limits.max_output_bytes);
    let mut walker = Walker {
        exec,
        limit,
        running: entry,
        place: Place::Start,
        vars: vec![Dot::Data],
        base: 0,
        steps: 0,
        depth: 0,
    };
    match walker.exec.bodies.get(entry) {
        Some(body) => walker.list(&Dot::Data, body).map(drop),
        None => Ok(()),
    }
}

struct Walker<'t, 'o> {
    exec: Exec<'t, 'o>,
    /// Length the output may not exceed.
    limit: usize,
    running: &'t str,
    place: Place<'t>,
    vars: Vec<Dot>,
    /// Where the variables of the running template begin.
    base: usize,
    steps: usize,
    depth: usize,
}

impl<'t> Walker<'t, '_> {
    fn error<T>(&self, message: impl std::fmt::Display) -> Result<T> {
        let name = self.exec.name;
        let (pos, shown) = match self.place {
            Place::Start => return Err(Error::Execute(format!("template: {name}: {message}"))),
            Place::Arg(arg) => (arg.pos, arg.to_string()),
            Place::Command(command) => (command.pos, command.to_string()),
            Place::Pipe(pipe) => (pipe.pos, pipe.to_string()),
            Place::Call(call) => (call.pos, call.to_string()),
        };
        let before = &self.exec.text[..pos];
        let line = 1 + before.matches('\n').count();
        let column = pos - before.rfind('\n').map_or(0, |at| at + 1);
        let running = quote(self.running);
        Err(Error::Execute(format!(
            "template: {name}:{line}:{column}: executing {running} at <{shown}>: {message}"
        )))
    }

    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        if self.steps > self.exec.limits.max_steps {
            let limit = self.exec.limits.max_steps;
            return Err(self.over(format!("the template takes more than {limit} steps")));
        }
        Ok(())
    }

    fn over(&self, what: String) -> Error {
        Error::Limit(format!("template: {}: {what}", self.exec.name))
    }

    fn check_output(&self) -> Result<()> {
        if self.exec.out.len() > self.limit {
            let limit = self.exec.limits.max_output_bytes;
            return Err(self.over(format!("the output is longer than {limit} bytes")));
        }
        Ok(())
    }

    fn list(&mut self, dot: &Dot, nodes: &'t [Node]) -> Result<Flow> {
        for node in nodes {
            match self.node(dot, node)? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, dot: &Dot, node: &'t Node) -> Result<Flow> {
        self.step()?;
        match node {
            Node::Text(text) => {
                self.exec.out.push_str(text);
                self.check_output()?;
            }
            Node::Action(pipe) => self.action(dot, pipe)?,
            Node::If(branch) => return self.scoped(|w| w.condition(dot, branch, false)),
            Node::With(branch) => return self.scoped(|w| w.condition(dot, branch, true)),
            Node::Range(branch) => return self.scoped(|w| w.range(dot, branch)),
            Node::Template(call) => self.template(dot, call)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn scoped<T>(&mut self, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mark = self.vars.len();
        let walked = walk(self);
        self.vars.truncate(mark);
        walked
    }

    fn action(&mut self, dot: &Dot, pipe: &'t Pipe) -> Result<()> {
        // The shape `{{.name}}` on plain data needs no value at all.
        if let (Dot::Data, [Command { args, .. }], []) = (dot, &pipe.cmds[..], &pipe.decl[..])
            && let [
                Arg {
                    word: Word::Field(names),
                    ..
                },
            ] = &args[..]
            && let [name] = &names[..]
            && let Some(text) = self.exec.data.text(name)
        {
            self.exec.out.push_str(text);
            return self.check_output();
        }
        let value = self.pipeline(dot, pipe)?;
        if pipe.decl.is_empty() {
            match value {
                Value::Nil => self.exec.out.push_str("<no value>"),
                Value::Str(text) => self.exec.out.push_str(&text),
                // Writing to a string cannot fail; a failing Display only
                // cuts its own text short.
                other => drop(write!(self.exec.out, "{other}")),
            }
            self.check_output()?;
        }
        Ok(())
    }

    fn condition(&mut self, dot: &Dot, branch: &'t Branch, with: bool) -> Result<Flow> {
        let value = self.pipeline(dot, &branch.pipe)?;
        match (value.truth(), with) {
            (true, true) => self.list(&Dot::Value(value), &branch.body),
            (true, false) => self.list(dot, &branch.body),
            (false, _) => self.list(dot, &branch.other),
        }
    }

    fn range(&mut self, dot: &Dot, branch: &'t Branch) -> Result<Flow> {
        let mark = self.vars.len();
        let value = self.pipeline(dot, &branch.pipe)?;
        self.vars.truncate(mark);
        let mut any = false;
        match &value {
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    any = true;
                    let index = Value::Int(index as i64);
                    if self.iteration(branch, index, item.clone())? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in &map.entries {
                    any = true;
                    if self.iteration(branch, Value::str(key), item.clone())? {
                        break;
                    }
                }
            }
            Value::Int(count) => {
                if branch.pipe.decl.len() > 1 {
                    return self.error(format_args!(
                        "can't use {count} to iterate over more than one variable"
                    ));
                }
                for index in 0..*count {
                    any = true;
                    if self.iteration(branch, Value::Int(index), Value::Int(index))? {
                        break;
                    }
                }
            }
            Value::Nil => {}
            other => return self.error(format_args!("range can't iterate over {other}")),
        }
        if any {
            return Ok(Flow::Next);
        }
        self.list(dot, &branch.other)
    }

    /// Runs the body once; says whether the loop ends here.
    fn iteration(&mut self, branch: &'t Branch, index: Value, item: Value) -> Result<bool> {
        self.step()?;
        let mark = self.vars.len();
        let decl = &branch.pipe.decl;
        let values = match decl.len() {
            0 => vec![],
            1 => vec![item.clone()],
            _ => vec![index, item.clone()],
        };
        for (variable, value) in decl.iter().zip(values) {
            self.set(branch.pipe.assign, variable.slot, value);
        }
        let flow = self.list(&Dot::Value(item), &branch.body)?;
        self.vars.truncate(mark);
        Ok(matches!(flow, Flow::Break))
    }

    fn set(&mut self, assign: bool, slot: usize, value: Value) {
        match assign {
            true => self.vars[self.base + slot] = Dot::Value(value),
            false => self.vars.push(Dot::Value(value)),
        }
    }

    fn template(&mut self, dot: &Dot, call: &'t Call) -> Result<()> {
        self.place = Place::Call(call);
        let Some((name, body)) = self.exec.bodies.get_key_value(&call.name) else {
            return self.error(format_args!("template {} not defined", quote(&call.name)));
        };
        self.depth += 1;
        if self.depth > self.exec.limits.max_depth {
            let limit = self.exec.limits.max_depth;
            return self.error(format_args!("exceeded maximum template depth ({limit})"));
        }
        let dot = match &call.pipe {
            Some(pipe) if is_dot(pipe) => dot.clone(),
            Some(pipe) => Dot::Value(self.pipeline(dot, pipe)?),
            None => Dot::Value(Value::Nil),
        };
        let mark = self.vars.len();
        let base = std::mem::replace(&mut self.base, mark);
        let running = std::mem::replace(&mut self.running, name);
        self.vars.push(dot.clone());
        self.list(&dot, body)?;
        self.vars.truncate(mark);
        self.base = base;
        self.running = running;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, dot: &Dot, pipe: &'t Pipe) -> Result<Value> {
        self.place = Place::Pipe(pipe);
        let mut value = None;
        for command in &pipe.cmds {
            value = Some(self.command(dot, command, value.take())?);
        }
        let value = value.unwrap_or_default();
        // A range sets its variables itself, once for each item; what is set
        // here is dropped by it again.
        for variable in &pipe.decl {
            self.set(pipe.assign, variable.slot, value.clone());
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Dot, cmd: &'t Command, last: Option<Value>) -> Result<Value> {
        let first = &cmd.args[0];
        match &first.word {
            Word::Field(names) => {
                self.place = Place::Arg(first);
                return self.fields(dot, names, dot, cmd, last);
            }
            Word::Chain(base, names) => {
                self.place = Place::Arg(first);
                let value = self.argument(dot, base)?;
                // A parenthesis that yields nothing has every field, and all
                // of them are nothing.
                if matches!(value, Value::Nil) {
                    return Ok(value);
                }
                return self.fields(dot, names, &Dot::Value(value), cmd, last);
            }
            Word::Function(function) => {
                self.place = Place::Arg(first);
                return self.call(dot, function, Some(cmd), &cmd.args[1..], last);
            }
            Word::Variable(variable, names) if !names.is_empty() => {
                self.place = Place::Arg(first);
                let value = self.vars[self.base + variable.slot].clone();
                return self.fields(dot, names, &value, cmd, last);
            }
            _ => {}
        }
        self.place = Place::Arg(first);
        if cmd.args.len() > 1 || last.is_some() {
            return self.error(format_args!("can't give argument to non-function {first}"));
        }
        self.argument(dot, first)
    }

    /// Reads `.a.b.c` of `receiver`; only the last may be a method with
    /// arguments.
    fn fields(
        &mut self,
        dot: &Dot,
        names: &'t [String],
        receiver: &Dot,
        cmd: &'t Command,
        last: Option<Value>,
    ) -> Result<Value> {
        let Some((end, path)) = names.split_last() else {
            return Ok(self.value_of(receiver));
        };
        let mut value = None;
        for name in path {
            value = Some(self.step_into(value.as_ref(), receiver, name, &[], false)?);
        }
        let called = cmd.args.len() > 1 || last.is_some();
        let mut args = Vec::new();
        for arg in &cmd.args[1..] {
            args.push(self.argument(dot, arg)?);
        }
        args.extend(last);
        if called {
            self.place = Place::Arg(&cmd.args[0]);
        }
        self.step_into(value.as_ref(), receiver, end, &args, called)
    }

    fn step_into(
        &mut self,
        value: Option<&Value>,
        receiver: &Dot,
        name: &str,
        args: &[Value],
        called: bool,
    ) -> Result<Value> {
        match (value, receiver) {
            (Some(value), _) => self.field(value, name, args, called),
            (None, Dot::Value(value)) => self.field(value, name, args, called),
            (None, Dot::Data) => match self.exec.data.text(name) {
                Some(_) if called => {
                    self.error(format_args!("{name} is not a method but has arguments"))
                }
                Some(text) => Ok(Value::str(text)),
                None => self.field(&self.exec.data.whole(), name, args, called),
            },
        }
    }

    fn field(&self, value: &Value, name: &str, args: &[Value], called: bool) -> Result<Value> {
        match value {
            Value::Nil => {
                return self.error(format_args!("nil pointer evaluating interface {{}}.{name}"));
            }
            Value::Map(_) if called => {
                return self.error(format_args!("{name} is not a method but has arguments"));
            }
            Value::Map(map) => {
                return Ok(map.entries.get(name).unwrap_or(&map.missing).clone());
            }
            Value::Object(object) => {
                if let Some(answer) = object.method(name, args) {
                    return match answer {
                        Ok(value) => Ok(value),
                        Err(e) => self.error(format_args!("error calling {name}: {e}")),
                    };
                }
                match object.field(name) {
                    Some(_) if called => {
                        return self.error(format_args!(
                            "{name} has arguments but cannot be invoked as function"
                        ));
                    }
                    Some(value) => return Ok(value),
                    None => {}
                }
            }
            _ => {}
        }
        let ty = value.type_name();
        self.error(format_args!("can't evaluate field {name} in type {ty}"))
    }

    fn value_of(&self, dot: &Dot) -> Value {
        match dot {
            Dot::Data => self.exec.data.whole(),
            Dot::Value(value) => value.clone(),
        }
    }

    /// Evaluates an operand where any type will do.
    fn argument(&mut self, dot: &Dot, arg: &'t Arg) -> Result<Value> {
        self.place = Place::Arg(arg);
        match &arg.word {
            Word::Bool(b) => Ok(Value::Bool(*b)),
            Word::Dot => Ok(self.value_of(dot)),
            Word::Nil => self.error("nil is not a command"),
            Word::Number(number) => self.constant(number),
            Word::Str { value, .. } => Ok(Value::Str(value.clone())),
            Word::Field(names) => self.path(names, dot),
            Word::Variable(variable, names) => {
                let value = self.vars[self.base + variable.slot].clone();
                self.path(names, &value)
            }
            Word::Function(function) => self.call(dot, function, None, &[], None),
            Word::Pipe(pipe) => self.pipeline(dot, pipe),
            Word::Chain(base, names) => {
                let value = self.argument(dot, base)?;
                self.place = Place::Arg(arg);
                match value {
                    Value::Nil => Ok(value),
                    value => self.path(names, &Dot::Value(value)),
                }
            }
        }
    }

    fn path(&mut self, names: &'t [String], receiver: &Dot) -> Result<Value> {
        let mut value = None;
        for name in names {
            value = Some(self.step_into(value.as_ref(), receiver, name, &[], false)?);
        }
        Ok(value.unwrap_or_else(|| self.value_of(receiver)))
    }

    /// The type a constant has when nothing asks for one.
    fn constant(&self, number: &Number) -> Result<Value> {
        match (number.float_form, number.int, number.float) {
            (false, Some(int), _) => Ok(Value::Int(int)),
            (true, _, Some(float)) => Ok(Value::Float(float)),
            _ => self.error(format_args!("{} overflows int", number.source)),
        }
    }

    fn call(
        &mut self,
        dot: &Dot,
        function: &Function,
        cmd: Option<&'t Command>,
        args: &'t [Arg],
        last: Option<Value>,
    ) -> Result<Value> {
        self.step()?;
        self.check_count(function, args.len() + usize::from(last.is_some()))?;
        let at = self.place;
        let mut values = Vec::with_capacity(args.len() + 1);
        for (index, arg) in args.iter().enumerate() {
            let value = self.typed(dot, arg, function.entry.signature.kind(index))?;
            match decided(&function.entry.action, &value) {
                true => return Ok(value),
                false => values.push(value),
            }
        }
        if let Some(value) = last {
            let kind = function.entry.signature.kind(args.len());
            values.push(self.fit(value, kind)?);
        }
        let answer = match &function.entry.action {
            Action::Call(body) => body(&values),
            Action::Data => self.exec.data.call(function.name(), &values),
            Action::Invoke => Err(format!(
                "non-function {} of type {}",
                args.first().map(Arg::to_string).unwrap_or_default(),
                values[0].type_name()
            )),
            Action::And | Action::Or => Ok(values.pop().unwrap_or_default()),
        };
        match answer {
            Ok(value) => self.bounded(value),
            Err(e) => {
                self.place = cmd.map_or(at, Place::Command);
                self.error(format_args!("error calling {}: {e}", function.name()))
            }
        }
    }

    /// Text that doubles at every step must not eat the memory.
    fn bounded(&self, value: Value) -> Result<Value> {
        let limit = self.exec.limits.max_output_bytes;
        match &value {
            Value::Str(text) if text.len() > limit => {
                Err(self.over(format!("a text is longer than {limit} bytes")))
            }
            _ => Ok(value),
        }
    }

    fn check_count(&self, function: &Function, got: usize) -> Result<()> {
        let name = function.name();
        let want = function.entry.signature.params.len();
        match function.entry.signature.rest {
            None if got != want => self.error(format_args!(
                "wrong number of args for {name}: want {want} got {got}"
            )),
            Some(_) if got < want => self.error(format_args!(
                "wrong number of args for {name}: want at least {want} got {got}"
            )),
            _ => Ok(()),
        }
    }

    /// Evaluates an argument for a parameter of the given kind.
    fn typed(&mut self, dot: &Dot, arg: &'t Arg, kind: Kind) -> Result<Value> {
        self.place = Place::Arg(arg);
        let wanted = match kind {
            Kind::Any => return self.argument(dot, arg),
            Kind::Str => "string",
            Kind::Int => "integer",
            Kind::Float => "float",
            Kind::Bool => "bool",
        };
        match (&arg.word, kind) {
            (Word::Bool(b), Kind::Bool) => Ok(Value::Bool(*b)),
            (Word::Str { value, .. }, Kind::Str) => Ok(Value::Str(value.clone())),
            (Word::Number(Number { int: Some(n), .. }), Kind::Int) => Ok(Value::Int(*n)),
            (Word::Number(Number { float: Some(n), .. }), Kind::Float) => Ok(Value::Float(*n)),
            (Word::Bool(_) | Word::Str { .. } | Word::Number(_), _) => {
                self.error(format_args!("expected {wanted}; found {arg}"))
            }
            (Word::Nil, _) => self.error(format_args!("cannot assign nil to {}", kind.type_name())),
            _ => {
                let value = self.argument(dot, arg)?;
                self.fit(value, kind)
            }
        }
    }

    fn fit(&self, value: Value, kind: Kind) -> Result<Value> {
        match (&value, kind) {
            (_, Kind::Any)
            | (Value::Str(_), Kind::Str)
            | (Value::Int(_), Kind::Int)
            | (Value::Float(_), Kind::Float)
            | (Value::Bool(_), Kind::Bool) => Ok(value),
            (Value::Nil, _) => {
                self.error(format_args!("invalid value; expected {}", kind.type_name()))
            }
            _ => self.error(format_args!(
                "wrong type for value; expected {}; got {}",
                kind.type_name(),
                value.type_name()
            )),
        }
    }
}

/// Whether `and` or `or` need look no further.
fn decided(action: &Action, value: &Value) -> bool {
    match action {
        Action::And => !value.truth(),
        Action::Or => value.truth(),
        Action::Call(_) | Action::Data | Action::Invoke => false,
    }
}

fn is_dot(pipe: &Pipe) -> bool {
    matches!(&pipe.cmds[..], [Command { args, .. }]
        if matches!(&args[..], [Arg { word: Word::Dot, .. }]))
}
