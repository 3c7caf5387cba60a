//! Who is responsible for a key.

use std::collections::BTreeSet;

use crate::instance::{Desc, Instance};
use crate::operation::Operation;
use crate::quorum::{ReplicationSet, RingError, needed_for_key, needed_of_all, tolerated_zones};

/// How a ring is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RingConfig {
    /// Copies of every key; at least 1.
    pub replication_factor: usize,
    /// Seconds without a sign of life after which a member counts as dead; 0 for never.
    pub heartbeat_timeout: i64,
    /// At most one copy in every zone.
    pub zone_aware: bool,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self {
            replication_factor: 3,
            heartbeat_timeout: 60,
            zone_aware: false,
        }
    }
}

impl RingConfig {
    /// Sets the number of copies.
    #[must_use]
    pub fn with_replication_factor(mut self, copies: usize) -> Self {
        self.replication_factor = copies.max(1);
        self
    }

    /// Sets the seconds after which silence means death; 0 for never.
    #[must_use]
    pub const fn with_heartbeat_timeout(mut self, seconds: i64) -> Self {
        self.heartbeat_timeout = seconds;
        self
    }

    /// Sets whether copies are spread over zones.
    #[must_use]
    pub const fn with_zone_awareness(mut self, aware: bool) -> Self {
        self.zone_aware = aware;
        self
    }
}

/// A published ring, prepared for lookups.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    config: RingConfig,
    instances: Vec<(String, Instance)>,
    /// Token and index of its owner, ascending.
    tokens: Vec<(u32, u32)>,
    zones: usize,
}

impl Ring {
    /// Prepares a ring. Members that left take no part.
    pub fn new(desc: &Desc, config: RingConfig) -> Self {
        let instances: Vec<(String, Instance)> = desc
            .instances
            .iter()
            .map(|(id, instance)| (id.clone(), instance.clone()))
            .collect();
        let mut tokens = Vec::new();
        for (owner, (_, instance)) in instances.iter().enumerate() {
            tokens.extend(instance.tokens.iter().map(|token| (*token, owner as u32)));
        }
        tokens.sort_unstable();
        let zones: BTreeSet<&str> = instances.iter().map(|(_, i)| i.zone.as_str()).collect();
        Self {
            config,
            zones: zones.len(),
            tokens,
            instances,
        }
    }

    /// The members, by name.
    pub fn instances(&self) -> &[(String, Instance)] {
        &self.instances
    }

    fn is_healthy(&self, instance: &Instance, op: Operation, now: i64) -> bool {
        op.accepts(instance.state) && instance.is_alive(now, self.config.heartbeat_timeout)
    }

    /// The members for a key, in the order in which they stand on the ring:
    /// from the first token greater than the key on, each member once.
    ///
    /// # Errors
    /// The ring is empty, or too few of the key's members can be used.
    pub fn get(&self, key: u32, op: Operation, now: i64) -> Result<ReplicationSet, RingError> {
        if self.tokens.is_empty() {
            return Err(RingError::Empty);
        }
        let members = self.members(key, op);
        let needed = needed_for_key(self.config.replication_factor, members.len());
        let (alive, dead): (Vec<usize>, Vec<usize>) = members
            .into_iter()
            .partition(|at| self.is_healthy(&self.instances[*at].1, op, now));
        if alive.len() < needed {
            let unhealthy = dead.iter().map(|at| self.instances[*at].1.address.clone());
            return Err(RingError::TooFewReplicas {
                needed,
                found: alive.len(),
                unhealthy: unhealthy.collect(),
                across: match self.config.zone_aware {
                    true => " across different availability zones",
                    false => "",
                },
            });
        }
        Ok(ReplicationSet {
            max_errors: alive.len() - needed,
            max_unavailable_zones: 0,
            instances: alive
                .into_iter()
                .map(|at| self.instances[at].clone())
                .collect(),
        })
    }

    /// Walks along the ring until there are enough members.
    fn members(&self, key: u32, op: Operation) -> Vec<usize> {
        let mut wanted = self.config.replication_factor;
        let mut members: Vec<usize> = Vec::with_capacity(wanted + 1);
        let mut zones: Vec<&str> = Vec::new();
        let start = self.tokens.partition_point(|(token, _)| *token <= key);
        let (after, before) = (&self.tokens[start..], &self.tokens[..start]);
        for (_, owner) in after.iter().chain(before) {
            let enough = members.len() >= wanted.min(self.instances.len());
            if enough || (self.config.zone_aware && zones.len() >= self.zones) {
                break;
            }
            let owner = *owner as usize;
            let instance = &self.instances[owner].1;
            let zone = instance.zone.as_str();
            let zoned = self.config.zone_aware && !zone.is_empty();
            if members.contains(&owner) || (zoned && zones.contains(&zone)) {
                continue;
            }
            if op.extends(instance.state) {
                // The one more is looked for in the same zone.
                wanted += 1;
            } else if zoned {
                zones.push(zone);
            }
            members.push(owner);
        }
        members
    }

    /// All members, and how many may fail so that every key has still been heard.
    ///
    /// # Errors
    /// The ring is empty, or too many members cannot be used.
    pub fn all(&self, op: Operation, now: i64) -> Result<ReplicationSet, RingError> {
        if self.instances.is_empty() {
            return Err(RingError::Empty);
        }
        let healthy = |at: &&(String, Instance)| self.is_healthy(&at.1, op, now);
        if self.config.zone_aware {
            return self.all_by_zone(op, now);
        }
        let instances: Vec<_> = self.instances.iter().filter(healthy).cloned().collect();
        let needed = needed_of_all(self.config.replication_factor, self.instances.len());
        match instances.len().checked_sub(needed) {
            None => Err(RingError::TooManyUnhealthy),
            Some(max_errors) => Ok(ReplicationSet {
                instances,
                max_errors,
                max_unavailable_zones: 0,
            }),
        }
    }

    /// A zone with a dead member is left out whole: what that member had, a
    /// whole other zone has.
    fn all_by_zone(&self, op: Operation, now: i64) -> Result<ReplicationSet, RingError> {
        let failed: BTreeSet<&str> = self
            .instances
            .iter()
            .filter(|(_, instance)| !self.is_healthy(instance, op, now))
            .map(|(_, instance)| instance.zone.as_str())
            .collect();
        let tolerated = tolerated_zones(self.config.replication_factor, self.zones);
        let Some(left) = tolerated.checked_sub(failed.len()) else {
            return Err(RingError::TooManyUnhealthy);
        };
        let whole = |(_, i): &&(String, Instance)| !failed.contains(i.zone.as_str());
        Ok(ReplicationSet {
            instances: self.instances.iter().filter(whole).cloned().collect(),
            max_errors: 0,
            max_unavailable_zones: left,
        })
    }

    /// The part of the ring that each member owns, between 0 and 1, by index
    /// of [`Ring::instances`]: a key belongs to the first token after it.
    pub fn ownership(&self) -> Vec<f64> {
        let mut owned = vec![0u64; self.instances.len()];
        let mut before = self.tokens.last().map_or(0, |(token, _)| u64::from(*token));
        for (token, owner) in &self.tokens {
            let token = u64::from(*token);
            let distance = match token > before {
                true => token - before,
                false => (1 << 32) - before + token,
            };
            owned[*owner as usize] += distance;
            before = token;
        }
        owned
            .into_iter()
            .map(|part| part as f64 / 4_294_967_296.0)
            .collect()
    }
}
