//! How a member comes, stays and goes: decisions only. A driver publishes
//! what comes out and calls again when a step is due.

use crate::instance::{Desc, Instance, State};
use crate::tokens::{adjust, generate};

/// How a member behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LifecycleConfig {
    /// Its name, unique in the ring.
    pub id: String,
    /// Where it is reached.
    pub address: String,
    /// Its zone; empty if zones are not used.
    pub zone: String,
    /// Tokens it draws.
    pub tokens: usize,
    /// Seconds between signs of life.
    pub heartbeat_period: i64,
    /// Seconds it stays pending, so that somebody leaving may hand over to it.
    pub join_after: i64,
    /// Seconds it waits for others who drew the same tokens; 0 to skip.
    pub observe_period: i64,
    /// Seconds it must have been active before it is ready.
    pub min_ready_duration: i64,
    /// Whether it waits for all others to be healthy before it is ready.
    pub wait_for_others: bool,
    /// Whether it removes its entry when it stops.
    pub unregister: bool,
}

impl LifecycleConfig {
    /// A member with the usual behaviour.
    pub fn new(id: impl Into<String>, address: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            address: address.into(),
            zone: String::new(),
            tokens: 128,
            heartbeat_period: 5,
            join_after: 0,
            observe_period: 0,
            min_ready_duration: 15,
            wait_for_others: true,
            unregister: true,
        }
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Register, or find the entry of an earlier life.
    Start,
    /// Show a sign of life; register anew if the entry vanished.
    Heartbeat,
    /// Take tokens: `join_after` is over.
    Join,
    /// Become active unless others claim the same tokens: `observe_period` is over.
    Verify,
    /// Take no more writes.
    Leave,
    /// Remove the entry, after what is left has been handed over.
    Unregister,
}

/// Why a step cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LifecycleError {
    /// A bug of the driver: the step does not follow from the state.
    #[error("changing instance state from {from} to {to} is disallowed")]
    Disallowed {
        /// The state it is in.
        from: State,
        /// The state it was to get.
        to: State,
    },
}

/// The life of one member.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    config: LifecycleConfig,
    /// What it believes of itself; the published entry follows.
    own: Option<Instance>,
    since: i64,
    last_heartbeat: i64,
    active_since: Option<i64>,
}

impl Lifecycle {
    /// A member that has not started yet.
    pub const fn new(config: LifecycleConfig) -> Self {
        Self {
            config,
            own: None,
            since: 0,
            last_heartbeat: 0,
            active_since: None,
        }
    }

    /// How it behaves.
    pub const fn config(&self) -> &LifecycleConfig {
        &self.config
    }

    /// The state it is in; `None` before it started.
    pub fn state(&self) -> Option<State> {
        self.own.as_ref().map(|own| own.state)
    }

    /// Its tokens, to be kept for the next life.
    pub fn tokens(&self) -> &[u32] {
        self.own.as_ref().map_or(&[], |own| &own.tokens)
    }

    /// The step that is due at `now` (in seconds), if any.
    pub fn due(&self, now: i64) -> Option<Step> {
        let Some(own) = &self.own else {
            return Some(Step::Start);
        };
        let waited = now.saturating_sub(self.since);
        match own.state {
            State::Pending if waited >= self.config.join_after => return Some(Step::Join),
            State::Joining if waited >= self.config.observe_period => return Some(Step::Verify),
            _ => {}
        }
        let silent = now.saturating_sub(self.last_heartbeat);
        (silent >= self.config.heartbeat_period).then_some(Step::Heartbeat)
    }

    /// Takes a step: gets the ring as published and returns it as it should
    /// be. `stored` are the tokens of an earlier life, for `Start`.
    ///
    /// # Errors
    /// The step does not follow from the state.
    pub fn step(
        &mut self,
        step: Step,
        ring: &Desc,
        now: i64,
        stored: &[u32],
        random: impl FnMut() -> u32,
    ) -> Result<Desc, LifecycleError> {
        let mut ring = ring.clone();
        match step {
            Step::Start => self.start(&ring, now, stored, random),
            Step::Heartbeat => {}
            Step::Join => self.join(&ring, now, random)?,
            Step::Verify => self.verify(&ring, now, random)?,
            Step::Leave => self.change(State::Leaving, now)?,
            Step::Unregister => {
                if self.config.unregister {
                    ring.instances.remove(&self.config.id);
                    self.own = None;
                    return Ok(ring);
                }
            }
        }
        self.publish(&mut ring, now);
        Ok(ring)
    }

    fn publish(&mut self, ring: &mut Desc, now: i64) {
        if let Some(own) = &mut self.own {
            own.heartbeat = now;
            self.last_heartbeat = now;
            ring.instances.insert(self.config.id.clone(), own.clone());
        }
    }

    fn start(&mut self, ring: &Desc, now: i64, stored: &[u32], random: impl FnMut() -> u32) {
        let count = self.config.tokens;
        let taken = ring.tokens_of_others(&self.config.id);
        let found = ring.instances.get(&self.config.id);
        let (state, tokens) = match found {
            None if stored.len() >= count => (
                State::Active,
                adjust(stored.to_vec(), count, &taken, random),
            ),
            None => (State::Pending, stored.to_vec()),
            Some(found) => match found.state {
                // It went down while it joined: it begins again.
                State::Joining => (State::Pending, Vec::new()),
                State::Leaving => {
                    let tokens = adjust(found.tokens.clone(), count, &taken, random);
                    (State::Active, tokens)
                }
                State::Left => (State::Pending, Vec::new()),
                state => (state, found.tokens.clone()),
            },
        };
        let registered = found.map_or(now, |found| match found.registered {
            0 => now,
            registered => registered,
        });
        self.own = Some(Instance {
            address: self.config.address.clone(),
            zone: self.config.zone.clone(),
            state,
            tokens,
            heartbeat: now,
            registered,
            read_only: found.is_some_and(|found| found.read_only),
        });
        self.since = now;
        self.active_since = (state == State::Active).then_some(now);
    }

    /// Draws tokens; becomes active, or joins to see whether others drew the same.
    fn join(
        &mut self,
        ring: &Desc,
        now: i64,
        random: impl FnMut() -> u32,
    ) -> Result<(), LifecycleError> {
        let next = match self.config.observe_period {
            0 => State::Active,
            _ => State::Joining,
        };
        self.change(next, now)?;
        let taken = ring.tokens_of_others(&self.config.id);
        let count = self.config.tokens;
        if let Some(own) = &mut self.own {
            own.tokens = adjust(std::mem::take(&mut own.tokens), count, &taken, random);
        }
        Ok(())
    }

    /// Becomes active if the published entry still has all its tokens; else
    /// draws new ones and waits again.
    fn verify(
        &mut self,
        ring: &Desc,
        now: i64,
        random: impl FnMut() -> u32,
    ) -> Result<(), LifecycleError> {
        let published = ring.instances.get(&self.config.id);
        let taken = ring.tokens_of_others(&self.config.id);
        let kept = |token: &u32| {
            published.is_some_and(|p| p.tokens.contains(token))
                && taken.binary_search(token).is_err()
        };
        let mut tokens: Vec<u32> = self.tokens().iter().copied().filter(kept).collect();
        if tokens.len() == self.tokens().len() {
            return self.change(State::Active, now);
        }
        let mut all = taken;
        all.extend(&tokens);
        all.sort_unstable();
        tokens.extend(generate(
            self.config.tokens.saturating_sub(tokens.len()),
            &all,
            random,
        ));
        tokens.sort_unstable();
        self.since = now;
        if let Some(own) = &mut self.own {
            own.tokens = tokens;
        }
        Ok(())
    }

    fn change(&mut self, to: State, now: i64) -> Result<(), LifecycleError> {
        let from = self.state().unwrap_or(State::Left);
        if !from.may_become(to) {
            return Err(LifecycleError::Disallowed { from, to });
        }
        if let Some(own) = &mut self.own {
            own.state = to;
        }
        self.since = now;
        self.active_since = (to == State::Active).then_some(now);
        Ok(())
    }

    /// Why the member is not ready for work yet; `None` if it is.
    pub fn not_ready(&self, ring: &Desc, now: i64, heartbeat_timeout: i64) -> Option<String> {
        let Some(state) = self.state() else {
            return Some("not in the ring yet".to_owned());
        };
        let Some(since) = self.active_since.filter(|_| state == State::Active) else {
            return Some(format!("not ready: instance is {state}"));
        };
        if now.saturating_sub(since) < self.config.min_ready_duration {
            let seconds = self.config.min_ready_duration;
            return Some(format!("waiting for {seconds}s after being ready"));
        }
        if !self.config.wait_for_others {
            return None;
        }
        ring.instances.iter().find_map(|(id, instance)| {
            let healthy = instance.is_alive(now, heartbeat_timeout);
            let settled = matches!(instance.state, State::Active | State::Left);
            match (healthy, settled) {
                (true, true) => None,
                (false, _) => Some(format!("instance {id} past heartbeat timeout")),
                (_, false) => Some(format!("instance {id} in state {}", instance.state)),
            }
        })
    }
}
