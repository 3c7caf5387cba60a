//! Which fields of its data a template reads, so that a caller can prepare
//! only those.

use crate::node::{Arg, Branch, Command, Node, Pipe, Word};

/// The names, sorted; `None` when the data is used as a whole.
pub(crate) fn of<'t>(nodes: impl IntoIterator<Item = &'t Node>) -> Option<Vec<&'t str>> {
    let mut names = Vec::new();
    for node in nodes {
        visit(node, &mut names)?;
    }
    names.sort_unstable();
    names.dedup();
    Some(names)
}

fn visit<'t>(node: &'t Node, names: &mut Vec<&'t str>) -> Option<()> {
    match node {
        Node::Text(_) | Node::Break | Node::Continue => Some(()),
        Node::Action(p) => pipe(p, names),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => {
            let Branch {
                pipe: p,
                body,
                other,
            } = branch;
            pipe(p, names)?;
            body.iter().chain(other).try_for_each(|n| visit(n, names))
        }
        Node::Template(call) => call.pipe.iter().try_for_each(|p| pipe(p, names)),
    }
}

fn pipe<'t>(pipe: &'t Pipe, names: &mut Vec<&'t str>) -> Option<()> {
    let commands = pipe.cmds.iter();
    commands
        .flat_map(|Command { args, .. }| args)
        .try_for_each(|arg| word(arg, names))
}

fn word<'t>(arg: &'t Arg, names: &mut Vec<&'t str>) -> Option<()> {
    match &arg.word {
        Word::Dot => None,
        Word::Variable(variable, path) if variable.slot == 0 => {
            names.push(path.first()?);
            Some(())
        }
        // Inside `with` and `range` the dot is another value; naming a field
        // too much there does no harm.
        Word::Field(path) => {
            names.push(path.first()?);
            Some(())
        }
        Word::Pipe(inner) => pipe(inner, names),
        Word::Chain(base, _) => word(base, names),
        _ => Some(()),
    }
}
