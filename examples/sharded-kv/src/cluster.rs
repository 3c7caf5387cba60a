//! The client's side: whom to ask for a key, and when an answer counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_env::Env;
use headwater_ring::tokens::token_for;
use headwater_ring::{
    LifecycleConfig, Operation, ReplicationSet, Ring, RingConfig, RingError, State,
};
use headwater_ring_kv::{
    KvError, Lifecycler, LifecyclerHandle, MemoryStore, RingStore, RingStoreExt,
};

use crate::node::{Node, Version};

/// The name of the ring.
const RING: &str = "kv";

/// Why a key could not be written or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error("only {got} of {needed} nodes answered for {key:?}")]
    Quorum {
        key: String,
        got: usize,
        needed: usize,
    },
    #[error("there is no node {0}")]
    Unknown(String),
}

pub(crate) struct Cluster {
    env: Env,
    store: MemoryStore,
    config: RingConfig,
    nodes: BTreeMap<String, (Arc<Node>, LifecyclerHandle)>,
    writes: AtomicU64,
}

impl Cluster {
    pub(crate) fn new(env: Env) -> Self {
        Self {
            env,
            store: MemoryStore::new(),
            config: RingConfig::default(),
            nodes: BTreeMap::new(),
            writes: AtomicU64::new(0),
        }
    }

    fn now(&self) -> i64 {
        self.env.clock.unix_millis() / 1000
    }

    fn ring(&self) -> Ring {
        Ring::new(&self.store.current(RING), self.config.clone())
    }

    /// Starts a node and waits until it takes its part.
    pub(crate) async fn join(&mut self, id: &str) -> Result<(), ClusterError> {
        let driver = Lifecycler::new(
            Arc::new(self.store.clone()),
            RING,
            LifecycleConfig::new(id, id),
            Vec::new(),
            self.env.clock.clone(),
            self.env.rng.clone(),
        );
        self.nodes
            .insert(id.to_owned(), (Arc::new(Node::new()), driver.handle()));
        tokio::spawn(driver.run());
        self.wait_for(id, Some(State::Active)).await;
        Ok(())
    }

    async fn wait_for(&self, id: &str, state: Option<State>) {
        let mut ring = self.store.watch(RING);
        let reached = ring.wait_for(|desc| desc.instances.get(id).map(|i| i.state) == state);
        // The store lives as long as the cluster.
        drop(reached.await);
    }

    fn node(&self, id: &str) -> Result<&(Arc<Node>, LifecyclerHandle), ClusterError> {
        self.nodes
            .get(id)
            .ok_or_else(|| ClusterError::Unknown(id.to_owned()))
    }

    fn members(&self, key: &str, op: Operation) -> Result<ReplicationSet, ClusterError> {
        Ok(self.ring().get(token_for("", key), op, self.now())?)
    }

    /// Calls every member; enough of them must answer.
    fn ask<T>(
        &self,
        key: &str,
        set: &ReplicationSet,
        call: impl Fn(&Node) -> Option<T>,
    ) -> Result<Vec<T>, ClusterError> {
        let mut answers = Vec::new();
        for (id, _) in &set.instances {
            answers.extend(call(&self.node(id)?.0));
        }
        match answers.len() >= set.needed() {
            true => Ok(answers),
            false => Err(ClusterError::Quorum {
                key: key.to_owned(),
                got: answers.len(),
                needed: set.needed(),
            }),
        }
    }

    pub(crate) fn put(&self, key: &str, value: &str) -> Result<(), ClusterError> {
        let version = Version {
            number: self.writes.fetch_add(1, Ordering::Relaxed),
            value: value.to_owned(),
        };
        let set = self.members(key, Operation::Write)?;
        self.ask(key, &set, |node| node.write(key, &version))
            .map(drop)
    }

    /// The newest value that enough members know. A write that succeeded
    /// reached more than half of them, so one of more than half has it.
    pub(crate) fn get(&self, key: &str) -> Result<Option<String>, ClusterError> {
        let set = self.members(key, Operation::Read)?;
        let answers = self.ask(key, &set, |node| node.read(key))?;
        let newest = answers
            .into_iter()
            .flatten()
            .max_by_key(|version| version.number);
        Ok(newest.map(|version| version.value))
    }

    /// Makes a node fall silent. The ring notices after its heartbeat timeout;
    /// until then the quorum carries.
    pub(crate) fn crash(&self, id: &str) {
        if let Ok((node, _)) = self.node(id) {
            node.crash();
        }
    }

    /// Makes a node leave: it takes no more writes, gives what it has to those
    /// who keep it from now on, and goes. Returns how many copies it gave.
    pub(crate) async fn leave(&mut self, id: &str) -> Result<usize, ClusterError> {
        let (node, handle) = self.node(id)?.clone();
        handle.leave();
        self.wait_for(id, Some(State::Leaving)).await;
        let mut moved = 0;
        for (key, version) in node.contents() {
            // Writes already go past a leaving node to those who follow it.
            let set = self.members(&key, Operation::Write)?;
            for (heir, _) in &set.instances {
                moved += usize::from(self.node(heir)?.0.write(&key, &version).is_some());
            }
        }
        handle.go();
        self.wait_for(id, None).await;
        self.nodes.remove(id);
        Ok(moved)
    }

    /// Every node with its part of the ring and the number of keys it keeps.
    pub(crate) fn shares(&self) -> Vec<(String, f64, usize)> {
        let ring = self.ring();
        let owned = ring.ownership();
        let both = ring.instances().iter().zip(owned);
        both.map(|((id, _), part)| {
            let keys = self.nodes.get(id).map_or(0, |(node, _)| node.len());
            (id.clone(), part, keys)
        })
        .collect()
    }

    /// Copies of all keys on all nodes.
    pub(crate) fn copies(&self) -> usize {
        self.nodes.values().map(|(node, _)| node.len()).sum()
    }
}
