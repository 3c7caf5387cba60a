//! Putting two views of a ring together.
//!
//! Members gossip what they know in any order and more than once. So merging
//! must not depend on order, must not care about repetitions, and must agree
//! everywhere who keeps a token that two members drew.

use std::collections::BTreeMap;

use crate::instance::{Desc, Instance, State};

impl Desc {
    /// Takes over what another view knows better. Returns what changed here,
    /// to be passed on; `None` if nothing did.
    pub fn merge(&mut self, other: &Self) -> Option<Self> {
        let mut changed = Vec::new();
        for (id, theirs) in &other.instances {
            let better = match self.instances.get(id) {
                None => true,
                Some(mine) => is_better(theirs, mine),
            };
            if better {
                self.instances.insert(id.clone(), normalized(theirs));
                changed.push(id.clone());
            }
        }
        self.settle(changed)
    }

    /// Takes over a view that was changed here: a member missing in it was
    /// removed, and is kept as one that left `now` (in seconds), because an
    /// older message about it may still be on its way.
    pub fn merge_local(&mut self, changed_view: &Self, now: i64) -> Option<Self> {
        let mut changed: Vec<String> = Vec::new();
        for (id, mine) in &mut self.instances {
            let gone = !changed_view.instances.contains_key(id);
            if gone && mine.state != State::Left {
                mine.state = State::Left;
                mine.tokens.clear();
                mine.heartbeat = now;
                changed.push(id.clone());
            }
        }
        let merged = self.merge(changed_view);
        changed.extend(
            merged
                .into_iter()
                .flat_map(|desc| desc.instances.into_keys()),
        );
        self.settle(changed)
    }

    /// Resolves tokens that several members claim and picks out what changed.
    fn settle(&mut self, changed: Vec<String>) -> Option<Self> {
        if changed.is_empty() {
            return None;
        }
        self.resolve_conflicts();
        let mut change = Self::new();
        for id in changed {
            if let Some(instance) = self.instances.get(&id) {
                change.instances.insert(id, instance.clone());
            }
        }
        Some(change)
    }

    /// Leaves every token with one member: not with one that is leaving if
    /// another claims it, else with the one whose name comes first.
    fn resolve_conflicts(&mut self) {
        let mut owners: BTreeMap<u32, &str> = BTreeMap::new();
        let mut disputed = false;
        for (id, instance) in &self.instances {
            for token in &instance.tokens {
                let Some(owner) = owners.get(token) else {
                    owners.insert(*token, id);
                    continue;
                };
                disputed = true;
                // Names ascend, so the owner so far comes first.
                let owner_leaves = self.instances[*owner].state == State::Leaving;
                if owner_leaves && instance.state != State::Leaving {
                    owners.insert(*token, id);
                }
            }
        }
        if !disputed {
            return;
        }
        let owners: BTreeMap<u32, String> = owners
            .into_iter()
            .map(|(token, id)| (token, id.to_owned()))
            .collect();
        for (id, instance) in &mut self.instances {
            instance
                .tokens
                .retain(|token| owners.get(token) == Some(id));
        }
    }

    /// Forgets members that left before a moment (in seconds). Returns how many.
    pub fn remove_tombstones(&mut self, before: i64) -> usize {
        let count = self.instances.len();
        self.instances
            .retain(|_, i| i.state != State::Left || i.heartbeat >= before);
        count - self.instances.len()
    }

    /// Forgets members, whatever they do, that fell silent before a moment (in
    /// seconds). Returns their names.
    pub fn forget_silent(&mut self, before: i64) -> Vec<String> {
        let silent = |i: &Instance| i.state != State::Left && i.heartbeat < before;
        let found = self.instances.iter().filter(|(_, i)| silent(i));
        let ids: Vec<String> = found.map(|(id, _)| id.clone()).collect();
        self.instances.retain(|_, i| !silent(i));
        ids
    }
}

/// Whether what they know of a member is newer, or as old and final.
fn is_better(theirs: &Instance, mine: &Instance) -> bool {
    let left = theirs.state == State::Left && mine.state != State::Left;
    theirs.heartbeat > mine.heartbeat || (theirs.heartbeat == mine.heartbeat && left)
}

/// Tokens ascending, each once, none for members that left.
fn normalized(instance: &Instance) -> Instance {
    let mut instance = instance.clone();
    match instance.state {
        State::Left => instance.tokens.clear(),
        _ => {
            instance.tokens.sort_unstable();
            instance.tokens.dedup();
        }
    }
    instance
}
